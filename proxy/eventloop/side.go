package eventloop

import (
	"sync"
	"sync/atomic"
	"time"
)

// The states of a side.
const (
	sideIdle    uint32 = iota
	sideReady          // something has happened since somebody waited
	sideWaiting        // somebody waits
)

// side is one direction of a connection: who waits for it, and until when.
type side struct {
	state  atomic.Uint32
	waits  waiter  // of sideWaiting
	worker *Worker // who uses it; nil: whoever does is a goroutine of its own
	wake   chan struct{}

	expired atomic.Bool // the deadline is over
	unset   atomic.Bool // there is no timer for the deadline yet: who waits makes it, and most who write, or read what is there already, never do
	mu      sync.Mutex
	group   *Group
	timer   *time.Timer
	at      time.Time // the deadline; zero: none
	over    bool      // the connection is closed
}

// waiter is who waits for a side: one of the three.
type waiter struct {
	worker *Worker
	job    Job // to be begun
	wake   chan struct{}
}

// arm makes a waiter wait. It returns false where something has happened already; that is over then.
func (s *side) arm(w waiter) bool {
	s.waits = w
	if s.state.CompareAndSwap(sideIdle, sideWaiting) {
		if s.unset.Load() {
			s.mu.Lock()
			s.makeTimer()
			s.mu.Unlock()
		}
		return true
	}
	s.state.Store(sideIdle) // nobody but who waits takes sideReady away
	return false
}

// quiet reports whether nothing has happened since somebody waited.
func (s *side) quiet() bool { return s.state.Load() == sideIdle }

// happened notes that something has, and returns who waited for it. Whoever gets a waiter is to let it go on.
func (s *side) happened() (waiter, bool) {
	for {
		switch s.state.Load() {
		case sideReady:
			return waiter{}, false
		case sideIdle:
			if s.state.CompareAndSwap(sideIdle, sideReady) {
				return waiter{}, false
			}
		default:
			if s.state.CompareAndSwap(sideWaiting, sideIdle) {
				return s.waits, true
			}
		}
	}
}

// forget forgets what has happened so far. Nobody may wait.
func (s *side) forget() { s.state.Store(sideIdle) }

// rouse lets go on who waits, if anybody does, from whatever goroutine.
func (s *side) rouse(g *Group) {
	if w, ok := s.happened(); ok {
		w.goOn(g)
	}
}

// goOn lets a waiter go on, beside the loops.
func (w waiter) goOn(g *Group) {
	switch {
	case w.wake != nil:
		w.wake <- struct{}{}
	case w.worker != nil:
		g.running.Go(w.worker.drive)
	default:
		g.running.Go(func() { g.begin(w.job).drive() })
	}
}

// setDeadline sets the deadline; zero: none. Until somebody has waited there is no timer: one that passes is then seen by who waits, and by nobody else.
func (s *side) setDeadline(g *Group, at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		return
	}
	s.at, s.group = at, g
	s.expired.Store(false)
	s.unset.Store(false)
	if at.IsZero() {
		if s.timer != nil {
			s.timer.Stop()
		}
		return
	}
	now := time.Now()
	left := at.Sub(now)
	s.at = now.Add(left) // by the timer's clock: the other may be set back meanwhile
	switch {
	case left <= 0:
		if s.timer != nil {
			s.timer.Stop()
		}
		s.expired.Store(true)
		s.rouse(g)
	case s.timer == nil:
		s.unset.Store(true)
		if s.state.Load() == sideWaiting { // after: who begins to wait now sees unset, or is seen
			s.makeTimer()
		}
	default:
		s.timer.Reset(left)
	}
}

// makeTimer makes the timer that there is none of yet. It is called with mu held.
func (s *side) makeTimer() {
	if s.unset.Swap(false) && !s.over {
		s.timer = time.AfterFunc(time.Until(s.at), s.late)
	}
}

// late is called by the timer, perhaps for a deadline that was moved meanwhile: the timer is set for the later one then.
func (s *side) late() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.at.IsZero() || time.Until(s.at) > 0 {
		return
	}
	s.expired.Store(true)
	s.rouse(s.group)
}

// end stops the timer, for good.
func (s *side) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.at, s.over = time.Time{}, true
	if s.timer != nil {
		s.timer.Stop()
	}
}
