package http2front

import (
	"crypto/tls"
	"net"
	"sync"
	"time"
)

// guard is a connection whose reads and writes can be waited for: x/net reads and writes in goroutines of its own, which are not over when
// its ServeConn is.
type guard struct {
	net.Conn

	mu     sync.Mutex
	closed bool
	first  func() // called at the first read or write, before which x/net has entered the connection in its list; nil afterwards
	using  sync.WaitGroup
}

func (g *guard) enter() bool {
	g.mu.Lock()
	if g.closed {
		g.mu.Unlock()
		return false
	}
	g.using.Add(1)
	first := g.first
	g.first = nil
	g.mu.Unlock()
	if first != nil {
		first()
	}
	return true
}

func (g *guard) Read(p []byte) (int, error) {
	if !g.enter() {
		return 0, net.ErrClosed
	}
	defer g.using.Done()
	return g.Conn.Read(p)
}

func (g *guard) Write(p []byte) (int, error) {
	if !g.enter() {
		return 0, net.ErrClosed
	}
	defer g.using.Done()
	return g.Conn.Write(p)
}

// SetWriteDeadline does nothing: x/net lifts the deadline of what came before it, and the connection sets its own.
func (g *guard) SetWriteDeadline(time.Time) error { return nil }

// end closes the connection and returns when nobody uses it any more.
func (g *guard) end() {
	g.mu.Lock()
	g.closed = true
	g.mu.Unlock()
	_ = g.Close() // its last word was said
	g.using.Wait()
}

// secureGuard is a guard that x/net can ask for the state of TLS, which it is particular about (RFC 9113, section 9.2).
type secureGuard struct {
	*guard
	state tls.ConnectionState
}

// ConnectionState is that of the handshake.
func (g secureGuard) ConnectionState() tls.ConnectionState { return g.state }

// guarded returns the guard, and what x/net is to be given. first is called at the first use.
func guarded(conn net.Conn, first func()) (*guard, net.Conn) {
	g := &guard{Conn: conn, first: first}
	if secure, ok := conn.(interface{ ConnectionState() tls.ConnectionState }); ok {
		return g, secureGuard{g, secure.ConnectionState()}
	}
	return g, g
}
