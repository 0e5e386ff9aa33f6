package eventloop

import (
	"net"
	"syscall"
)

// SyscallConn returns the descriptor's way out.
func (c *Conn) SyscallConn() (syscall.RawConn, error) { return (*rawConn)(c), nil }

type rawConn Conn

// Control is syscall.RawConn's.
func (r *rawConn) Control(f func(fd uintptr)) error {
	c := (*Conn)(r)
	if !c.hold() {
		return net.ErrClosed
	}
	defer c.let()
	f(uintptr(c.fd))
	return nil
}

// Read is syscall.RawConn's.
func (r *rawConn) Read(f func(fd uintptr) (done bool)) error {
	c := (*Conn)(r)
	return c.each(&c.in, f)
}

// Write is syscall.RawConn's.
func (r *rawConn) Write(f func(fd uintptr) (done bool)) error {
	c := (*Conn)(r)
	return c.each(&c.out, f)
}

func (c *Conn) each(s *side, f func(fd uintptr) (done bool)) error {
	if !c.hold() {
		return net.ErrClosed
	}
	defer c.let()
	if err := c.fits(s); err != nil {
		return err
	}
	reads := s == &c.in
	if reads {
		c.dry = false // f may leave something
		s.forget()
	}
	for !f(uintptr(c.fd)) {
		var err error
		if reads {
			err = c.wait(s)
		} else {
			err = c.awaitRoom()
		}
		if err != nil {
			return err
		}
	}
	return nil
}
