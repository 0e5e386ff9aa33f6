package eventloop

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"rehydra/proxy/socket"
)

// Conn is a TCP connection of a group. One goroutine may read while another writes; Close and the deadlines are for any, at any time.
type Conn struct {
	group  *Group
	loop   *loop
	fd     int
	remote netip.AddrPort
	holds  atomic.Int32 // calls that use the descriptor, and one for being open; below 0: it is being closed
	in     side
	out    side
	ended  atomic.Bool // the other side has ended its stream, or all of it
	dry    bool        // a read has found no more: what comes later is an event. It is the reader's.
	roomed bool        // the loop tells of room to write. It is the writer's.
}

var (
	_ net.Conn        = (*Conn)(nil)
	_ syscall.Conn    = (*Conn)(nil)
	_ syscall.RawConn = (*rawConn)(nil)
)

// newConn returns the connection of a descriptor, which belongs to it from then on. Its loop does not know of it yet.
func newConn(g *Group, fd int, remote netip.AddrPort) *Conn {
	c := &Conn{group: g, fd: fd, remote: remote, dry: true} // what has come already is the first event
	c.holds.Store(1)
	c.loop = g.loops[g.added.Add(1)%uint32(len(g.loops))]
	return c
}

// Watch makes the loop tell what happens on the connection from now on. It is to be called once, by who accepted it, before a goroutine waits for it.
func (c *Conn) Watch() error {
	if !c.hold() {
		return net.ErrClosed
	}
	defer c.let()
	if c.group.closed.Load() {
		return net.ErrClosed // and its poller's number may be another's
	}
	if !c.group.table.put(c.fd, c) {
		return os.NewSyscallError("epoll_ctl", syscall.EMFILE)
	}
	if err := c.loop.add(c.fd); err != nil {
		return os.NewSyscallError("epoll_ctl", err)
	}
	return nil
}

// Use says who reads and writes the connection from now on: a worker, or, nil, goroutines that wait by themselves. Nobody may be waiting.
func (c *Conn) Use(w *Worker) { c.in.worker, c.out.worker = w, w }

// UseReading is Use for reading alone.
func (c *Conn) UseReading(w *Worker) { c.in.worker = w }

// UseWriting is Use for writing alone.
func (c *Conn) UseWriting(w *Worker) { c.out.worker = w }

// closing is in holds when the connection is closed.
const closing = -1 << 31

