package browser

import (
	"fmt"
	"hash/crc32"
	"io"
	"net/http"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/coder/websocket"

	"rehydra/e2e/harness"
	"rehydra/e2e/harness/browser"
)

// frontPage uses everything that an application's page uses of the way to its server, and shows how each went.
const frontPage = `<!DOCTYPE html><title>front</title>
<p id=page>protocol <script>document.write(performance.getEntriesByType("navigation")[0].nextHopProtocol)</script></p>
<p id=ws>-</p><p id=events>-</p><p id=upload>-</p><p id=many>-</p>
<script>
const show = (id, text) => { document.getElementById(id).textContent = text };
const socket = new WebSocket("wss://" + location.host + "/ws");
const got = [];
socket.onopen = () => ["one", "two", "x".repeat(100000)].forEach(m => socket.send(m));
socket.onmessage = e => { got.push(e.data); if (got.length == 3) socket.close(1000, "done") };
socket.onclose = e => show("ws", got.map(m => m.length).join() + " closed " + e.code + " " + e.wasClean);
socket.onerror = () => show("ws", "failed");
const source = new EventSource("/events");
const seen = [];
source.onmessage = e => { seen.push(e.data); fetch("/next", {method: "POST"}); if (seen.length == 5) { source.close(); show("events", seen.join()) } };
const file = new Uint8Array(5 << 20).map((_, i) => i * 7);
fetch("/upload", {method: "POST", body: new Blob([file])}).then(r => r.text()).then(t => show("upload", t), e => show("upload", "failed " + e));
Promise.all(Array.from({length: 60}, (_, n) => fetch("/item?" + n).then(r => r.text()).then(t => t == "item " + n)))
	.then(all => show("many", all.filter(ok => ok).length + " of " + all.length), e => show("many", "failed " + e));
</script>`

// frontBackend serves frontPage. A signal on next lets the next event go.
type frontBackend struct {
	t    *testing.T
	next chan struct{}
}

func (b *frontBackend) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/":
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = io.WriteString(w, frontPage)
	case "/item":
		fmt.Fprintf(w, "item %s", r.URL.RawQuery)
	case "/upload":
		sum := crc32.NewIEEE()
		n, err := io.Copy(sum, r.Body)
		fmt.Fprintf(w, "%d %08x %v", n, sum.Sum32(), err)
	case "/next":
		select {
		case b.next <- struct{}{}:
		case <-r.Context().Done():
		}
	case "/events":
		w.Header().Set("Content-Type", "text/event-stream")
		for n := 0; ; n++ {
			fmt.Fprintf(w, "data: %d\n\n", n)
			w.(http.Flusher).Flush()
			select {
			case <-b.next:
			case <-r.Context().Done():
				return
			}
		}
	case "/ws":
		conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true})
		if err != nil {
			b.t.Errorf("the handshake of a WebSocket: %v", err)
			return
		}
		defer conn.CloseNow()
		conn.SetReadLimit(-1)
		for {
			kind, message, err := conn.Read(r.Context())
			if err != nil || conn.Write(r.Context(), kind, message) != nil {
				return
			}
		}
	}
}

// TestFront: a browser speaks HTTP/2 with the proxy, and its WebSocket, its events, an upload and many requests at once go through.
func TestFront(t *testing.T) {
	address := harness.ServeHTTP(t, &frontBackend{t, make(chan struct{})})
	proxy := harness.Start(t, harness.Config{NoToken: true, TLS: harness.NewCertificate(t), Pools: []harness.Pool{{
		Name: "app", Backends: []harness.Backend{{Route: "node1", Address: address}},
	}}})
	p := browser.Open(t, chromedp.Flag("ignore-certificate-errors", true))
	p.Go("https://" + proxy.Secure() + "/")
	file := make([]byte, 5<<20)
	for i := range file {
		file[i] = byte(i * 7)
	}
	p.Shows("#page", "protocol h2")
	p.Shows("#events", "0,1,2,3,4")
	p.Shows("#upload", fmt.Sprintf("%d %08x <nil>", len(file), crc32.ChecksumIEEE(file)))
	p.Shows("#many", "60 of 60")
	p.Shows("#ws", "3,3,100000 closed 1000 true")
	log := map[string]string{"/": "HTTP/2.0", "/events": "HTTP/2.0", "/upload": "HTTP/2.0", "/ws": "HTTP/1.1"}
	for path, protocol := range log {
		e := proxy.WaitEvent(t, "the request of "+path, func(e harness.Event) bool { return e.Text("message") == "request" && e.Text("path") == path })
		if e.Text("proto") != protocol {
			t.Errorf("%s came by %s, wanted %s", path, e.Text("proto"), protocol)
		}
	}
}
