package upstream

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"rehydra/proxy/eventloop"
	"rehydra/proxy/socket"
)

// readBuffer is the size of a connection's reader, in bytes. Reads of a larger body go past it. A page of 16 KiB comes in one read and goes out in
// one write with its head, where a reader of 16 KiB needs two of each: that took 16 % off the processor time of client, proxy and backend together.
const readBuffer = 32 << 10

// Conn is a connection to a backend in use by one request. Reading may be done by one goroutine and writing by another.
//
// It ends with Backend.Release, when nobody uses it any more, or with Close, at any time.
type Conn struct {
	// R reads the connection. It is lent by a pool while the connection is in use (an idle one holds no buffer) and must not
	// be kept: after Release it is another connection's. With a connection of LookAsking it is nil until Ask returns.
	R *bufio.Reader
	// Reused says that the connection has served a request before, so that a backend may have closed it meanwhile.
	Reused bool

	net     net.Conn
	looped  *eventloop.Conn // net, where event loops serve it; nil: package net does
	secured *secured        // nil: there is no TLS
	backend *shared
	epoch   uint64
	usedAt  time.Time     // when it became idle
	idleFor time.Duration // how long it was when it was acquired
	written uint64        // bytes, since it was made
	before  uint64        // of them, before it was acquired
	failed  atomic.Bool
	closed  atomic.Bool
	ended   atomic.Bool // watch saw that the backend ended it, in whatever way
	eof     atomic.Bool // a read saw the end of the stream
	reset   atomic.Bool // a read or write was told of a reset
	fd      int32       // where watched
	watched bool
	read    deadline
	write   deadline

	raw     syscall.RawConn
	calls   socket.Calls
	unseen  bool  // nobody has looked whether it is open and silent
	arrived bool  // Ask saw something to read, which nobody has read
	late    error // why Ask gave up waiting, for the next read
}

// newConn takes over an open connection.
func newConn(nc net.Conn, backend *shared, epoch uint64) (*Conn, error) {
	c := &Conn{net: nc, backend: backend, epoch: epoch}
	c.looped, _ = nc.(*eventloop.Conn)
	c.read.set, c.write.set = nc.SetReadDeadline, nc.SetWriteDeadline
	sc, ok := nc.(syscall.Conn)
	if !ok {
		return nil, fmt.Errorf("cannot look at a connection of type %T", nc)
	}
	var err error
	if c.raw, err = sc.SyscallConn(); err != nil {
		return nil, fmt.Errorf("cannot look at a connection: %w", err)
	}
	return c, nil
}

// Epoch is the backend's epoch in which the connection was made.
func (c *Conn) Epoch() uint64 { return c.epoch }

// NetConn is the connection itself, a *eventloop.Conn, a *net.TCPConn, or TLS over one, for splice. On the first two time-outs set here do not roll; on
// the latter those that are not 0 do.
func (c *Conn) NetConn() net.Conn {
	if c.secured != nil {
		return c.secured.conn
	}
	return c.net
}

// SetReadTimeout lets every read wait at most about d from now or from its own start: at least d and at most an eighth more, since a
// deadline that moves by less is left as it is (setting one costs as much as a small read). 0 is no limit. It may be called by
// another goroutine than the reading one and holds for a read that waits already.
func (c *Conn) SetReadTimeout(d time.Duration) { c.read.setTimeout(d) }

// SetWriteTimeout is SetReadTimeout for writes.
func (c *Conn) SetWriteTimeout(d time.Duration) { c.write.setTimeout(d) }

// Read reads past R; what R holds comes first.
func (c *Conn) Read(p []byte) (int, error) {
	if c.secured == nil {
		return c.readRaw(p)
	}
	n, err := c.secured.conn.Read(p)
	if err != nil {
		c.note(err)
	}
	return n, err
}

// Write writes all of p. The write time-out is for a time in which the backend takes nothing: one that reads slowly is not cut.
func (c *Conn) Write(p []byte) (written int, err error) {
	if c.secured == nil {
		return c.writeRaw(p)
	}
	n, err := c.secured.conn.Write(p)
	if err != nil {
		c.note(err)
	}
	return n, err
}

