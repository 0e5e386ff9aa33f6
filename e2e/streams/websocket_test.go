package streams

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"rehydra/e2e/harness"
)

// open opens a WebSocket to the session's node and returns it with what the backend says first.
func (c *cluster) open(ctx context.Context, secure bool, session string) (*websocket.Conn, string) {
	c.t.Helper()
	url := "ws://" + c.Address() + "/ws"
	if secure {
		url = "wss://" + c.Secure() + "/ws"
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: c.cert.Pool}}
	conn, resp, err := websocket.Dial(ctx, url, &websocket.DialOptions{
		HTTPClient: &http.Client{Transport: transport}, Subprotocols: []string{"echo"},
		HTTPHeader: http.Header{"Cookie": {"JSESSIONID=" + session}},
	})
	if err != nil {
		c.t.Fatalf("%s: %v", url, err)
	}
	if resp.Body != nil {
		resp.Body.Close()
	}
	if conn.Subprotocol() != "echo" {
		c.t.Errorf("the subprotocol is %q", conn.Subprotocol())
	}
	conn.SetReadLimit(-1)
	_, route, err := conn.Read(ctx)
	if err != nil {
		c.t.Fatal(err)
	}
	return conn, string(route)
}

// TestWebSocket: messages of every size go both ways, with and without TLS, to the node of the session; all is counted and logged, and the closing
// handshake passes.
func TestWebSocket(t *testing.T) {
	t.Parallel()
	c := start(t)
	ctx, cancel := context.WithTimeout(t.Context(), 3*patience)
	defer cancel()
	var open []*websocket.Conn
	for n := range 6 {
		want := fmt.Sprintf("node%d", 1+n%2)
		conn, route := c.open(ctx, n >= 3, "ABC."+want)
		if route != want {
			t.Errorf("a session of %s reached %s", want, route)
		}
		for _, size := range []int{0, 1, 125, 126, 65535, 65536, 1 << 20} {
			message := bytes.Repeat([]byte{byte(n), 0xff}, size)
			if err := conn.Write(ctx, websocket.MessageBinary, message); err != nil {
				t.Fatal(err)
			}
			kind, got, err := conn.Read(ctx)
			if err != nil || kind != websocket.MessageBinary || !bytes.Equal(got, message) {
				t.Fatalf("%d bytes came back as %d of kind %v, %v", len(message), len(got), kind, err)
			}
		}
		open = append(open, conn)
	}
	c.WaitMetric(t, "rehydra_tunnels", 6)
	for _, conn := range open {
		if err := conn.Close(websocket.StatusNormalClosure, "done"); err != nil {
			t.Errorf("the closing handshake: %v", err)
		}
	}
	c.WaitMetric(t, "rehydra_tunnels", 0)
	if got := c.Metric(t, "rehydra_tunnels_total"); got != 6 {
		t.Errorf("%v tunnels in all, wanted 6", got)
	}
	e := c.WaitEvent(t, "the request", func(e harness.Event) bool { return e.Text("path") == "/ws" })
	if e["status"] != 101.0 || e.Text("failure") != "" || !strings.HasPrefix(e.Text("route"), "node") {
		t.Errorf("logged %v", e)
	}
}

// TestWebSocketBesideHTTP2: extended CONNECT (RFC 8441) is not offered, so a client that speaks HTTP/2 with us opens a connection of HTTP/1.1 for it.
func TestWebSocketBesideHTTP2(t *testing.T) {
	t.Parallel()
	c := start(t)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	conn, _ := c.open(ctx, true, "ABC.node1")
	defer conn.CloseNow()
	var protocols http.Protocols
	protocols.SetHTTP2(true)
	transport := &http.Transport{Protocols: &protocols, TLSClientConfig: &tls.Config{RootCAs: c.cert.Pool}}
	defer transport.CloseIdleConnections()
	resp, err := (&http.Client{Transport: transport, Timeout: patience}).Get("https://" + c.Secure() + "/")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.ProtoMajor != 2 || resp.StatusCode != 200 {
		t.Errorf("got %s %s", resp.Proto, resp.Status)
	}
}
