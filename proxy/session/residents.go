package session

import (
	"hash/maphash"
	"sync"
	"time"

	"rehydra/proxy/upstream"
)

// residents remembers, in non-sticky mode, at which backends there are copies of
// a session, and which requests of this proxy run there: a copy that is no longer
// the newest is dropped from its backend, but never under a request that uses it.
// Bounded: what is forgotten stays in its backend until it expires there.
type residents struct {
	seed maphash.Seed

	mu       sync.Mutex
	sessions map[Key]*resident
	routes   map[string]*upstream.Backend // those seen, by their routes
}

// resident is one session.
type resident struct {
	homes []home
	saves [savesKept]savedState // the last that were stored; a ring
	next  int
}

// home is a backend that has, or had, a copy of the session.
type home struct {
	b       *upstream.Backend
	running int       // requests of this proxy
	stale   bool      // another backend has the session now
	since   time.Time // when that was seen last
	queued  bool      // to be dropped
}

// savedState is a state that was stored: what its owner's later ones were made from.
type savedState struct {
	owner   string
	version Version // as the owner reported it
	digest  uint64
}

const (
	savesKept     = 4
	residentsMost = 64 << 10
)

func newResidents() residents {
	return residents{
		seed: maphash.MakeSeed(), sessions: make(map[Key]*resident), routes: make(map[string]*upstream.Backend),
	}
}

// digest stands for a state within this process.
func (s *residents) digest(state []byte) uint64 { return maphash.Bytes(s.seed, state) }

// enter counts a request of the session that goes to b.
func (s *residents) enter(key Key, b *upstream.Backend) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.home(key, b).running++
}

// shared reports whether more than one request of the session runs at b.
func (s *residents) shared(key Key, b *upstream.Backend) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	h := s.find(key, b)
	return h != nil && h.running > 1
}

// leave ends what enter began, and reports whether the copy at b is to be dropped now.
func (s *residents) leave(key Key, b *upstream.Backend) (due bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	h := s.home(key, b)
	h.running = max(h.running-1, 0)
	return h.stale && h.running == 0
}

// moved notes that b has the session now and that former, a route, had it before. It returns the
// backends whose copies are to be dropped now; at the others requests run.
func (s *residents) moved(key Key, b *upstream.Backend, former string) (due []*upstream.Backend) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f := s.routes[former]; f != nil {
		s.home(key, f)
	}
	s.home(key, b)
	return s.sessions[key].leftFor(b.Route())
}

// ended is moved for a session that has ended at b.
func (s *residents) ended(key Key, b *upstream.Backend) (due []*upstream.Backend) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r := s.sessions[key]; r != nil {
		return r.leftFor(b.Route())
	}
	return nil
}

// leftFor makes every copy stale but that of a route.
func (r *resident) leftFor(route string) (due []*upstream.Backend) {
	for i := range r.homes {
		h := &r.homes[i]
		h.stale = h.b.Route() != route
		h.since = time.Now()
		if h.stale && h.running == 0 {
			due = append(due, h.b)
		}
	}
	return due
}

// queue reports whether the copy at b is to be queued for being dropped: not a second time.
func (s *residents) queue(key Key, b *upstream.Backend) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	h := s.find(key, b)
	if h == nil || h.queued {
		return false
	}
	h.queued = true
	return true
}

// mayDrop takes the copy at b from the queue and reports whether it is still to be dropped: now, or again
// later, since it has been in use meanwhile.
func (s *residents) mayDrop(key Key, b *upstream.Backend, after time.Duration) (now, later bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	h := s.find(key, b)
	if h == nil {
		return false, false
	}
	h.queued = false
	due := h.stale && h.running == 0
	old := time.Since(h.since) >= after
	return due && old, due && !old
}

// find returns the home of a session at b, nil if there is none; s.mu is held.
func (s *residents) find(key Key, b *upstream.Backend) *home {
	if r := s.sessions[key]; r != nil {
		for i := range r.homes {
			if h := &r.homes[i]; h.b.Route() == b.Route() {
				return h
			}
		}
	}
	return nil
}

// dropped forgets b, where the copy is gone.
func (s *residents) dropped(key Key, b *upstream.Backend) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.sessions[key]
	if r == nil {
		return
	}
	for i := range r.homes {
		if h := &r.homes[i]; h.b.Route() == b.Route() && h.stale && h.running == 0 {
			r.homes = append(r.homes[:i], r.homes[i+1:]...)
			break
		}
	}
	if len(r.homes) == 0 {
		delete(s.sessions, key)
	}
}

// saved notes what was stored.
func (s *residents) saved(key Key, state savedState) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.resident(key)
	r.saves[r.next%savesKept] = state
	r.next++
}

// madeFrom reports whether the state with a digest was stored for owner before
// version, in the same generation: version then was made from it. was is true when
// version itself was stored.
func (s *residents) madeFrom(key Key, owner string, version Version, digest uint64) (made, was bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.sessions[key]
	if r == nil {
		return false, false
	}
	for _, old := range r.saves {
		if old.owner != owner || old.version.Generation != version.Generation {
			continue
		}
		made = made || old.digest == digest && old.version.Counter < version.Counter
		was = was || old.version == version
	}
	return made, was
}

// home finds or makes a home; s.mu is held.
func (s *residents) home(key Key, b *upstream.Backend) *home {
	s.routes[b.Route()] = b
	r := s.resident(key)
	for i := range r.homes {
		if h := &r.homes[i]; h.b.Route() == b.Route() {
			h.b = b // after a reload it is another object
			return h
		}
	}
	r.homes = append(r.homes, home{b: b})
	return &r.homes[len(r.homes)-1]
}

func (s *residents) resident(key Key) *resident {
	r := s.sessions[key]
	if r == nil {
		s.makeRoom()
		r = &resident{}
		s.sessions[key] = r
	}
	return r
}

// makeRoom forgets any session of which no request runs.
func (s *residents) makeRoom() {
	if len(s.sessions) < residentsMost {
		return
	}
	probed := 0
	for key, r := range s.sessions {
		if probed++; !r.busy() || probed == evictionProbe {
			delete(s.sessions, key)
			return
		}
	}
}

func (r *resident) busy() bool {
	for i := range r.homes {
		if r.homes[i].running > 0 {
			return true
		}
	}
	return false
}
