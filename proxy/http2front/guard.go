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

	mu      sync.Mutex
	closed  bool
	lingers bool   // x/net has closed it, and end is to see to what the client has not got
	first   func() // called at the first read or write, before which x/net has entered the connection in its list; nil afterwards
	reading sync.WaitGroup
	writing sync.WaitGroup

	parting  parting
	farewell farewells
	busy     func(bool)  // see Front.Begin; may be nil
	prefaced bool        // for turn
	open     atomic.Bool // a stream is
	limited  bool        // the client was given time for the rest of a frame, without an open stream
}

// restOfFrame is how long a client that is to be told to go may take for the rest of the frame that it is in, while it has no open stream.
const restOfFrame = 2 * time.Second

// enter begins a use of one kind, unless the connection is closed.
func (g *guard) enter(using *sync.WaitGroup) bool {
	g.mu.Lock()
	if g.closed {
		g.mu.Unlock()
		return false
	}
	using.Add(1)
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
	if !g.enter(&g.reading) {
		return 0, net.ErrClosed
	}
	defer g.reading.Done()
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
	g.mu.Lock()
	defer g.mu.Unlock()
	return !g.closed && g.SetReadDeadline(until) == nil
}

// part makes the connection go, as Connection.Leave says.
func (g *guard) part() bool {
	if !g.parting.spoken.Load() {
		return false
	}
	if !g.parting.asked.Swap(true) {
		g.rouse()
	}
	return true
}

// rouse lets go on who waits for the client.
func (g *guard) rouse() {
	_ = g.SetReadDeadline(time.Unix(1, 0)) // in the past. It fails where the connection is closed, and nobody waits
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
	if !g.enter(&g.writing) {
		return 0, net.ErrClosed
	}
	defer g.writing.Done()
	n, err := g.Conn.Write(p)
	g.farewell.passed(p[:n], err)
	return n, err
}

// SetWriteDeadline does nothing: x/net lifts the deadline of what came before it, and the connection sets its own.
func (g *guard) SetWriteDeadline(time.Time) error { return nil }

// Close is what x/net calls when it has nothing more to say, or cannot. For x/net that is the end. Where the connection goes in good order, and the kernel still holds
// something of an answer, it is closed by end.
func (g *guard) Close() error {
	if held, _ := g.owed(); held == 0 || !g.farewell.well.Load() {
		return g.Conn.Close()
	}
	g.mu.Lock()
	g.closed, g.lingers = true, true
	g.mu.Unlock()
	g.rouse() // who reads for x/net is not to take what linger reads
	return nil
}

// end closes the connection, and returns when nobody uses it any more. A client that has not got all that was said has limit for each piece of it.
func (g *guard) end(limit time.Duration) {
	g.mu.Lock()
	g.closed = true
	lingers := g.lingers
	g.mu.Unlock()
	if lingers {
		g.reading.Wait()
		g.linger(limit)
	}
	_ = g.Conn.Close() // its last word was said
	g.reading.Wait()
	g.writing.Wait()
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
		g.farewell.secure = true
		return g, secureGuard{g, secure.ConnectionState()}
	}
	return g, g
}
