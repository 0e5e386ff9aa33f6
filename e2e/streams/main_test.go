// Package streams holds the proxy to what does not end with one answer: WebSocket and whatever else a client asks to change to, and answers that come
// in pieces over time.
package streams

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"

	"rehydra/e2e/harness"
)

func TestMain(m *testing.M) { os.Exit(harness.Main(m)) }

// patience is the limit of anything that should happen; only a failing test uses it up.
const patience = 20 * time.Second

// cluster is a proxy with TLS before two backends.
type cluster struct {
	*harness.Proxy
	t        *testing.T
	cert     *harness.Certificate
	backends []*backend
}

// backend answers by path.
type backend struct {
	t     *testing.T
	route string
	raw   chan net.Conn // the backend's ends of /raw
	begun atomic.Int64  // requests for /events
	ended atomic.Int64  // those of them whose client went
	goOn  chan struct{} // lets /events send one more
}

// start runs the proxy; timeout are lines of [pool.timeout].
func start(t *testing.T, timeout ...string) *cluster {
	t.Helper()
	return startWith(t, nil, timeout...)
}

// startWith is start with lines of [server].
func startWith(t *testing.T, server []string, timeout ...string) *cluster {
	t.Helper()
	c := &cluster{t: t, cert: harness.NewCertificate(t)}
	pool := harness.Pool{Name: "shop", Timeout: timeout}
	for _, route := range []string{"node1", "node2"} {
		b := &backend{t: t, route: route, raw: make(chan net.Conn, 1), goOn: make(chan struct{})}
		c.backends = append(c.backends, b)
		pool.Backends = append(pool.Backends, harness.Backend{Route: route, Address: harness.ServeHTTP(t, b)})
	}
	c.Proxy = harness.Start(t, harness.Config{NoToken: true, TLS: c.cert, Server: server, Pools: []harness.Pool{pool}})
	return c
}

func (b *backend) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("X-Node", b.route)
	switch r.URL.Path {
	case "/ws":
		b.websocket(w, r)
	case "/raw":
		b.upgrade(w)
	case "/events":
		b.events(w, r)
	}
}

// websocket says its route, and then what it is told.
func (b *backend) websocket(w http.ResponseWriter, r *http.Request) {
	conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{"echo"}, InsecureSkipVerify: true})
	if err != nil {
		b.t.Errorf("the backend's handshake: %v", err)
		return
	}
	defer conn.CloseNow()
	conn.SetReadLimit(-1)
	if conn.Write(r.Context(), websocket.MessageText, []byte(b.route)) != nil {
		return
	}
	for {
		kind, message, err := conn.Read(r.Context())
		if err != nil {
			return
		}
		if conn.Write(r.Context(), kind, message) != nil {
			return
		}
	}
}

// upgrade hands the connection to the test.
func (b *backend) upgrade(w http.ResponseWriter) {
	conn, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		b.t.Errorf("cannot take the connection: %v", err)
		return
	}
	_, _ = buffered.WriteString("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: raw\r\n\r\n")
	if err := buffered.Flush(); err != nil {
		b.t.Errorf("cannot answer: %v", err)
	}
	b.raw <- conn
}

// events sends an event whenever the test lets it.
func (b *backend) events(w http.ResponseWriter, r *http.Request) {
	b.begun.Add(1)
	defer b.ended.Add(1)
	w.Header().Set("Content-Type", "text/event-stream")
	for n := 0; ; n++ {
		fmt.Fprintf(w, "data: %d\n\n", n)
		w.(http.Flusher).Flush()
		select {
		case <-b.goOn:
		case <-r.Context().Done():
			return
		}
	}
}

// dial connects, with TLS if so wanted.
func (c *cluster) dial(secure bool) net.Conn {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), patience)
	defer cancel()
	var conn net.Conn
	var err error
	if secure {
		conn, err = (&tls.Dialer{Config: &tls.Config{RootCAs: c.cert.Pool, NextProtos: []string{"http/1.1"}}}).DialContext(ctx, "tcp", c.Secure())
	} else {
		conn, err = (&net.Dialer{}).DialContext(ctx, "tcp", c.Address())
	}
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { conn.Close() })
	return conn
}

// tunnel opens one to a backend and returns both ends.
func (c *cluster) tunnel(secure bool, node int) (near, far net.Conn) {
	c.t.Helper()
	near = c.dial(secure)
	fmt.Fprintf(near, "GET /raw HTTP/1.1\r\nHost: shop.test\r\nConnection: Upgrade\r\nUpgrade: raw\r\nCookie: JSESSIONID=ABC.node%d\r\n\r\n", node)
	head := make([]byte, 0, 1024)
	for one := make([]byte, 1); len(head) < cap(head) && string(head[max(0, len(head)-4):]) != "\r\n\r\n"; {
		if _, err := io.ReadFull(near, one); err != nil {
			c.t.Fatalf("no answer: %v after %q", err, head)
		}
		head = append(head, one[0])
	}
	if string(head[:12]) != "HTTP/1.1 101" {
		c.t.Fatalf("got %q", head)
	}
	select {
	case far = <-c.backends[node-1].raw:
	case <-time.After(patience):
		c.t.Fatalf("the tunnel does not reach node%d", node)
	}
	c.t.Cleanup(func() { far.Close() })
	return near, far
}

// line reads one line.
func line(r *bufio.Reader) string {
	s, err := r.ReadString('\n')
	if err != nil {
		return err.Error()
	}
	return s
}
