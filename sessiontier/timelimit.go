package sessiontier

import (
	"context"
	"sync"
	"time"
)

// Within returns a context that ends after d, or when end is called, which it must be. It is context.WithTimeout without a timer of its own: those of
// one length end in the order in which they began, so that one timer does for all that are waited for: 0.97 of the processor time of session-changed with one
// copy, 50 rounds by turns.
func (t *Tier) Within(d time.Duration) (ctx context.Context, end context.CancelFunc) {
	l := &timeLimit{of: t.limits.of(d), at: time.Now().Add(d)}
	return l, l.end
}

// timeLimits are the limits of a tier, by their lengths.
type timeLimits struct {
	mu     sync.Mutex
	queues []*limitQueue // few: as many as there are different lengths in a configuration
}

// manyLengths is how many lengths there may be until those that nobody waits for are forgotten: each change of a configuration may bring one.
const manyLengths = 16

// of returns the queue for the limits of one length.
func (ls *timeLimits) of(d time.Duration) *limitQueue {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	for _, q := range ls.queues {
		if q.length == d {
			return q
		}
	}
	if len(ls.queues) >= manyLengths {
		ls.queues = nil // those in use go on by themselves
	}
	q := &limitQueue{length: d}
	ls.queues = append(ls.queues, q)
	return q
}

// limitQueue holds the limits of one length that somebody waits for, the one that ends first in front.
type limitQueue struct {
	length time.Duration

	mu          sync.Mutex
	first, last *timeLimit
	timer       *time.Timer // made when it is first needed
	set         bool        // timer will call expire
	due         time.Time   // when; of set
}

// timeLimit is a context that ends at a time.
type timeLimit struct {
	of *limitQueue
	at time.Time

	// Guarded by of.mu.
	then       func() // is called at the end; nil: nobody waits
	next, prev *timeLimit

	mu     sync.Mutex
	err    error           // why it has ended; nil: it has not, as far as anybody has looked
	done   <-chan struct{} // for whoever wants a channel; nil: nobody has
	cancel context.CancelFunc
}

// onEnd has f called, by a goroutine, when the time is over, unless stop is called before. It returns false where another f is to be called then.
func (l *timeLimit) onEnd(f func()) bool {
	q := l.of
	q.mu.Lock()
	defer q.mu.Unlock()
	if l.then != nil {
		return false
	}
	l.then = f
	// The time was read before the lock was taken: some may have come by.
	before := q.last
	for before != nil && before.at.After(l.at) {
		before = before.prev
	}
	q.insert(l, before)
	// Who waits for the second time, or begins late, may end before all for whom the timer was set.
	if !q.set || l.at.Before(q.due) {
		q.arm(l.at)
	}
	return true
}

// stop takes back what onEnd asked for; f may have been called.
func (l *timeLimit) stop() {
	q := l.of
	q.mu.Lock()
	defer q.mu.Unlock()
	if l.then != nil {
		q.remove(l)
	}
}

// insert puts l behind before; nil: in front. It is called with mu held.
func (q *limitQueue) insert(l, before *timeLimit) {
	l.prev = before
	if before == nil {
		l.next, q.first = q.first, l
	} else {
		l.next, before.next = before.next, l
	}
	if l.next == nil {
		q.last = l
	} else {
		l.next.prev = l
	}
}

// remove is called with mu held. The timer goes on: it will find out who is first then.
func (q *limitQueue) remove(l *timeLimit) {
	if l.prev == nil {
		q.first = l.next
	} else {
		l.prev.next = l.next
	}
	if l.next == nil {
		q.last = l.prev
	} else {
		l.next.prev = l.prev
	}
	l.then, l.next, l.prev = nil, nil, nil
}

// arm is called with mu held.
func (q *limitQueue) arm(at time.Time) {
	q.set, q.due = true, at
	if q.timer == nil {
		q.timer = time.AfterFunc(time.Until(at), q.expire)
		return
	}
	q.timer.Reset(time.Until(at))
}

// expire ends the limits whose time is over.
func (q *limitQueue) expire() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.set = false
	for now := time.Now(); q.first != nil; {
		l := q.first
		if l.at.After(now) {
			q.arm(l.at)
			return
		}
		go l.then() // which may go on with anything
		q.remove(l)
	}
}

// Deadline implements context.Context.
func (l *timeLimit) Deadline() (deadline time.Time, ok bool) { return l.at, true }

// Done implements context.Context. It makes what context.WithDeadline does: who can use onEnd should.
func (l *timeLimit) Done() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.done == nil {
		ctx, cancel := context.WithDeadline(context.Background(), l.at)
		l.done, l.cancel = ctx.Done(), cancel
		if l.err != nil {
			cancel()
		}
	}
	return l.done
}

// Err implements context.Context.
func (l *timeLimit) Err() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err == nil && !l.at.After(time.Now()) {
		l.err = context.DeadlineExceeded
	}
	return l.err
}

// Value implements context.Context.
func (l *timeLimit) Value(any) any { return nil }

// end is the CancelFunc of Within.
func (l *timeLimit) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.err != nil:
	case l.done != nil && !l.at.After(time.Now()):
		l.err = context.DeadlineExceeded // which done has said, or is about to
	default:
		l.err = context.Canceled
	}
	if l.cancel != nil {
		l.cancel()
	}
}
