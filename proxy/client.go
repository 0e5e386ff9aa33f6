package proxy

import (
	"bufio"
	"crypto/tls"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"rehydra/proxy/eventloop"
	"rehydra/proxy/http2front"
	"rehydra/proxy/socket"
	"rehydra/proxy/upstream"
)

// clientBuffer is the size of a client connection's reader: a head that fits it
// is not copied.
const clientBuffer = 4 << 10

// client is one client connection. Its deadlines roll: each read or write has
// its own time, and a steady slow transfer is never cut.
type client struct {
	raw    net.Conn             // the transport, as it was accepted
	looped *eventloop.Conn      // the same where the event loops serve it; nil: a goroutine of its own does
	server *Server              // where looped is set
	room   bool                 // it holds a place among all clients, which is to be given back; guarded by the server's mu
	early  bool                 // it was told to go, and counts for nothing any more but as one that leaves; guarded as room
	conn   net.Conn             // what HTTP is spoken on: raw, or TLS over it
	tls    *tls.ConnectionState // nil: there is no TLS
	listed bool                 // it was listed in resting; guarded as room
	// tlsFields tell a backend of TLS; nil without it.
	tlsFields []byte

	r    *bufio.Reader // nil while it waits for a request
	rest rest
	// calls write to the transport, and with TLS read from it too. Without TLS they are lent for one request; nil: the transport does it itself.
	calls *socket.Calls
	sock  syscall.RawConn // the transport for calls
	peer  netip.Addr      // who is on the other side, or was before a proxy that told us so by a PROXY header
	addr  string          // the same without port, for X-Forwarded-For and the log
	state atomic.Int32
	read  rolling
	write rolling
	used  atomic.Int64 // when the last request began or ended, or, before the first, when the client was accepted, in ns since 1970; see reclaim, too
	made  int64        // what used was before the first request
	count int          // requests so far
	// entered is the address that the connection counts for; the zero value: for none. The server's mu guards it while the connection is among the clients and has HTTP.
	entered netip.Addr
	in      int64 // bytes read since the connection was made
	// backend is the connection that the current request is sent on, for those who
	// cut it. Whoever takes it away from here may give it back, or close it.
	backend atomic.Pointer[upstream.Conn]
	gone    atomic.Bool            // the client has given the current request up
	stream  *http2front.Stream     // the request of an HTTP/2 connection that this is; nil: it is a connection
	frames  *http2front.Connection // of an HTTP/2 connection; set before stateQuiet is
	streams atomic.Int64           // requests of an HTTP/2 connection so far
	greeted atomic.Int64           // when the last was heard of the client before HTTP (see greet), in ns since 1970; 0: nothing was, or nothing comes before
}

// The states of a client connection, for the drain.
const (
	stateIdle    int32 = iota // between requests, or before the first
	stateActive               // in a request
	stateTunnel               // after a 101
	stateQuiet                // speaks HTTP/2, without a request
	stateStreams              // speaks HTTP/2, with one or more
	stateLeaving              // speaks HTTP/2, and was told to go to make room
	stateClosed               // being closed by the drain, or to make room
)

// rolling is a deadline that is not set anew while the one that stands is close
// enough: setting one costs as much as a small read.
type rolling struct {
	limit time.Duration
	at    time.Time
}

// due returns the deadline to set, and whether there is one to set.
func (r *rolling) due(now time.Time) (time.Time, bool) {
	left := r.at.Sub(now)
	if left >= r.limit && left <= r.limit+r.limit/8 {
		return r.at, false
	}
	r.at = now.Add(r.limit + r.limit/8)
	return r.at, true
}

// reset makes the next deadline be set whatever stands: another was set by hand.
func (r *rolling) reset() { r.at = time.Time{} }

func newClient(conn net.Conn, readers *sync.Pool) *client {
	c := &client{raw: conn, conn: conn}
	c.looped, _ = conn.(*eventloop.Conn)
	if c.looped != nil {
		c.peer = c.looped.Remote().Addr().Unmap()
		c.addr = c.peer.String()
	} else if at, ok := conn.RemoteAddr().(*net.TCPAddr); ok {
		c.peer = at.AddrPort().Addr().Unmap()
		c.addr = c.peer.String()
	} else if at := conn.RemoteAddr(); at != nil { // a connection that was reset may not know
		c.addr = at.String()
	}
	c.made = time.Now().UnixNano()
	c.used.Store(c.made)
	c.r = readers.Get().(*bufio.Reader)
	c.r.Reset(c)
	return c
}

