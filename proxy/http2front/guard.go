package http2front

import (
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/net/http2"
)

// guard is a connection whose reads and writes can be waited for: x/net reads and writes in goroutines of its own, which are not over when
// its ServeConn is.
type guard struct {
	net.Conn

	mu     sync.Mutex
	closed bool
	first  func() // called at the first read or write, before which x/net has entered the connection in its list; nil afterwards
	using  sync.WaitGroup

	parting  parting
	busy     func(bool)  // see Front.Begin; may be nil
	prefaced bool        // for turn
	open     atomic.Bool // a stream is
	limited  bool        // the client was given time for the rest of a frame, without an open stream
}

// restOfFrame is how long a client that is to be told to go may take for the rest of the frame that it is in, while it has no open stream.
const restOfFrame = 2 * time.Second

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

// Read is net.Conn's.
func (g *guard) Read(b []byte) (int, error) {
	if !g.enter() {
		return 0, net.ErrClosed
	}
	defer g.using.Done()
	for {
		if n := g.parting.take(b); n > 0 {
			return n, nil
		}
		n, err := g.Conn.Read(b)
		if n == 0 && errors.Is(err, os.ErrDeadlineExceeded) && g.parting.asked.Load() && g.readOn() {
			continue
		}
		g.parting.passed(b[:n])
		return n, err
	}
}

// readOn is called when the time of a read is over: that which part sets, to wake who waits for the client, or the one here. It sets the next, and returns false where there is
// none: a client cannot be told anything amid a frame, and one that does not finish it would never go.
func (g *guard) readOn() bool {
	var until time.Time
	if !g.parting.said && !g.parting.at.between() {
		if !g.open.Load() {
			if g.limited {
				return false
			}
			g.limited = true
		}
		until = time.Now().Add(restOfFrame)
	}
	return g.SetReadDeadline(until) == nil
}

// part makes the connection go, as Connection.Leave says.
func (g *guard) part() bool {
	if !g.parting.spoken.Load() {
		return false
	}
	if !g.parting.asked.Swap(true) {
		_ = g.SetReadDeadline(time.Unix(1, 0)) // in the past: who waits for the client looks. It fails where the connection is closed
	}
	return true
}

// turn is what x/net tells of a connection: http.StateActive at its first open stream, and http.StateIdle when there is none any more. It does
// both at the preface, too.
func (g *guard) turn(to http.ConnState) {
	switch {
	case to == http.StateActive && g.prefaced:
		g.tell(true)
	case to == http.StateIdle && !g.prefaced:
		g.prefaced = true
	case to == http.StateIdle:
		g.tell(false)
	}
}

func (g *guard) tell(busy bool) {
	g.open.Store(busy)
	if g.busy != nil {
		g.busy(busy)
	}
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
func guarded(conn net.Conn, first func(), busy func(bool)) (*guard, net.Conn) {
	g := &guard{Conn: conn, first: first, busy: busy}
	g.parting.at.rest = len(http2.ClientPreface)
	if secure, ok := conn.(interface{ ConnectionState() tls.ConnectionState }); ok {
		return g, secureGuard{g, secure.ConnectionState()}
	}
	return g, g
}
