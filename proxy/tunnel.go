package proxy

import (
	"io"
	"net"
	"sync"
	"time"

	"rehydra/proxy/http1"
	"rehydra/proxy/upstream"
)

// tunnel relays a 101 and then bytes in both directions until both sides have
// closed theirs. It always ends the connection.
func (x *exchange) tunnel(b *upstream.Backend, c *upstream.Conn) (next bool) {
	defer func() { _ = c.Close() }() // both directions are over
	x.borrowBuffer()
	x.out = http1.AppendStatusLine(x.out, 101, x.resp.Reason)
	x.appendFields()
	x.out = append(x.out, "Connection: Upgrade\r\n"...)
	x.out = http1.AppendField(x.out, "Upgrade", x.resp.Upgrade)
	x.out = append(x.out, "\r\n"...)
	x.out = append(x.out, peeked(c.R)...)
	if x.flush() != nil {
		return false
	}
	x.returnBuffer()
	x.c.state.Store(stateTunnel)
	var noDeadline time.Time
	x.c.read.limit, x.c.write.limit = 0, 0
	c.SetReadTimeout(0)
	c.SetWriteTimeout(0)
	if x.c.raw.SetDeadline(noDeadline) != nil || c.NetConn().SetDeadline(noDeadline) != nil {
		return false
	}
	early := append([]byte(nil), peeked(x.c.r)...)
	x.leaveLoop()
	c.UseFreely()
	if x.c.looped != nil {
		x.c.looped.Use(nil)
	}
	x.s.tunnels.begin()
	defer x.s.tunnels.end()
	quiet := watchQuiet(x.pool.Config().Timeouts.Tunnel, x.c.raw, c.NetConn())
	var both sync.WaitGroup
	var up, down int64
	both.Go(func() {
		n, err := c.NetConn().Write(early)
		up = int64(n)
		if err == nil {
			n, cerr := io.Copy(c.NetConn(), x.c.conn)
			up, err = up+n, cerr
		}
		closeSide(c.NetConn(), x.c.conn, err)
	})
	both.Go(func() {
		var err error
		down, err = io.Copy(x.c.conn, c.NetConn())
		closeSide(x.c.conn, c.NetConn(), err)
	})
	both.Wait()
	if quiet.stop() {
		x.event.failure = "tunnel silent"
	}
	x.event.bytes += down
	x.event.body += down
	b.AddTraffic(up, down)
	return false
}

// closeSide passes an end of stream on. After an error there is nothing to pass
// on, and both connections end, without TLS saying that this was all.
func closeSide(to, from net.Conn, err error) {
	if hc, ok := to.(interface{ CloseWrite() error }); ok && err == nil {
		if hc.CloseWrite() == nil {
			return
		}
	}
	cutOff(to) // this wakes the other direction, which ends too
	cutOff(from)
}

// cutOff closes the transport of a connection.
func cutOff(c net.Conn) {
	if secure, ok := c.(interface{ NetConn() net.Conn }); ok {
		c = secure.NetConn()
	}
	_ = c.Close() // it fails only where nothing is open
}
