package eventloop

import (
	"net"
	"syscall"

	"rehydra/proxy/socket"
)

// Ask is that of [socket.Calls]: it looks whether the connection is open and silent, writes p, and waits until there is something to read.
func (c *Conn) Ask(p []byte) (n int, late, err error) {
	if !c.hold() {
		return 0, nil, net.ErrClosed
	}
	defer c.let()
	if err := c.fits(&c.in); err != nil {
		return 0, nil, err
	}
	c.in.forget() // what comes from now on is told
	if !socket.Silent(uintptr(c.fd)) {
		c.dry = false // that was forgotten, or will be told in vain
		return 0, nil, socket.ErrNotSilent
	}
	n, err = socket.Send(uintptr(c.fd), p)
	if err == syscall.EAGAIN { //nolint:errorlint // it is never wrapped
		err = nil
	}
	if err != nil || n < len(p) {
		return n, nil, err
	}
	late = c.wait(&c.in)
	c.dry = false
	return n, late, nil
}

// Silent reports whether the connection is open and has nothing to read.
func (c *Conn) Silent() bool {
	if !c.hold() {
		return false
	}
	defer c.let()
	return socket.Silent(uintptr(c.fd))
}
