package socket

import (
	"errors"
	"io"
	"os"
	"syscall"
)

// maxWrite is the most that one call writes, in bytes: the P is away for as long as it takes, some ten microseconds.
const maxWrite = 64 << 10

// Receive reads what has arrived at a socket that does not block: syscall.EAGAIN where nothing has, io.EOF at the end.
func Receive(fd uintptr, p []byte) (int, error) {
	n, errno := read(fd, p)
	switch {
	case errno == syscall.EAGAIN:
		return 0, syscall.EAGAIN
	case errno != 0:
		return 0, os.NewSyscallError("read", errno)
	case n == 0 && len(p) > 0:
		return 0, io.EOF
	}
	return n, nil
}

// Send writes some of p, which is not empty, to a socket that does not block: syscall.EAGAIN where there is no room.
func Send(fd uintptr, p []byte) (int, error) {
	n, errno := write(fd, p[:min(len(p), maxWrite)])
	switch {
	case errno == syscall.EAGAIN:
		return 0, syscall.EAGAIN
	case errno != 0:
		return 0, os.NewSyscallError("write", errno)
	}
	return n, nil
}

// Silent reports whether a socket is open and has nothing to read, without taking a byte.
func Silent(fd uintptr) bool { return silent(fd) }

// Calls makes the calls on one connection at a time; one goroutine may read while another writes. The deadlines of the connection hold, and closing
// it ends what waits. What the calls need is made at the first of each kind, so that later ones do not allocate. The zero value is ready; it must
// not be copied once it was used.
type Calls struct {
	in, out          progress
	asked            bool
	read, write, ask func(fd uintptr) (done bool)
	look             func(fd uintptr)
	silent           bool
}

// progress is how far a call has come.
type progress struct {
	p   []byte // where to read to, or what is left to write
	n   int    // bytes moved
	err error
}

// Read is net.Conn's.
func (c *Calls) Read(raw syscall.RawConn, p []byte) (int, error) {
	if c.read == nil {
		c.read = c.stepRead
	}
	c.in = progress{p: p}
	if err := raw.Read(c.read); err != nil {
		c.in = progress{}
		return 0, err
	}
	n, err := c.in.n, c.in.err
	c.in = progress{}
	return n, err
}

func (c *Calls) stepRead(fd uintptr) bool {
	n, err := Receive(fd, c.in.p)
	if err == syscall.EAGAIN { //nolint:errorlint // it is never wrapped, and this is a look in vain at each request
		return false
	}
	c.in.n, c.in.err = n, err
	return true
}

// Write is net.Conn's.
func (c *Calls) Write(raw syscall.RawConn, p []byte) (int, error) {
	if c.write == nil {
		c.write = c.stepWrite
	}
	c.out = progress{p: p}
	err := raw.Write(c.write)
	if err == nil {
		err = c.out.err
	}
	n := c.out.n
	c.out = progress{}
	return n, err
}

func (c *Calls) stepWrite(fd uintptr) bool {
	for len(c.out.p) > 0 {
		if !c.send(fd) {
			return false
		}
		if c.out.err != nil {
			return true
		}
	}
	return true
}

// send writes some of what is left; ok is false where there is no room.
func (c *Calls) send(fd uintptr) (ok bool) {
	n, errno := write(fd, c.out.p[:min(len(c.out.p), maxWrite)])
	switch {
	case errno == syscall.EAGAIN:
		return false
	case errno != 0:
		c.out.err = os.NewSyscallError("write", errno)
	default:
		c.out.n += n
		c.out.p = c.out.p[n:]
	}
	return true
}

// ErrNotSilent is what Ask returns where there was something to read, or an end, before the question.
var ErrNotSilent = errors.New("there is something to read before the question")

// Ask looks whether the connection is open and silent, writes p as Write does, and waits until there is something to read, or nothing can come any
// more. ErrNotSilent: nothing was written. n and err are those of writing; where there was no room for all of p, n is less, nothing is
// waited for, and Write is to go on. late is why the wait was given up, the read deadline as a rule.
//
// The wait begins before the look: RawConn.Read forgets what the poller saw before, and what comes later it is told. So nothing is missed although
// nobody reads in vain.
func (c *Calls) Ask(raw syscall.RawConn, p []byte) (n int, late, err error) {
	if c.ask == nil {
		c.ask = c.stepAsk
	}
	c.out, c.asked = progress{p: p}, false
	late = raw.Read(c.ask)
	n, err = c.out.n, c.out.err
	if !c.asked { // nothing was written: the connection is closed, or its time to read is over already
		late, err = nil, late
	}
	c.out = progress{}
	return n, late, err
}

func (c *Calls) stepAsk(fd uintptr) (done bool) {
	if c.asked {
		return true // there is something to read
	}
	c.asked = true
	if !silent(fd) {
		c.out.err = ErrNotSilent
		return true
	}
	return !c.send(fd) || c.out.err != nil || len(c.out.p) > 0
}

// Silent reports whether the connection is open and has nothing to read, without waiting and without taking a byte. What makes it readable is a late or
// surplus answer, the end, or an error.
func (c *Calls) Silent(raw syscall.RawConn) bool {
	if c.look == nil {
		c.look = func(fd uintptr) { c.silent = silent(fd) }
	}
	c.silent = false
	return raw.Control(c.look) == nil && c.silent
}
