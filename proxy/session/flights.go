package session

import (
	"sync"

	"rehydra/proxy/upstream"
)

// handoffs lets all requests of one session that wait for the same hand-over
// share it, and remembers installs that travel with a request until the backend
// has confirmed them, so that no second one is made meanwhile.
type handoffs struct {
	mu      sync.Mutex
	flights map[Key]*flight
	pending map[Key]*pendingInstall
}

type flight struct {
	users   int // requests that share it: its own and those that wait
	done    chan struct{}
	backend *upstream.Backend
	epoch   uint64
	lacks   Version // that the backend was told of and lacks; zero: it was told of none
	result  standing
	err     error
}

type pendingInstall struct {
	users int // requests that carry it, or are about to
	epoch uint64
	standing
}

// join returns the flight for key that goes to b, or starts one and reports
// that the caller must fly it. A flight to somewhere else is waited for first.
func (h *handoffs) join(key Key, b *upstream.Backend, lacks Version) (f *flight, mine, fits bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.joinLocked(key, b, lacks)
}

// joinShared is join for a request that is to use what comes of the flight if it fits: it carries
// an install that comes of it, or says unused.
func (h *handoffs) joinShared(key Key, b *upstream.Backend, lacks Version) (f *flight, mine, fits bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	f, mine, fits = h.joinLocked(key, b, lacks)
	if fits {
		f.users++
	}
	return f, mine, fits
}

func (h *handoffs) joinLocked(key Key, b *upstream.Backend, lacks Version) (f *flight, mine, fits bool) {
	if h.flights == nil {
		h.flights, h.pending = make(map[Key]*flight), make(map[Key]*pendingInstall)
	}
	if f = h.flights[key]; f != nil {
		return f, false, f.epoch == b.Epoch() && f.lacks.Compare(lacks) >= 0
	}
	f = &flight{done: make(chan struct{}), backend: b, epoch: b.Epoch(), lacks: lacks}
	h.flights[key] = f
	return f, true, true
}

func (h *handoffs) land(key Key, f *flight) {
	h.mu.Lock()
	if f.err == nil && f.result.state != nil {
		if p := h.pending[key]; p != nil && p.epoch == f.epoch && p.version == f.result.version {
			p.users += f.users
		} else {
			h.pending[key] = &pendingInstall{users: f.users, epoch: f.epoch, standing: f.result}
		}
	}
	delete(h.flights, key)
	h.mu.Unlock()
	close(f.done)
}

// unused is for a request that shares f, which fits, and does not take its result.
func (h *handoffs) unused(key Key, f *flight) {
	h.mu.Lock()
	landed := h.flights[key] != f
	if !landed {
		f.users--
	}
	h.mu.Unlock()
	if landed && f.result.state != nil {
		h.release(key, f.result.version)
	}
}

// unconfirmed returns the install for key that is on its way to b, if any.
func (h *handoffs) unconfirmed(key Key, b *upstream.Backend) (standing, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if p := h.pending[key]; p != nil && p.epoch == b.Epoch() {
		return p.standing, true
	}
	return standing{}, false
}

// release is for a request that carried the install of version v and is over, or was aimed anew. The last
// one takes it along: nobody knows whether it has arrived.
func (h *handoffs) release(key Key, v Version) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if p := h.pending[key]; p != nil && p.version == v {
		if p.users--; p.users <= 0 {
			delete(h.pending, key)
		}
	}
}

// confirm forgets the install of version v: it has arrived.
func (h *handoffs) confirm(key Key, v Version) {
	h.mu.Lock()
	if p := h.pending[key]; p != nil && p.version.Compare(v) <= 0 {
		delete(h.pending, key)
	}
	h.mu.Unlock()
}
