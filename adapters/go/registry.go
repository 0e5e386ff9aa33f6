package rehydra

import (
	"container/list"
	"sync"
	"time"
)

const (
	// endedFor is how long an ended session's id is remembered: the proxy may ask what became of it.
	endedFor = time.Minute
	maxEnded = 10_000
)

// registry holds the sessions by base id: bounded, and without those whose time is over. All of them live equally
// long, so the order of last use is also the order of expiry, and whoever comes by removes what is due: no goroutine.
type registry struct {
	ttl time.Duration // of inactivity; 0: no limit
	max int
	now func() time.Time

	mu       sync.Mutex
	byBase   map[string]*record
	order    *list.List // of *record, the last used one first
	ended    map[string]time.Time
	endOrder []string // bases in ended, the oldest first
}

func newRegistry(ttl time.Duration, limit int, now func() time.Time) *registry {
	return &registry{ttl: ttl, max: limit, now: now,
		byBase: map[string]*record{}, order: list.New(), ended: map[string]time.Time{}}
}

// lock locks the registry and removes what is due, so that what is found next is alive.
func (g *registry) lock() {
	g.mu.Lock()
	g.expire()
}

// find returns the live session of a base id, or nil. Locked.
func (g *registry) find(base string) *record { return g.byBase[base] }

// local is what decide asks. Locked.
func (g *registry) local(base string) (id string, v version, ok bool) {
	r := g.byBase[base]
	if r == nil {
		return "", version{}, false
	}
	h := r.head.Load()
	return h.id, h.version, !h.ended
}

// use says that a request begins to use r. Locked.
func (g *registry) use(r *record) {
	r.users++
	g.access(r)
}

func (g *registry) access(r *record) {
	r.accessed = g.now()
	if r.place != nil {
		g.order.MoveToFront(r.place)
	}
}

// release ends a use.
func (g *registry) release(r *record) {
	g.mu.Lock()
	defer g.mu.Unlock()
	r.users--
	g.access(r)
}

// put adds r, or puts it in place of the one that has its base id. Locked.
func (g *registry) put(r *record) {
	if old := g.byBase[r.base]; old != nil {
		g.remove(old)
	}
	delete(g.ended, r.base)
	for g.order.Len() >= g.max && g.evict() {
	}
	g.byBase[r.base] = r
	r.accessed = g.now()
	r.place = g.order.PushFront(r)
}

// remove takes r out, unless another one has its place by now. Locked.
func (g *registry) remove(r *record) {
	if r.place == nil {
		return
	}
	g.order.Remove(r.place)
	r.place = nil
	if g.byBase[r.base] == r {
		delete(g.byBase, r.base)
	}
}

// evict removes the session unused for longest that no request runs with. Behind the proxy it is not lost: the next
// request of it is answered 428, and its copy comes back. Locked.
func (g *registry) evict() bool {
	for e := g.order.Back(); e != nil; e = e.Prev() {
		if r := e.Value.(*record); r.users == 0 {
			g.remove(r)
			return true
		}
	}
	return false
}

// expire removes the sessions whose time is over, but none that is in use. Locked.
func (g *registry) expire() {
	now := g.now()
	if g.ttl > 0 {
		for e := g.order.Back(); e != nil; {
			r := e.Value.(*record)
			if now.Sub(r.accessed) < g.ttl {
				break
			}
			e = e.Prev()
			if r.users == 0 {
				g.remove(r)
			}
		}
	}
	for len(g.endOrder) > 0 {
		at, ok := g.ended[g.endOrder[0]]
		if ok && now.Sub(at) < endedFor && len(g.endOrder) <= maxEnded {
			break
		}
		delete(g.ended, g.endOrder[0])
		g.endOrder = g.endOrder[1:]
	}
}

// rename moves r to the base id of its new id and remembers the old one as ended.
func (g *registry) rename(r *record, base string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if r.place == nil {
		r.base = base
		return // dropped or replaced meanwhile: its requests end with what they have
	}
	delete(g.byBase, r.base)
	g.rememberEnd(r.base)
	r.base = base
	g.byBase[base] = r
}

// end takes r out and remembers that it ended.
func (g *registry) end(r *record) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.remove(r)
	g.rememberEnd(r.base)
}

func (g *registry) rememberEnd(base string) {
	g.ended[base] = g.now()
	g.endOrder = append(g.endOrder, base)
}

// hasEnded reports whether the session of a base id ended here within the last minute. Locked.
func (g *registry) hasEnded(base string) bool {
	_, ok := g.ended[base]
	return ok
}
