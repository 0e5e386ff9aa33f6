package proxy

import (
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"rehydra/proxy/socket"
)

// What pipes hold, in bytes. A user without privileges may have 64 MiB in pipes (pipe(7), pipe-user-pages-soft), and gets pipes of 8 KiB from then on: the
// first ones are large, the others less so.
const (
	pipeLarge  = 1 << 20
	pipeSmall  = 256 << 10
	largePipes = 32
)

// pipes lends pipes. One that nobody needs goes with the garbage.
type pipes struct {
	pool sync.Pool
	open atomic.Int64
}

func (p *pipes) get() (*pipe, error) {
	if lent, ok := p.pool.Get().(*pipe); ok {
		return lent, nil
	}
	return p.make()
}

// put takes a pipe back. One that still holds something is closed: it belongs to a body that nobody gets.
func (p *pipes) put(lent *pipe) {
	if lent.held > 0 {
		lent.cleanup.Stop()
		lent.ends.close()
		return
	}
	p.pool.Put(lent)
}

// errSmallPipe means that the user has too much in pipes already.
var errSmallPipe = errors.New("the system gives no pipe that is worth it")

func (p *pipes) make() (*pipe, error) {
	size := pipeLarge
	if p.open.Add(1) > largePipes {
		size = pipeSmall
	}
	made, err := newPipe(pipeEnds{open: &p.open}, size)
	if err != nil {
		p.open.Add(-1)
	}
	return made, err
}

// pipe is one pipe with what its two system calls need.
type pipe struct {
	ends    pipeEnds
	cleanup runtime.Cleanup
	size    int
	held    int // bytes in it

	most   int   // that fill may take
	moved  int   // what fill or drain has moved
	err    error // of either
	last   bool  // nothing follows what is drained
	waited bool  // drain found no room
	fill   func(fd uintptr) bool
	drain  func(fd uintptr) bool
}

type pipeEnds struct {
	out, in int
	open    *atomic.Int64 // counts the pipes that are
}

func (e pipeEnds) close() {
	_ = unix.Close(e.out) // a pipe has nothing to lose
	_ = unix.Close(e.in)
	e.open.Add(-1)
}

// newPipe makes a pipe that holds size bytes, or fewer, but at least spliceLeast: errSmallPipe. After an error nothing is left open.
func newPipe(ends pipeEnds, size int) (*pipe, error) {
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_NONBLOCK|unix.O_CLOEXEC); err != nil {
		return nil, fmt.Errorf("cannot make a pipe: %w", err)
	}
	ends.out, ends.in = fds[0], fds[1]
	p := &pipe{ends: ends}
	var err error
	if p.size, err = unix.FcntlInt(uintptr(ends.in), unix.F_SETPIPE_SZ, size); err != nil { // not allowed: less may be, else it keeps the size that it has
		if p.size, err = unix.FcntlInt(uintptr(ends.in), unix.F_SETPIPE_SZ, pipeSmall); err != nil {
			p.size, err = unix.FcntlInt(uintptr(ends.in), unix.F_GETPIPE_SZ, 0)
		}
	}
	if err == nil && p.size < spliceLeast {
		err = errSmallPipe
	}
	if err != nil {
		_ = unix.Close(ends.out)
		_ = unix.Close(ends.in)
		return nil, fmt.Errorf("cannot make a pipe of %d bytes: %w", size, err)
	}
	p.cleanup = runtime.AddCleanup(p, pipeEnds.close, p.ends)
	p.fill = func(fd uintptr) bool { return p.splice(int(fd), p.ends.in, p.most, 0) }
	p.drain = func(fd uintptr) bool {
		more := unix.SPLICE_F_MORE
		if p.last {
			more = 0
		}
		done := p.splice(p.ends.out, int(fd), p.held, more)
		p.waited = p.waited || !done
		return done
	}
	return p, nil
}

// splice moves what it can without waiting. It returns false when there is nothing to be moved yet.
func (p *pipe) splice(from, to, most, flags int) bool {
	n, errno := socket.Splice(from, to, most, unix.SPLICE_F_MOVE|unix.SPLICE_F_NONBLOCK|flags)
	if errno == unix.EAGAIN {
		return false
	}
	if p.moved, p.err = n, nil; errno != 0 {
		p.err = errno
	}
	return true
}
