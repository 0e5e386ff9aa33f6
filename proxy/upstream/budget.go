package upstream

import (
	"sync"
	"sync/atomic"
	"time"
)

// budgetWindow is the time, in seconds, over which a retry budget looks back.
const budgetWindow = 10

// budget bounds how many of a pool's requests are sent a second time: a share of those that were sent in the last seconds. When backends
// fail one after the other, each request would otherwise become as many as there are backends, and finish off those that still answer.
type budget struct {
	mu      sync.Mutex
	seconds [budgetWindow]budgetSecond // by second modulo their number
	used    atomic.Uint64
	refused atomic.Uint64
}

// budgetSecond is what was seen within one second.
type budgetSecond struct {
	second  int64
	sent    uint64 // requests that the pool had sent until then, since the start
	repeats uint64 // that were allowed within it
}

// at returns the entry of the second of now; sent is what the pool has sent so far. b.mu is held.
func (b *budget) at(now time.Time, sent uint64) *budgetSecond {
	second := now.Unix()
	s := &b.seconds[second%budgetWindow]
	if s.second != second {
		*s = budgetSecond{second: second, sent: sent}
	}
	return s
}

// look notes how many requests were sent until now.
func (b *budget) look(now time.Time, sent uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.at(now, sent)
}

// take reports whether one more request may be repeated, and counts it: at most percent of the requests of the window, and at
// least minimum for each of its seconds.
func (b *budget) take(now time.Time, sent uint64, percent, minimum int) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	current := b.at(now, sent)
	earliest, repeats := sent, uint64(0)
	for _, s := range b.seconds {
		if s.second > now.Unix()-budgetWindow && s.second <= now.Unix() {
			earliest = min(earliest, s.sent)
			repeats += s.repeats
		}
	}
	if repeats >= (sent-earliest)*uint64(percent)/100+uint64(minimum*budgetWindow) {
		b.refused.Add(1)
		return false
	}
	current.repeats++
	b.used.Add(1)
	return true
}

// sent is how many requests the pool's backends got since the start.
func (p *Pool) sent() (n uint64) {
	for _, b := range p.backends {
		n += b.shared.requests.Load()
	}
	return n
}

// Repeat reports whether a request that was sent and failed may be sent again, by the pool's retry budget, and counts it.
func (p *Pool) Repeat(now time.Time) bool {
	return p.budget.take(now, p.sent(), max(p.cfg.Retry.Percent, 0), max(p.cfg.Retry.Minimum, 0))
}

// Repeats returns how many requests were sent again, and how many were not since the budget was used up. They go on over reloads.
func (p *Pool) Repeats() (sent, refused uint64) { return p.budget.used.Load(), p.budget.refused.Load() }