// begin sets the limits for what comes first.
func (c *client) begin(s *Server) {
	c.write.limit = s.limits.BodyTimeout
	c.setReadLimit(s.limits.HeaderTimeout) // for the first request, as for all heads
}

// secure reports whether the client speaks TLS with us.
func (c *client) secure() bool { return c.tls != nil }

// protocol is what the client chose by ALPN; "" if nothing.
func (c *client) protocol() string {
	if c.tls == nil {
		return ""
	}
	return c.tls.NegotiatedProtocol
}

// Read reads from the connection within the read limit.
func (c *client) Read(p []byte) (n int, err error) {
	switch {
	case c.tls != nil:
		n, err = c.conn.Read(p)
	case c.rest.direct && c.looped == nil:
		n, err = socket.Receive(c.rest.fd, p)
	default:
		n, err = c.readRaw(p)
	}
	c.in += int64(n)
	return n, err
}

// Write writes all of p to the connection within the write limit.
func (c *client) Write(p []byte) (written int, err error) {
	if c.tls != nil {
		return c.conn.Write(p)
	}
	return c.writeRaw(p)
}

// readRaw reads from the transport. Where no limit is set, the deadline that
// stands holds.
func (c *client) readRaw(p []byte) (int, error) {
	if c.rest.direct {
		return c.looped.TryRead(p)
	}
	if c.read.limit > 0 {
		if at, set := c.read.due(time.Now()); set {
			if err := c.raw.SetReadDeadline(at); err != nil {
				return 0, err
			}
		}
	}
	if c.tls != nil && c.calls != nil {
		return c.calls.Read(c.sock, p)
	}
	return c.raw.Read(p)
}

// writeRaw writes all of p to the transport. The write limit is for a time in
// which the client takes nothing: one that reads slowly is never cut.
func (c *client) writeRaw(p []byte) (written int, err error) {
	for stall := (upstream.Stall{}); ; {
		n, err := c.writeOnce(p[written:])
		written += n
		if err == nil || c.write.limit == 0 || !isTimeout(err) || stall.Over(c.raw, n) {
			return written, err
		}
	}
}

func (c *client) writeOnce(p []byte) (int, error) {
	if c.write.limit > 0 {
		if c.looped != nil && c.calls == nil {
			c.write.reset() // a write that waits sets a deadline of its own
			return c.looped.WriteWithin(p, c.write.limit)
		}
		if at, set := c.write.due(time.Now()); set {
			if err := c.raw.SetWriteDeadline(at); err != nil {
				return 0, err
			}
		}
	}
	if c.calls == nil {
		return c.raw.Write(p)
	}
	return c.calls.Write(c.sock, p)
}

// setReadLimit lets each read from now on wait for d.
func (c *client) setReadLimit(d time.Duration) { c.read.limit = d }

// setReadEnd lets reads go on until d from now, all of them together.
func (c *client) setReadEnd(d time.Duration) error {
	c.read.limit = 0
	c.read.reset()
	return c.raw.SetReadDeadline(time.Now().Add(d))
}

// linger closes the connection so that the client can read what was sent to it:
// our side is closed, and what still arrives is thrown away for a while. Closing
// at once would send a reset that takes the answer away (RFC 9112, section 9.6).
func (c *client) linger() {
	type halfCloser interface{ CloseWrite() error }
	hc, ok := c.conn.(halfCloser)
	if !ok || hc.CloseWrite() != nil || c.setReadEnd(lingerTime) != nil {
		return
	}
	var waste [4 << 10]byte
	for total := 0; total < lingerBytes; {
		n, err := c.conn.Read(waste[:])
		if err != nil {
			return
		}
		total += n
	}
}

const (
	lingerTime  = time.Second
	lingerBytes = 1 << 20
)

// hostOf is an address without its port, with the brackets of IPv6.
func hostOf(addr net.Addr) string {
	at, ok := addr.(*net.TCPAddr)
	if !ok {
		return addr.String()
	}
	ip := at.AddrPort().Addr().Unmap()
	if ip.Is6() {
		return "[" + ip.String() + "]"
	}
	return ip.String()
}
