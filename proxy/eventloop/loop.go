package eventloop

import (
	"runtime"
	"sync/atomic"
)

// loop is one thread's share of the connections. It is led by one goroutine at a time; whoever leads takes the events and runs the workers that
// they are for.
type loop struct {
	poller // the leader's
	group  *Group
	// turn is even while the leader is at work itself, and odd while it runs a worker. Who makes an odd one even leads from then on: the leader
	// itself, as a rule, or else another goroutine, and the one before has only the worker left.
	turn  atomic.Uint64
	yield atomic.Bool // the leader is to yield, see Group.look
	had   int         // events that were there
	taken int         // of them
}

// lead leads the loop, until another does or the group is closed.
func (l *loop) lead() {
	for !l.group.closed.Load() {
		for l.taken < l.had {
			at := l.taken
			l.taken++
			if !l.tell(l.event(at)) {
				return
			}
		}
		l.taken, l.had = 0, 0
		if l.yield.Load() {
			l.yield.Store(false)
			runtime.Gosched()
		}
		l.had = l.wait()
	}
}

// tell passes an event on and reports whether the caller still leads. The descriptor may be another connection's by now, or nobody's: who
// is told looks for himself.
func (l *loop) tell(fd int, reads, writes, ended bool) (leads bool) {
	c := l.group.table.get(fd)
	if c == nil {
		return true
	}
	if ended {
		c.ended.Store(true)
	}
	var in, out waiter
	if reads {
		in, reads = c.in.happened()
	}
	if writes {
		out, writes = c.out.happened()
	}
	switch {
	case reads && writes:
		in.goOn(l.group) // beside: who writes may wait for who reads
		l.yield.Store(true)
		return l.goOn(out)
	case writes:
		return l.goOn(out)
	case reads:
		return l.goOn(in)
	}
	return true
}

// goOn lets a waiter go on and reports whether the caller still leads.
func (l *loop) goOn(w waiter) (leads bool) {
	if w.wake != nil {
		w.wake <- struct{}{}
		l.yield.Store(true)
		return true
	}
	if w.job != nil {
		w.worker = l.group.begin(w.job)
	}
	turn := l.turn.Add(1)
	l.group.stir() // after: watch either sees the turn or is told
	w.worker.loop, w.worker.turn = l, turn
	w.worker.run()
	return l.turn.CompareAndSwap(turn, turn+1)
}

// replace gives the lead to another goroutine, if the worker of that turn is still being run.
func (l *loop) replace(turn uint64) {
	if l.turn.CompareAndSwap(turn, turn+1) {
		l.group.running.Go(l.lead)
	}
}
