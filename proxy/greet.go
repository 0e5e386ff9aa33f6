package proxy

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"syscall"
	"time"

	"github.com/pires/go-proxyproto"

	"rehydra/proxy/socket"
	"rehydra/proxy/tlsfront"
	"rehydra/proxy/upstream"
)

var (
	errNoTLS   = errors.New("no certificate is set for TLS")
	errNotAnIP = errors.New("it names no client by IP address and port")
)

// greet does what comes before HTTP on a new connection: the PROXY header of a
// peer that sends one, and the TLS handshake. What they say of the client is in
// c then. All of it has the time of one request head. It reports whether there
// is HTTP to be served.
func (c *client) greet(s *Server, kind Kind) bool {
	front := s.front.Load()
	proxied := within(front.ProxyProtocol, c.peer)
	if !proxied && kind == Plain {
		return true
	}
	if c.raw.SetDeadline(time.Now().Add(s.limits.HeaderTimeout)) != nil {
		return false
	}
	if proxied {
		if err := c.readProxyHeader(); err != nil {
			if !c.silent() {
				s.counts.badProxyHeaders.Add(1)
				s.log.Warn().Err(err).Str("client", c.addr).Msg("PROXY header refused")
			}
			return false
		}
		c.heard()
	}
	if kind == TLS {
		if err := c.handshake(s.ctx, front.TLS); err != nil {
			if !c.silent() {
				s.counts.badHandshakes.Add(1)
				s.log.Debug().Err(err).Str("client", c.addr).Msg("TLS handshake failed")
			}
			return false
		}
	}
	c.read.reset()
	c.write.reset()
	var none time.Time
	return c.raw.SetDeadline(none) == nil
}

// heard notes that the greeting goes on, for the drain.
func (c *client) heard() { c.greeted.Store(time.Now().UnixNano()) }

// silent reports whether the peer has sent nothing at all, as a check of a load
// balancer that only connects, or was disturbed by a drain.
func (c *client) silent() bool { return c.in == 0 || c.state.Load() == stateClosed }

// readProxyHeader takes a PROXY header off the connection. The header of a
// connection that the peer made for itself (LOCAL) names nobody else.
func (c *client) readProxyHeader() error {
	h, err := proxyproto.Read(c.r)
	if err != nil {
		return fmt.Errorf("cannot read the PROXY header: %w", err)
	}
	if h.Command.IsLocal() {
		return nil
	}
	source, ok := h.SourceAddr.(*net.TCPAddr)
	if !ok {
		return errNotAnIP
	}
	addr, ok := netip.AddrFromSlice(source.IP)
	if !ok {
		return errNotAnIP
	}
	c.peer = addr.Unmap()
	c.addr = c.peer.String()
	return nil
}

// handshake makes c.conn the TLS connection over c.raw. It ends with ctx, and
// with the deadline of c.raw.
func (c *client) handshake(ctx context.Context, config *tls.Config) error {
	if config == nil {
		return errNoTLS
	}
	w := &wire{Conn: c.raw, c: c, early: append([]byte(nil), peeked(c.r)...)}
	conn := tls.Server(w, config)
	c.r.Reset(c)
	if err := conn.HandshakeContext(ctx); err != nil {
		return err
	}
	state := conn.ConnectionState()
	if raw, err := w.SyscallConn(); err == nil && c.looped == nil {
		c.calls, c.sock = new(socket.Calls), raw // before anybody else has c
	}
	c.conn, c.tls = conn, &state
	c.tlsFields = tlsfront.AppendFields(nil, &state)
	return nil
}

// wire is what lies below TLS: the transport with the client's rolling
// deadlines. They cannot lie above, since a TLS connection is of no use after a
// write that timed out.
type wire struct {
	net.Conn
	c     *client
	early []byte // what was read together with the PROXY header
}

// NetConn is the transport.
func (w *wire) NetConn() net.Conn { return w.Conn }

// SyscallConn is that of the transport.
func (w *wire) SyscallConn() (syscall.RawConn, error) {
	sc, ok := w.Conn.(syscall.Conn)
	if !ok {
		return nil, fmt.Errorf("cannot look at a connection of type %T", w.Conn)
	}
	return sc.SyscallConn()
}

func (w *wire) Read(p []byte) (int, error) {
	if len(w.early) > 0 {
		n := copy(p, w.early)
		if w.early = w.early[n:]; len(w.early) == 0 {
			w.early = nil
		}
		return n, nil
	}
	n, err := w.c.readRaw(p)
	if w.c.tls == nil {
		w.c.in += int64(n) // see silent
		w.c.heard()
	}
	if errors.Is(err, io.EOF) && w.c.protocol() != "h2" { // whose frames have ends of their own
		err = upstream.ErrUnannounced
	}
	return n, err
}

func (w *wire) Write(p []byte) (int, error) { return w.c.writeRaw(p) }

// SetWriteDeadline is called by TLS alone, for its last word: that has a time of its own, which no rolling deadline may take the place of. TLS holds
// the lock of its writes meanwhile.
func (w *wire) SetWriteDeadline(at time.Time) error {
	w.c.write.limit = 0
	return w.Conn.SetWriteDeadline(at)
}