// hold keeps the descriptor from being closed. It returns false where it is, or is about to be.
func (c *Conn) hold() bool {
	for {
		n := c.holds.Load()
		if n < 0 {
			return false
		}
		if c.holds.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// let is the end of hold.
func (c *Conn) let() {
	if c.holds.Add(-1) == closing {
		c.group.table.put(c.fd, nil) // before: the number may be another's at once
		_ = unix.Close(c.fd)         // everything was said
	}
}

// Close closes the connection. Who waits for it gets net.ErrClosed, and a job that does is begun.
func (c *Conn) Close() error {
	for {
		n := c.holds.Load()
		if n < 0 {
			return net.ErrClosed
		}
		if c.holds.CompareAndSwap(n, n+closing) {
			break
		}
	}
	c.in.end()
	c.out.end()
	c.in.rouse(c.group)
	c.out.rouse(c.group)
	c.let()
	return nil
}

// fits returns why nobody may wait for s any more, if so.
func (c *Conn) fits(s *side) error {
	if s.expired.Load() {
		return os.ErrDeadlineExceeded
	}
	if c.holds.Load() < 0 {
		return net.ErrClosed
	}
	return nil
}

// wait waits until something has happened on s, or, at once, where something has since somebody waited. What it was is to be looked for: it may
// be nothing, and is the last word only where there is an error.
func (c *Conn) wait(s *side) error {
	if err := c.fits(s); err != nil {
		return err
	}
	switch {
	case s.worker != nil:
		s.worker.yield(s)
	case s.wake == nil:
		s.wake = make(chan struct{}, 1)
		fallthrough
	default:
		if s.arm(waiter{wake: s.wake}) {
			<-s.wake
		}
	}
	return c.fits(s)
}

// Read is net.Conn's.
func (c *Conn) Read(p []byte) (int, error) {
	if !c.hold() {
		return 0, net.ErrClosed
	}
	defer c.let()
	if err := c.fits(&c.in); err != nil {
		return 0, err
	}
	if len(p) == 0 {
		return 0, nil
	}
	for {
		if err := c.awaitBytes(); err != nil {
			return 0, err
		}
		n, err := c.receive(p)
		if err != syscall.EAGAIN { //nolint:errorlint // it is never wrapped
			return n, err
		}
	}
}

// awaitBytes waits until there may be something to read, where a look would be in vain.
func (c *Conn) awaitBytes() error {
	if !c.dry || c.ended.Load() {
		return nil
	}
	c.dry = false // what is told may come with the end of the deadline: the next read is to look
	return c.wait(&c.in)
}

// TryRead is Read, without waiting: syscall.EAGAIN where nothing has arrived.
func (c *Conn) TryRead(p []byte) (int, error) {
	if !c.hold() {
		return 0, net.ErrClosed
	}
	defer c.let()
	if err := c.fits(&c.in); err != nil {
		return 0, err
	}
	if c.dry && !c.ended.Load() && c.in.quiet() {
		return 0, syscall.EAGAIN
	}
	return c.receive(p)
}

func (c *Conn) receive(p []byte) (int, error) {
	n, err := socket.Receive(uintptr(c.fd), p)
	c.dry = n < len(p)
	if err == syscall.EAGAIN { //nolint:errorlint // it is never wrapped
		c.ended.Store(false) // so it has not; where it does now, that is an event
	}
	return n, err
}

// WriteTo is io.WriterTo's: it moves all that comes to w. While nothing comes it has no buffer.
func (c *Conn) WriteTo(w io.Writer) (moved int64, err error) {
	for {
		n, err := c.moveTo(w)
		moved += n
		switch {
		case errors.Is(err, io.EOF):
			return moved, nil
		case err != nil:
			return moved, err
		}
	}
}

// moveTo moves what has come to w, or waits for it.
func (c *Conn) moveTo(w io.Writer) (moved int64, err error) {
	if !c.hold() {
		return 0, net.ErrClosed
	}
	defer c.let()
	if err := c.fits(&c.in); err != nil {
		return 0, err
	}
	if err := c.awaitBytes(); err != nil {
		return 0, err
	}
	buffer := c.group.buffers.Get().(*[copyBuffer]byte)
	defer c.group.buffers.Put(buffer)
	n, err := c.receive(buffer[:])
	switch {
	case err == syscall.EAGAIN: //nolint:errorlint // it is never wrapped
		return 0, nil
	case err != nil:
		return 0, err
	}
	m, err := w.Write(buffer[:n])
	return int64(m), err
}

// copyBuffer is how much WriteTo moves at once, in bytes.
const copyBuffer = 32 << 10

// Write is net.Conn's.
func (c *Conn) Write(p []byte) (written int, err error) {
	if !c.hold() {
		return 0, net.ErrClosed
	}
	defer c.let()
	if err := c.fits(&c.out); err != nil {
		return 0, err
	}
	return c.writeAll(p, 0)
}

// WriteWithin is Write, but that each wait for room may take as long as limit, whatever deadline stands. Most writes wait for nothing: these set no
// deadline and need no timer, nor to know the time.
func (c *Conn) WriteWithin(p []byte, limit time.Duration) (written int, err error) {
	if !c.hold() {
		return 0, net.ErrClosed
	}
	defer c.let()
	return c.writeAll(p, limit)
}

// writeAll writes p. Each wait for room may take as long as limit; 0: the deadline that stands holds.
func (c *Conn) writeAll(p []byte, limit time.Duration) (written int, err error) {
	for written < len(p) {
		n, err := socket.Send(uintptr(c.fd), p[written:])
		written += n
		if err == nil {
			continue
		}
		if err != syscall.EAGAIN { //nolint:errorlint // it is never wrapped
			return written, err
		}
		if limit > 0 {
			c.out.setDeadline(c.group, time.Now().Add(limit))
		}
		if err := c.awaitRoom(); err != nil {
			return written, err
		}
	}
	return written, nil
}

// awaitRoom waits until there may be room to write.
func (c *Conn) awaitRoom() error {
	if !c.roomed {
		c.out.forget()
		if err := c.loop.addRoom(c.fd); err != nil { // what there is it tells at once
			return os.NewSyscallError("epoll_ctl", err)
		}
		c.roomed = true
	}
	return c.wait(&c.out)
}

// Rest lets a job begin when there is something to read, when the deadline for that is over, or when the connection is closed. Nobody may use the
// connection until then. It returns false where one of them has come already: then nothing was begun.
func (c *Conn) Rest(j Job) (rests bool) {
	c.Use(nil)
	if !c.dry || c.ended.Load() || c.fits(&c.in) != nil {
		return false
	}
	c.dry = false // whoever is told is to look
	return c.in.arm(waiter{job: j})
}

// Begin begins a job at once, in a goroutine of its own.
func (c *Conn) Begin(j Job) { waiter{job: j}.goOn(c.group) }

// SetDeadline is net.Conn's.
func (c *Conn) SetDeadline(at time.Time) error {
	return errors.Join(c.SetReadDeadline(at), c.SetWriteDeadline(at))
}

// SetReadDeadline is net.Conn's, but that a read or write which need not wait may still be done after it.
func (c *Conn) SetReadDeadline(at time.Time) error { return c.setDeadline(&c.in, at) }

// SetWriteDeadline is as SetReadDeadline.
func (c *Conn) SetWriteDeadline(at time.Time) error { return c.setDeadline(&c.out, at) }

func (c *Conn) setDeadline(s *side, at time.Time) error {
	if c.holds.Load() < 0 {
		return net.ErrClosed
	}
	s.setDeadline(c.group, at)
	return nil
}
