package proxy

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"rehydra/proxy/upstream"
)

// A large body of known length goes from the backend's connection to the client's within the kernel, by way of a pipe (splice(2)). What that
// saves is the machine's affair: 1 MiB took 559 µs of processor time against 584 through a buffer of ours where the kernel's TCP takes most of either
// (bench, keepalive-1m, by turns), and 250 against 390 on another. Below 64 KiB a pipe is not worth it.
const (
	spliceLeast = 64 << 10
	// spliceTail is what is left for the usual way: the end of a body is kept back until its session is safe.
	spliceTail = 4 << 10
	// pipeSize is what a pipe holds: some of what a socket's buffer does.
	pipeSize = 256 << 10
)

// pipes lends pipes. One that nobody needs goes with the garbage.
type pipes struct{ pool sync.Pool }

func (p *pipes) get() (*pipe, error) {
	if lent, ok := p.pool.Get().(*pipe); ok {
		return lent, nil
	}
	return newPipe()
}

// put takes a pipe back. One that still holds something is closed: it belongs to a body that nobody gets.
func (p *pipes) put(lent *pipe) {
	if lent.held > 0 {
		lent.ends.close()
		lent.cleanup.Stop()
		return
	}
	p.pool.Put(lent)
}

// pipe is one pipe with what its two system calls need.
type pipe struct {
	ends    pipeEnds
	cleanup runtime.Cleanup
	size    int
	held    int // bytes in it

	most  int   // that fill may take
	moved int   // what fill or drain has moved
	err   error // of either
	last  bool  // nothing follows what is drained
	fill  func(fd uintptr) bool
	drain func(fd uintptr) bool
}

type pipeEnds struct{ out, in int }

func (e pipeEnds) close() {
	_ = unix.Close(e.out) // a pipe has nothing to lose
	_ = unix.Close(e.in)
}

func newPipe() (*pipe, error) {
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_NONBLOCK|unix.O_CLOEXEC); err != nil {
		return nil, fmt.Errorf("cannot make a pipe: %w", err)
	}
	p := &pipe{ends: pipeEnds{fds[0], fds[1]}}
	p.cleanup = runtime.AddCleanup(p, pipeEnds.close, p.ends)
	size, err := unix.FcntlInt(uintptr(p.ends.in), unix.F_SETPIPE_SZ, pipeSize)
	if err != nil { // the user has too much in pipes: it keeps the size that it has
		if size, err = unix.FcntlInt(uintptr(p.ends.in), unix.F_GETPIPE_SZ, 0); err != nil {
			p.ends.close()
			p.cleanup.Stop()
			return nil, fmt.Errorf("cannot measure a pipe: %w", err)
		}
	}
	p.size = size
	p.fill = func(fd uintptr) bool { return p.splice(int(fd), p.ends.in, p.most, 0) }
	p.drain = func(fd uintptr) bool {
		more := unix.SPLICE_F_MORE
		if p.last {
			more = 0
		}
		return p.splice(p.ends.out, int(fd), p.held, more)
	}
	return p, nil
}

// splice moves what it can without waiting. It returns false when there is nothing to be moved yet.
func (p *pipe) splice(from, to, most, flags int) bool {
	for {
		n, err := unix.Splice(from, nil, to, nil, most, unix.SPLICE_F_MOVE|unix.SPLICE_F_NONBLOCK|flags)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if errors.Is(err, unix.EAGAIN) {
			return false
		}
		p.moved, p.err = int(max(n, 0)), err
		return true
	}
}

// spliceBody moves a large body from the backend to the client, all but its end, which relayBody sees to. It does nothing about
// a body that is small, chunked or for a client with TLS.
func (x *exchange) spliceBody(c *upstream.Conn) error {
	if x.coding != codeNone || x.reply.Left() < spliceLeast || x.c.tls != nil || x.c.stream != nil {
		return nil
	}
	from, isTCP := c.NetConn().(*net.TCPConn)
	to, alsoTCP := x.c.raw.(*net.TCPConn)
	if !isTCP || !alsoTCP {
		return nil
	}
	for c.R.Buffered() > 0 { // the beginning came with the head
		if err := x.readPiece(); err != nil {
			return err
		}
		if err := x.flush(); err != nil {
			return err
		}
	}
	if err := x.flush(); err != nil {
		return err
	}
	source, err := from.SyscallConn()
	if err != nil {
		return err
	}
	sink, err := to.SyscallConn()
	if err != nil {
		x.clientFailed = true
		return err
	}
	p, err := x.s.pipes.get()
	if err != nil {
		x.s.log.Warn().Err(err).Msg("a large body is copied")
		return nil
	}
	defer x.s.pipes.put(p)
	return x.pump(p, c, source, sink)
}

// pump lets p carry the body, all but its end.
func (x *exchange) pump(p *pipe, c *upstream.Conn, source, sink syscall.RawConn) error {
	idle := x.pool.Config().Timeouts.Idle
	for first := true; x.reply.Left() > spliceTail; first = false {
		c.SetReadTimeout(idle)
		p.most = int(min(x.reply.Left()-spliceTail, int64(p.size)))
		p.moved, p.err = 0, nil
		err := source.Read(p.fill)
		switch {
		case err != nil:
			return err
		case first && (errors.Is(p.err, unix.EINVAL) || errors.Is(p.err, unix.ENOSYS)):
			return nil // this kernel does not: the usual way is left
		case p.err != nil:
			return os.NewSyscallError("splice", p.err)
		case p.moved == 0:
			return io.ErrUnexpectedEOF
		}
		p.held = p.moved
		x.reply.Took(int64(p.moved))
		x.event.body += int64(p.moved)
		p.last = x.reply.Left() <= spliceTail
		sent, err := x.c.drain(p, sink)
		x.event.bytes += int64(sent)
		if err != nil {
			x.clientFailed = true
			return err
		}
	}
	return nil
}

// drain writes all that p holds to the connection, with the write limit of [client.Write].
func (c *client) drain(p *pipe, sink syscall.RawConn) (sent int, err error) {
	since := 0 // the last time-out
	for stall := (upstream.Stall{}); p.held > 0; {
		if c.write.limit > 0 {
			if at, set := c.write.due(time.Now()); set {
				if err := c.raw.SetWriteDeadline(at); err != nil {
					return sent, err
				}
			}
		}
		p.moved, p.err = 0, nil
		err := sink.Write(p.drain)
		p.held -= p.moved
		sent += p.moved
		since += p.moved
		if err == nil && p.err != nil {
			err = os.NewSyscallError("splice", p.err)
		}
		if err == nil {
			continue
		}
		if c.write.limit == 0 || !isTimeout(err) || stall.Over(c.raw, since) {
			return sent, err
		}
		since = 0
	}
	return sent, nil
}
