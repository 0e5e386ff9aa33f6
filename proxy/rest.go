package proxy

import (
	"bufio"
	"errors"
	"net"
	"sync"
	"syscall"
	"time"
)

// rest is what a connection needs to wait for its next request without a buffer: a
// server holds many more connections that are idle than such that are not.
type rest struct {
	raw    syscall.RawConn // nil: it waits with its buffer, as one that speaks TLS does
	look   func(fd uintptr) bool
	fd     uintptr
	direct bool // Read is called by look, and must not wait
	err    error
}

// prepareRest makes waiting without a buffer possible where it is.
func (c *client) prepareRest(readers *sync.Pool) {
	tcp, ok := c.raw.(*net.TCPConn)
	if !ok || c.tls != nil {
		return
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return
	}
	c.rest.raw, c.sock = raw, raw
	c.rest.look = func(fd uintptr) bool { // made once, so that waiting does not allocate
		c.r = readers.Get().(*bufio.Reader)
		c.r.Reset(c)
		c.rest.fd, c.rest.direct = fd, true
		_, err := c.r.Peek(1)
		c.rest.direct = false
		if errors.Is(err, syscall.EAGAIN) {
			c.putReader(readers)
			return false
		}
		c.rest.err = err
		return true
	}
}

// putReader gives the reader back.
func (c *client) putReader(readers *sync.Pool) {
	if c.r != nil {
		c.r.Reset(nil)
		readers.Put(c.r)
		c.r = nil
	}
}

// await waits for the first byte of a request, within the read limit from now on. There is none after an error.
func (c *client) await(readers *sync.Pool, now time.Time) error {
	if c.r.Buffered() > 0 {
		return nil
	}
	if c.rest.raw == nil {
		// All reads together: under TLS many of them may bring no byte of a request.
		limit := c.read.limit
		if limit > 0 {
			if err := c.setReadEnd(limit); err != nil {
				return err
			}
		}
		_, err := c.r.Peek(1)
		c.setReadLimit(limit)
		return err
	}
	if at, set := c.read.due(now); set {
		if err := c.raw.SetReadDeadline(at); err != nil {
			return err
		}
	}
	c.putReader(readers)
	if err := c.rest.raw.Read(c.rest.look); err != nil {
		return err
	}
	return c.rest.err
}
