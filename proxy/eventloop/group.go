package eventloop

import (
	"fmt"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Group is some loops and the connections that they serve.
type Group struct {
	loops   []*loop
	table   table
	spare   spare
	buffers sync.Pool     // *[copyBuffer]byte
	added   atomic.Uint32 // connections, for taking turns
	closed  atomic.Bool
	parked  atomic.Bool   // watch has nothing to look at
	unpark  chan struct{} // for watch, which is parked
	running sync.WaitGroup
}

// New returns a group of n loops. For as long as it lives n threads wait in the kernel or run Go: GOMAXPROCS should be one more, so that what
// else there is to be run need not wait for the scheduler to see that.
func New(n int) (*Group, error) {
	g := &Group{unpark: make(chan struct{}, 1)}
	g.buffers.New = func() any { return new([copyBuffer]byte) }
	for range max(n, 1) {
		l := &loop{group: g}
		if err := l.open(); err != nil {
			g.release()
			return nil, fmt.Errorf("cannot make an event loop: %w", err)
		}
		g.loops = append(g.loops, l)
	}
	for _, l := range g.loops {
		g.running.Go(l.lead)
	}
	g.running.Go(g.watch)
	return g, nil
}

func (g *Group) release() {
	for _, l := range g.loops {
		l.close()
	}
}

// Close ends the loops. The connections are to be closed before: nobody is told of them any more. Calling it again does nothing.
func (g *Group) Close() {
	if g.closed.Swap(true) {
		return
	}
	g.stir()
	for _, l := range g.loops {
		l.ring()
	}
	g.running.Wait()
	g.spare.close()
	g.release()
}

// begin returns a worker for a job.
func (g *Group) begin(j Job) *Worker {
	w := g.spare.get(g)
	w.job = j
	return w
}

const (
	// stuck is how long a worker may run before its loop is given another leader: it waits for something, or has much to do.
	stuck = 5 * time.Millisecond
	// looks is how many looks there are between two trims. Where none of them found anything there are no more until something happens.
	looks = 200
)

// watch gives the loops whose worker does not come back another leader, and lets workers go that are not needed.
func (g *Group) watch() {
	tick := time.NewTicker(stuck)
	defer tick.Stop()
	seen := make([]uint64, len(g.loops))
	busy := true
	for n := 1; !g.closed.Load(); n++ {
		<-tick.C
		busy = g.look(seen) || busy
		if n%looks != 0 {
			continue
		}
		g.spare.trim()
		if !busy {
			g.park(tick, seen)
		}
		busy = false
	}
}

// park waits until something happens.
func (g *Group) park(tick *time.Ticker, seen []uint64) {
	g.parked.Store(true)
	defer g.parked.Store(false)
	if g.look(seen) || g.closed.Load() {
		return // that came before anybody could know that nobody looks
	}
	g.spare.trim() // those that were there at the last trim, and counts
	g.spare.trim() // all the others
	tick.Stop()
	<-g.unpark
	tick.Reset(stuck)
}

// look looks for loops whose worker has run since the last look, which seen keeps, and reports whether any loop has done anything.
//
// A leader that is at work is told to yield: what a worker and a leader do for each other is no scheduling in the eyes of Go's watchdog, which takes a
// goroutine's P away in each of its system calls, and looks again every 20 µs for as long as it finds one, once that goroutine has not been scheduled
// for 10 ms.
func (g *Group) look(seen []uint64) (busy bool) {
	for i, l := range g.loops {
		turn := l.turn.Load()
		runs := turn%2 == 1
		if runs && turn == seen[i] {
			l.replace(turn)
		}
		if turn != seen[i] {
			l.yield.Store(true)
			busy = true
		}
		busy = busy || runs
		seen[i] = turn
	}
	return busy
}

// stir is called when something has happened that watch is to look at.
func (g *Group) stir() {
	if g.parked.Load() {
		select {
		case g.unpark <- struct{}{}:
		default: // it is told already
		}
	}
}

// Go runs f by a worker.
func (g *Group) Go(f func(w *Worker)) { waiter{job: task(f)}.goOn(g) }

type task func(w *Worker)

func (t task) Run(w *Worker) { t(w) }

// Adopt takes a connection over from package net, which has it no more then, also after an error.
func (g *Group) Adopt(conn *net.TCPConn) (net.Conn, error) {
	defer func() { _ = conn.Close() }() // the descriptor is copied
	raw, err := conn.SyscallConn()
	if err != nil {
		return nil, err
	}
	fd, err := duplicate(raw)
	if err != nil {
		return nil, err
	}
	c := newConn(g, fd, tcpAddrPort(conn.RemoteAddr()))
	if err := c.Watch(); err != nil {
		_ = c.Close()
		return nil, err
	}
	return c, nil
}

// duplicate returns another descriptor of the same socket.
func duplicate(raw syscall.RawConn) (fd int, err error) {
	var failed error
	if err := raw.Control(func(own uintptr) { fd, failed = unix.FcntlInt(own, unix.F_DUPFD_CLOEXEC, 3) }); err != nil {
		return -1, err
	}
	return fd, os.NewSyscallError("fcntl", failed)
}
