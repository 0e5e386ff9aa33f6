package sessiontier

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"time"
)

// SaveAsync queues a state to be saved soon. The queue holds each session once, in its newest version; done, which may be nil, is
// called once, with what Save returned for this version or the newer one of the same owner that took its place; ErrFenced when a newer
// owner's version waits or takes the place. ErrDropped: the queue was full, or the
// tier closed; counted. ErrEnded: End came first. It may be called before SaveAsync, End or Close returns, and must not wait for any of
// them. rec.State may be reused when SaveAsync has returned.
func (t *Tier) SaveAsync(k Key, rec Record, done func(error)) {
	rec.State = bytes.Clone(rec.State)
	q := &queued{key: k, storeKey: k.storeKey(), rec: rec, startsOver: rec.startsOver(), finished: make(chan struct{})}
	if done != nil {
		q.done = append(q.done, done)
	}
	t.unknown.clear(q.storeKey)
	fenced, ok := t.queue.add(q)
	if !ok {
		t.counters.dropped.Add(1)
		q.tell(fmt.Errorf("cannot queue session %q: %w", k.short(), ErrDropped))
	}
	for _, done := range fenced {
		t.counters.fenced.Add(1)
		done(fmt.Errorf("cannot save session %q: a newer owner's save waits: %w", k.short(), ErrFenced))
	}
}

// saveQueued saves what the queue gave out.
func (t *Tier) saveQueued(q *queued, timeout time.Duration) {
	ctx, end := t.Within(timeout)
	defer end()
	err := t.save(ctx, q.key, q.rec, q.startsOver)
	if err != nil {
		err = fmt.Errorf("cannot save session %q version %s: %w", q.key.short(), q.rec.Version, err)
	}
	q.tell(err)
}

// queued is a session that waits to be saved.
type queued struct {
	key        Key
	storeKey   string
	rec        Record
	startsOver bool // this version, or an older one whose place it took, is a session's first
	done       []func(error)
	finished   chan struct{} // closed when it was saved
}

func (q *queued) tell(err error) {
	for _, done := range q.done {
		done(err)
	}
}

// queue holds sessions to be saved, in the order in which they came, each once. A session that is being saved may wait a second time; its
// two saves never run at once.
type queue struct {
	limit int

	mu      sync.Mutex
	more    *sync.Cond         // order has grown, or closed
	waiting map[string]*queued // by store key
	saving  map[string]*queued
	order   []string        // keys of those that wait and are not being saved
	drained []chan struct{} // closed when nothing waits or is being saved
	closed  bool
}

func newQueue(limit int) *queue {
	q := &queue{limit: limit, waiting: map[string]*queued{}, saving: map[string]*queued{}}
	q.more = sync.NewCond(&q.mu)
	return q
}

// add queues a session, or gives one that waits the newer version. ok is false when the queue is full or closed. fenced are the done of
// the older version where the two are of different owners: it is dropped, not superseded.
func (q *queue) add(n *queued) (fenced []func(error), ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return nil, false
	}
	if old := q.waiting[n.storeKey]; old != nil {
		return old.meet(n), true
	}
	if len(q.waiting) >= q.limit {
		return nil, false
	}
	q.waiting[n.storeKey] = n
	if q.saving[n.storeKey] == nil {
		q.order = append(q.order, n.storeKey)
		q.more.Signal()
	}
	return nil, true
}

// meet takes n into q, which waits, and returns the done of the one that is fenced off.
func (q *queued) meet(n *queued) (fenced []func(error)) {
	newer := q.rec.Version.Compare(n.rec.Version) < 0
	sameOwner := q.rec.Owner == n.rec.Owner && q.rec.Version.Generation == n.rec.Version.Generation
	switch {
	case sameOwner:
		q.done = append(q.done, n.done...)
	case newer:
		fenced, q.done = q.done, n.done
	default:
		return n.done
	}
	q.startsOver = q.startsOver || n.startsOver
	if newer {
		q.rec = n.rec
	}
	return fenced
}

// work gives sessions to save, one after the other, until the queue is closed.
func (q *queue) work(save func(*queued)) {
	for n := q.next(nil); n != nil; n = q.next(n) {
		save(n)
	}
}

// next notes that last, if any, was saved, and waits for the next; nil: closed.
func (q *queue) next(last *queued) *queued {
	q.mu.Lock()
	defer q.mu.Unlock()
	if last != nil {
		delete(q.saving, last.storeKey)
		close(last.finished)
		if q.waiting[last.storeKey] != nil {
			q.order = append(q.order, last.storeKey)
		}
		q.tellDrained()
	}
	for {
		if q.closed {
			return nil
		}
		for len(q.order) > 0 {
			key := q.order[0]
			q.order = q.order[1:]
			if n := q.waiting[key]; n != nil && q.saving[key] == nil {
				delete(q.waiting, key)
				q.saving[key] = n
				return n
			}
		}
		q.more.Wait()
	}
}

// cancel takes a session out of the queue and waits for a save of it that runs, or for the end of ctx.
func (q *queue) cancel(ctx context.Context, storeKey string) {
	q.mu.Lock()
	waiting, saving := q.waiting[storeKey], q.saving[storeKey]
	delete(q.waiting, storeKey)
	q.tellDrained()
	q.mu.Unlock()
	if waiting != nil {
		waiting.tell(ErrEnded)
	}
	if saving != nil {
		select {
		case <-saving.finished:
		case <-ctx.Done():
		}
	}
}

func (q *queue) tellDrained() {
	if len(q.waiting)+len(q.saving) != 0 {
		return
	}
	for _, d := range q.drained {
		close(d)
	}
	q.drained = nil
}

func (q *queue) drain(ctx context.Context) error {
	q.mu.Lock()
	if len(q.waiting)+len(q.saving) == 0 {
		q.mu.Unlock()
		return nil
	}
	empty := make(chan struct{})
	q.drained = append(q.drained, empty)
	q.mu.Unlock()
	select {
	case <-empty:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("cannot drain the queue of session saves, %d left: %w", q.len(), ctx.Err())
	}
}

func (q *queue) len() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.waiting) + len(q.saving)
}

// close ends the workers and returns how many sessions were dropped.
func (q *queue) close() uint64 {
	q.mu.Lock()
	q.closed = true
	left := q.waiting
	q.waiting, q.order = map[string]*queued{}, nil
	q.tellDrained()
	q.more.Broadcast()
	q.mu.Unlock()
	for _, n := range left {
		n.tell(fmt.Errorf("cannot save session %q: %w", n.key.short(), ErrDropped))
	}
	return uint64(len(left))
}
