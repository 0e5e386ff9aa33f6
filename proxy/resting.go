package proxy

import (
	"cmp"
	"slices"
	"time"

	"rehydra/proxy/upstream"
)

// resting finds the connections without a request that have waited for longest. A look at all of them, of which there may be a hundred thousand, finds many at
// once: none that is not among these has waited for as long as they have. The server's mu guards it.
type resting struct {
	idle, quiet waiters // of stateIdle and stateQuiet
	walked      time.Time
}

// waiters are those of one state, the one that waits since the earliest last. Those that have had a request since are in it still.
type waiters struct {
	list  []waiter
	whole bool  // there were no others when they were looked for
	limit int64 // those that wait since then or later are not wanted
}

// waiter is a connection that waits.
type waiter struct {
	c     *client
	since int64 // what used was
}

const (
	// mostWaiters is how many of each state are remembered. To look at 100,000 connections takes 6 ms, which is 6 µs for each that is found.
	mostWaiters = 1024
	// walkPause is for how long it stands that nobody else has waited for long enough.
	walkPause = roomPause
)

func (r *resting) of(state int32) *waiters {
	switch state {
	case stateIdle:
		return &r.idle
	case stateQuiet:
		return &r.quiet
	}
	return nil
}

// oldest returns the connection in one of these states that has waited for longest, if one has for a while. It is called with mu held.
func (s *Server) oldest(states ...int32) (oldest *client) {
	now := time.Now()
	var since int64
	for _, state := range states {
		w := s.resting.of(state)
		c := w.oldest(state, now)
		if c == nil && len(w.list) == 0 && (!w.whole || now.Sub(s.resting.walked) >= walkPause) {
			s.resting.walk(s.clients, now)
			c = w.oldest(state, now)
		}
		if c != nil && (oldest == nil || c.used.Load() < since) {
			oldest, since = c, c.used.Load()
		}
	}
	return oldest
}

// walk looks at all clients.
func (r *resting) walk(clients map[*client]struct{}, now time.Time) {
	r.walked = now
	before := now.Add(-reclaimable).UnixNano()
	r.idle.begin(before)
	r.quiet.begin(before)
	for c := range clients {
		state := c.state.Load() // before used, which is of this rest then or of a later one
		if w := r.of(state); w != nil {
			w.add(waiter{c, c.used.Load()})
		}
	}
	r.idle.finish()
	r.quiet.finish()
}

func (w *waiters) begin(before int64) {
	clear(w.list)
	w.list, w.whole, w.limit = w.list[:0], true, before
}

func (w *waiters) add(one waiter) {
	if one.since >= w.limit {
		return
	}
	one.c.listed = true
	w.list = append(w.list, one)
	if len(w.list) == 2*mostWaiters {
		w.finish()
		w.limit = w.list[0].since
	}
}

// finish sorts those found so far and keeps no more of them than are wanted.
func (w *waiters) finish() {
	slices.SortFunc(w.list, func(a, b waiter) int { return cmp.Compare(b.since, a.since) })
	if more := len(w.list) - mostWaiters; more > 0 {
		w.list = slices.Delete(w.list, 0, more)
		w.whole = false
	}
}

// oldest returns the one that has waited for longest, nil if there is none.
func (w *waiters) oldest(state int32, now time.Time) *client {
	for looks := 0; len(w.list) > 0 && looks < mostLooks; {
		last := w.list[len(w.list)-1]
		if last.c.state.Load() == state && last.c.used.Load() == last.since {
			if state != stateQuiet {
				return last.c
			}
			looks++
			if held, _ := upstream.Unsent(last.c.raw); held == 0 {
				return last.c
			}
			last.c.used.Store(now.UnixNano()) // not to be asked about again at once
		}
		w.list[len(w.list)-1] = waiter{}
		w.list = w.list[:len(w.list)-1]
	}
	return nil
}

// forget is for a connection that is no client any more.
func (r *resting) forget(c *client) {
	if !c.listed {
		return
	}
	for _, w := range []*waiters{&r.idle, &r.quiet} {
		w.list = slices.DeleteFunc(w.list, func(one waiter) bool { return one.c == c })
	}
}