// Ask is Write, by the goroutine that reads, for a request after which nothing but its answer can come. With a connection of LookAsking it looks
// first, and waits for the answer within the read time-out, so that the first read does not look in vain; that the time is over is told by that
// read. now is the current time. ErrStale: the connection is not of use any more; nothing was sent, and it is closed.
//
// The reader is lent when the wait is over: a request that waits for a slow backend holds 32 KiB less, and the few readers that go round stay in the
// processor's cache, which took 2 % off the processor time of an answer of 16 KiB.
func (c *Conn) Ask(p []byte, now time.Time) (written int, err error) {
	if !c.unseen {
		return c.Write(p) // a new one may have brought something before the wait begins
	}
	c.unseen = false
	c.read.rollAt(now) // the write time-out is writeRaw's: this write does not wait
	if c.looped != nil {
		written, c.late, err = c.looped.Ask(p)
	} else {
		written, c.late, err = c.calls.Ask(c.raw, p)
	}
	c.arrived = err == nil && c.late == nil && written == len(p)
	switch {
	case errors.Is(err, socket.ErrNotSilent):
		c.backend.stale.Add(1)
		_ = c.Close() // it is broken: nothing can be done about an error
		return 0, ErrStale
	case err != nil:
		c.note(err)
	}
	c.R = c.backend.idle.readers.get(c)
	if written > 0 {
		c.backend.reused.Add(1)
	}
	c.written += uint64(written)
	if err == nil && written < len(p) {
		more, err := c.writeRaw(p[written:])
		return written + more, err
	}
	return written, err
}

// readRaw reads from the connection below TLS, or without it.
func (c *Conn) readRaw(p []byte) (int, error) {
	if err := c.late; err != nil {
		c.late = nil
		c.note(err)
		return 0, err
	}
	if c.arrived {
		c.arrived = false // this read does not wait
	} else {
		c.read.roll()
	}
	n, err := c.receive(p)
	if err != nil {
		c.note(err)
	}
	return n, err
}

// writeRaw writes to the connection below TLS, or without it.
func (c *Conn) writeRaw(p []byte) (written int, err error) {
	for stall := (Stall{}); ; {
		c.write.roll()
		n, err := c.send(p[written:])
		written += n
		c.written += uint64(n)
		if err == nil {
			return written, nil
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) || stall.Over(c.net, n) {
			c.note(err)
			return written, err
		}
	}
}

// UsePump says that another goroutine than the one that acquired the connection writes to it from now on.
func (c *Conn) UsePump() {
	if c.looped != nil {
		c.looped.UseWriting(nil)
	}
}

// UseFreely says that any goroutines use the connection from now on, one for each direction.
func (c *Conn) UseFreely() {
	if c.looped != nil {
		c.looped.Use(nil)
	}
}

// receive reads once.
func (c *Conn) receive(p []byte) (int, error) {
	if c.looped != nil {
		return c.looped.Read(p)
	}
	return c.calls.Read(c.raw, p)
}

// send writes once.
func (c *Conn) send(p []byte) (int, error) {
	if c.looped != nil {
		return c.looped.Write(p)
	}
	return c.calls.Write(c.raw, p)
}

// note keeps what an error says of the connection.
func (c *Conn) note(err error) {
	c.failed.Store(true)
	switch {
	case errors.Is(err, io.EOF):
		c.eof.Store(true)
	case errors.Is(err, syscall.ECONNRESET):
		c.reset.Store(true)
	}
}

// Close closes the connection. A read or write that waits ends with an error. Calling it again does nothing.
// The reader is not given back, since another goroutine may be reading.
func (c *Conn) Close() error {
	if c.closed.Swap(true) {
		return nil
	}
	c.backend.open.Add(-1)
	c.backend.watch.remove(c)
	return c.net.Close()
}

// usable looks at an idle connection: open, and nothing to read.
func (c *Conn) usable() bool {
	if c.secured != nil && !c.secured.silent() {
		return false
	}
	if c.looped != nil {
		return c.looped.Silent()
	}
	return c.calls.Silent(c.raw)
}

// deadline is one direction's rolling deadline.
type deadline struct {
	mu      sync.Mutex
	set     func(time.Time) error
	timeout time.Duration
	at      time.Time // what was set last; zero: none
}

func (d *deadline) setTimeout(timeout time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.timeout = timeout
	d.arm(time.Now())
}

// preset sets the time-out without arming it.
func (d *deadline) preset(timeout time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.timeout = timeout
}

func (d *deadline) roll() { d.rollAt(time.Now()) }

func (d *deadline) rollAt(now time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.arm(now)
}

// arm sets the deadline unless the one that is set lies between timeout and timeout and an eighth from now. The connection's
// own error comes up at the next read or write, so that of setting is not needed.
func (d *deadline) arm(now time.Time) {
	if d.timeout <= 0 {
		if !d.at.IsZero() {
			d.at = time.Time{}
			_ = d.set(d.at)
		}
		return
	}
	slack := d.timeout / 8
	if left := d.at.Sub(now); !d.at.IsZero() && left >= d.timeout && left <= d.timeout+slack {
		return
	}
	d.at = now.Add(d.timeout + slack)
	_ = d.set(d.at)
}
