package eventloop

import (
	"io"
	"net"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for what is to happen at once.
const patience = 30 * time.Second

// newGroup returns a group that ends with the test, after what t.Cleanup is told later.
func newGroup(t testing.TB, loops int) *Group {
	t.Helper()
	g, err := New(loops)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(g.Close)
	return g
}

// open returns a socket that listens on address and what accepts from it for g.
func open(t testing.TB, g *Group, address string) (*net.TCPListener, *Listener) {
	t.Helper()
	ln, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	raw, err := ln.(*net.TCPListener).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	from, err := g.Listen(raw)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(from.Close)
	return ln.(*net.TCPListener), from
}

// dial returns a connection to a listener, with a deadline.
func dial(t testing.TB, ln net.Listener) *net.TCPConn {
	t.Helper()
	far, err := net.DialTimeout("tcp", ln.Addr().String(), patience)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { far.Close() })
	far.SetDeadline(time.Now().Add(patience))
	return far.(*net.TCPConn)
}

// unwatched returns a connection of g and its other side, of which no loop knows yet.
func unwatched(t testing.TB, g *Group) (*Conn, *net.TCPConn) {
	t.Helper()
	ln, from := open(t, g, "127.0.0.1:0")
	far := dial(t, ln)
	c, err := from.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() }) // the test may have done it
	from.Close()
	ln.Close()
	return c, far
}

// pair returns a connection of g and its other side.
func pair(t testing.TB, g *Group) (*Conn, *net.TCPConn) {
	t.Helper()
	c, far := unwatched(t, g)
	if err := c.Watch(); err != nil {
		t.Fatal(err)
	}
	return c, far
}

// say writes text to a connection.
func say(t testing.TB, c io.Writer, text string) {
	t.Helper()
	if n, err := io.WriteString(c, text); n != len(text) || err != nil {
		t.Fatalf("wrote %d of %d bytes, %v", n, len(text), err)
	}
}

// hear reads text from a connection.
func hear(t testing.TB, c io.Reader, text string) {
	t.Helper()
	got := make([]byte, len(text))
	if n, err := io.ReadFull(c, got); err != nil || string(got) != text {
		t.Fatalf("read %q, %v, wanted %q", got[:n], err, text)
	}
}

// soon waits until something is so.
func soon(t testing.TB, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("after %v: %s", patience, what)
		}
	}
}

// within receives from a channel.
func within[T any](t testing.TB, what string, from <-chan T) (got T) {
	t.Helper()
	select {
	case got = <-from:
	case <-time.After(patience):
		t.Fatalf("after %v: %s", patience, what)
	}
	return got
}

// ways are how a connection is used: by a worker, or by a goroutine that waits by itself.
var ways = []string{"worker", "goroutine"}

// by runs f in one of the ways, and returns a channel that is closed when it is over. c is given to who runs it.
func by(g *Group, way string, c *Conn, f func()) <-chan struct{} {
	over := make(chan struct{})
	if way == "worker" {
		g.Go(func(w *Worker) {
			defer close(over)
			c.Use(w)
			f()
			c.Use(nil)
		})
		return over
	}
	c.Use(nil)
	go func() {
		defer close(over)
		f()
	}()
	return over
}

// waiting waits until somebody waits for s.
func waiting(t testing.TB, s *side) {
	t.Helper()
	soon(t, "nobody waits", func() bool { return s.state.Load() == sideWaiting })
}
