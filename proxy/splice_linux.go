package proxy

import (
	"errors"
	"io"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"rehydra/proxy/upstream"
)

// A large body of known length goes from the backend's connection to the client's within the kernel, by way of a pipe (splice(2)). What that
// saves is the machine's affair: 1 MiB took 559 µs of processor time against 584 through a buffer of ours where the kernel's TCP takes most of either
// (bench, keepalive-1m, by turns), and 250 against 390 on another; a pipe that holds all of it takes another 15 % off. Below 64 KiB a pipe is not worth it.
const (
	spliceLeast = 64 << 10
	// spliceTail is what is left for the usual way where the end of a body is kept back until its session is safe.
	spliceTail = 4 << 10
	// spliceSlow is what goes in one step to a client that does not take more: what waits for it is memory of the kernel's.
	spliceSlow = 256 << 10
)

// spliceBody moves a large body from the backend to the client, or all but its end where that is kept back, which relayBody sees to. It does nothing
// about a body that is small, chunked or for a client with TLS.
func (x *exchange) spliceBody(c *upstream.Conn, keepEnd bool) error {
	if x.coding != codeNone || x.reply.Left() < spliceLeast || x.c.tls != nil || x.c.stream != nil {
		return nil
	}
	from, isSocket := c.NetConn().(syscall.Conn) // TLS is none
	to, alsoSocket := x.c.raw.(syscall.Conn)
	if !isSocket || !alsoSocket {
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
		if !errors.Is(err, errSmallPipe) {
			x.s.log.Warn().Err(err).Msg("a large body is copied")
		}
		return nil
	}
	defer x.s.pipes.put(p)
	var keep int64
	if keepEnd {
		keep = spliceTail
	}
	return x.pump(p, c, source, sink, keep)
}

// pump lets p carry the body, all but as many bytes of it as are to be kept back.
func (x *exchange) pump(p *pipe, c *upstream.Conn, source, sink syscall.RawConn, keep int64) error {
	idle := x.pool.Config().Timeouts.Idle
	step := p.size
	for first := true; x.reply.Left() > keep; first = false {
		c.SetReadTimeout(idle)
		p.most = int(min(x.reply.Left()-keep, int64(step)))
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
		p.held, p.waited = p.moved, false
		x.reply.Took(int64(p.moved))
		x.event.body += int64(p.moved)
		p.last = x.reply.Left() <= keep
		sent, err := x.c.drain(p, sink)
		x.event.bytes += int64(sent)
		if err != nil {
			x.clientFailed = true
			return err
		}
		if p.waited {
			step = min(step, spliceSlow)
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
