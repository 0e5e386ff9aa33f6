package serve

import (
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"rehydra/e2e/harness"
)

// upgrade is the head that asks for a tunnel.
func upgrade(target string) string {
	return head("GET", target, "Connection: Upgrade, X-Drop", "X-Drop: 1", "Upgrade: websocket", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==")
}

const switching = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"

// tunnelEnd opens a tunnel and hands the backend's side over.
func tunnelEnd(t *testing.T, s settings) (p *program, c *client, far *net.TCPConn) {
	t.Helper()
	ends := make(chan *call, 1)
	done := make(chan struct{})
	b := start(t, "node1", func(q *call) {
		if q.req.Header.Get("Upgrade") != "websocket" || q.req.Header.Get("X-Drop") != "" {
			t.Errorf("the backend got the fields %v", q.req.Header)
		}
		q.send(switching + "first")
		ends <- q
		<-done
		q.close()
	})
	t.Cleanup(func() { close(done) })
	p = serve(t, s, b)
	c = dial(t, p.address)
	c.send("%searly", upgrade("/ws"))
	c.answer("GET").wantStatus(t, 101)
	q := <-ends
	q.conn.SetDeadline(time.Now().Add(patience))
	wantRead(t, c.r, "first")
	wantRead(t, q.r, "early")
	return p, c, q.conn
}

// wantRead wants these bytes next.
func wantRead(t *testing.T, r io.Reader, want string) {
	t.Helper()
	got := make([]byte, len(want))
	if _, err := io.ReadFull(r, got); err != nil || string(got) != want {
		t.Fatalf("read %q (%v), wanted %q", got, err, want)
	}
}

// wantEnd wants the end of the stream and nothing before it.
func wantEnd(t *testing.T, r io.Reader) {
	t.Helper()
	if n, err := r.Read(make([]byte, 1)); n != 0 || isTimeout(err) {
		t.Errorf("read %d bytes, %v, wanted the end", n, err)
	}
}

func write(t *testing.T, w io.Writer, s string) {
	t.Helper()
	if _, err := io.WriteString(w, s); err != nil {
		t.Fatalf("cannot write: %v", err)
	}
}

func TestTunnel(t *testing.T) {
	t.Parallel()
	p, c, far := tunnelEnd(t, short)
	for n := range 20 { // longer than every time-out, with pauses of twice as long as each in the middle
		interval := tick
		if n == 10 {
			interval = 1500 * time.Millisecond
		}
		pace(interval, interval, func() bool {
			up, down := fmt.Sprintf("up %d", n), fmt.Sprintf("down %d", n)
			write(t, c.conn, up)
			wantRead(t, far, up)
			write(t, far, down)
			wantRead(t, c.r, down)
			return true
		})
	}
	c.conn.Close()
	wantEnd(t, far)
	far.Close()
	e := p.waitRequest("/ws")
	if e["status"] != 101.0 {
		t.Errorf("status %v, wanted 101", e["status"])
	}
	if got := int64(e["bytes"].(float64)); got != c.got {
		t.Errorf("%d bytes logged, the client got %d", got, c.got)
	}
}

// TestTunnelHalfClose: each side may end its own stream and still hear the other.
func TestTunnelHalfClose(t *testing.T) {
	t.Parallel()
	large := strings.Repeat("0123456789", 100_000)
	for _, first := range []string{"client", "backend"} {
		t.Run(first, func(t *testing.T) {
			t.Parallel()
			_, c, far := tunnelEnd(t, nil)
			one, other := c.conn, far
			if first == "backend" {
				one, other = far, c.conn
			}
			go func() { _, _ = io.WriteString(one, large); _ = one.CloseWrite() }()
			wantRead(t, other, large)
			wantEnd(t, other)
			go func() { _, _ = io.WriteString(other, large); _ = other.CloseWrite() }()
			wantRead(t, one, large)
			wantEnd(t, one)
		})
	}
}

// TestTunnelReset: when one side breaks off, the other learns of it at once.
func TestTunnelReset(t *testing.T) {
	t.Parallel()
	_, c, far := tunnelEnd(t, nil)
	harness.Reset(c.conn)
	wantEnd(t, far)
	_, c, far = tunnelEnd(t, nil)
	harness.Reset(far)
	wantEnd(t, c.conn)
}

// TestTunnelDrain: a drain lets a tunnel go on until its time is over.
func TestTunnelDrain(t *testing.T) {
	t.Parallel()
	p, c, far := tunnelEnd(t, settings{"server": {`drain_timeout = "20s"`}})
	p.signal(syscall.SIGTERM)
	p.waitEvent("draining")
	write(t, c.conn, "ping")
	wantRead(t, far, "ping")
	write(t, far, "pong")
	wantRead(t, c.r, "pong")
	if !p.running() {
		t.Fatal("it ended while a tunnel was open")
	}
	c.conn.Close()
	wantEnd(t, far)
	far.Close()
	if code := p.exit(); code != 0 {
		t.Errorf("exit code %d, wanted 0", code)
	}
}

// TestUpgradeRefused: without a 101 it is a request as any other, and the connection goes on.
func TestUpgradeRefused(t *testing.T) {
	t.Parallel()
	b := start(t, "node1", func(q *call) {
		if q.path("/ws") {
			q.reply(426, "no")
			return
		}
		q.ok()
	})
	p := serve(t, nil, b)
	c := dial(t, p.address)
	c.send("%s", upgrade("/ws"))
	c.answer("GET").want(t, 426, "no")
	c.get("/").want(t, 200, "node1")
}
