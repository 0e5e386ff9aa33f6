package eventloop

import (
	"fmt"
	"iter"
	"runtime/debug"
	"slices"
	"sync"
)

// Job is work for a connection that has become readable.
type Job interface {
	// Run does it. The worker is the job's until Run returns; the connections that Run waits for are to be given it before (Conn.Use).
	Run(w *Worker)
}

// Worker is a coroutine that runs jobs, one after the other. A nil Worker stands for an ordinary goroutine.
type Worker struct {
	next  func() (*side, bool) // lets it go on until it waits for a side, or, nil, has done its job
	stop  func()
	yield func(*side) bool
	job   Job
	group *Group
	loop  *loop  // that ran it last; nil: none has
	turn  uint64 // of the loop, see loop.turn, or noTurn
}

// newWorker returns a worker that waits for its first job.
func newWorker(g *Group) *Worker {
	w := &Worker{group: g}
	w.next, w.stop = iter.Pull(func(yield func(*side) bool) {
		w.yield = yield
		defer func() {
			if fault := recover(); fault != nil {
				panic(fmt.Sprintf("%v\n\nin a worker:\n%s", fault, debug.Stack())) // the stack of the goroutine that ran it tells nothing
			}
		}()
		for {
			w.job.Run(w)
			w.job = nil
			if !yield(nil) {
				return
			}
		}
	})
	return w
}

// Leave is to be called before anything that may wait for something else than a connection of the group: a channel, a file, another
// connection. From then on the worker may wait as any goroutine; its loop goes on without it. It holds until the worker waits
// for a connection again.
func (w *Worker) Leave() {
	if w != nil && w.turn != noTurn {
		w.loop.replace(w.turn)
		w.turn = noTurn
	}
}

// LetOthers has w's loop let goroutines run that w has made ready, before it waits for events: the scheduler knows them to be next on its thread.
func (w *Worker) LetOthers() {
	if w != nil && w.turn != noTurn {
		w.loop.yield.Store(true)
	}
}

// noTurn is the turn of a worker that is run by a goroutine of its own.
const noTurn = 0

// run lets w go on until it waits for a connection or has done its job. From then on it is another's.
func (w *Worker) run() {
	for {
		s, ok := w.next()
		switch {
		case !ok:
			return // its job panicked, and the panic has passed by here
		case s == nil:
			g := w.group
			g.spare.put(w)
			g.stir() // after: watch lets it go, if nothing else needs it
			return
		case s.arm(waiter{worker: w}):
			return
		}
	}
}

// drive is run for who is no loop.
func (w *Worker) drive() {
	w.turn = noTurn
	w.run()
}

// mostSpare is how many workers are kept that have nothing to do: each has a stack.
const mostSpare = 256

// spare holds the workers that have nothing to do: the one used last, whose stack is in a cache, is taken first.
type spare struct {
	mu      sync.Mutex
	workers []*Worker
	least   int // how many there were at least since the last trim
	closed  bool
}

func (s *spare) get(g *Group) *Worker {
	s.mu.Lock()
	n := len(s.workers)
	if n == 0 {
		s.least = 0
		s.mu.Unlock()
		return newWorker(g)
	}
	w := s.workers[n-1]
	s.workers[n-1] = nil
	s.workers = s.workers[:n-1]
	s.least = min(s.least, n-1)
	s.mu.Unlock()
	return w
}

func (s *spare) put(w *Worker) {
	s.mu.Lock()
	if kept := len(s.workers) < mostSpare && !s.closed; kept {
		s.workers = append(s.workers, w)
		s.mu.Unlock()
		return
	}
	s.mu.Unlock()
	w.stop()
}

// trim lets the workers go that nobody has needed since the last trim.
func (s *spare) trim() {
	s.mu.Lock()
	n := min(s.least, len(s.workers))
	idle := slices.Clone(s.workers[:n])
	s.workers = slices.Delete(s.workers, 0, n)
	s.least = len(s.workers)
	s.mu.Unlock()
	for _, w := range idle {
		w.stop()
	}
}

func (s *spare) close() {
	s.mu.Lock()
	s.closed = true
	s.least = len(s.workers)
	s.mu.Unlock()
	s.trim()
}
