package upstream

import (
	"io"
	"net"
	"testing"
	"time"
)

// TestUnread: only a request that came after the end of the connection is known to be read by nobody.
func TestUnread(t *testing.T) {
	const request = "POST / HTTP/1.1\r\n\r\n"
	readIt := func(c net.Conn) { _, _ = io.ReadFull(c, make([]byte, len(request))) }
	for _, tc := range []struct {
		name   string
		before func(c *net.TCPConn) // before the request
		after  func(c *net.TCPConn) // after it
		want   bool
	}{
		{"closed before", func(c *net.TCPConn) { c.Close() }, nil, true},
		{"read and closed", nil, func(c *net.TCPConn) { readIt(c); c.Close() }, false},
		{"read in part and closed", nil, func(c *net.TCPConn) { _, _ = c.Read(make([]byte, 5)); c.Close() }, false},
		{"read and reset", nil, func(c *net.TCPConn) { readIt(c); _ = c.SetLinger(0); c.Close() }, false},
		{"reset before", func(c *net.TCPConn) { _ = c.SetLinger(0); c.Close() }, nil, false},
		{"half closed before, and read", func(c *net.TCPConn) { _ = c.CloseWrite() }, func(c *net.TCPConn) { readIt(c) }, false},
		// A server that lingers: it can answer nothing any more, and what it still takes it throws away.
		{"half closed before, then closed", func(c *net.TCPConn) { _ = c.CloseWrite() },
			func(c *net.TCPConn) { _, _ = c.Read(make([]byte, 1)); c.Close() }, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			accepted, over := make(chan *net.TCPConn, 1), make(chan struct{})
			s := serve(t, "127.0.0.1:0", func(c net.Conn) { accepted <- c.(*net.TCPConn); <-over })
			defer close(over)
			b := onePool(t, s.addr, Timeouts{})
			c := acquire(t, b)
			defer c.Close()
			far := <-accepted
			// A request before, whose bytes are acknowledged.
			if _, err := io.WriteString(c, request); err != nil {
				t.Fatal(err)
			}
			readIt(far)
			if _, err := io.WriteString(far, "ok"); err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadFull(c.R, make([]byte, 2)); err != nil {
				t.Fatal(err)
			}
			c.before = c.written
			if tc.before != nil {
				tc.before(far)
				eventually(t, "the end has arrived", c.hungUp)
			}
			_, werr := io.WriteString(c, request)
			if tc.after != nil {
				tc.after(far)
			}
			c.SetReadTimeout(10 * time.Second)
			_, rerr := c.R.ReadByte()
			if got := c.Unread(); got != tc.want {
				t.Errorf("unread: %v, wanted %v (write: %v, read: %v)", got, tc.want, werr, rerr)
			}
		})
	}
}
