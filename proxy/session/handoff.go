package session

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"rehydra/jvmroute"
	"rehydra/proxy/upstream"
)

// HaveKind is what the field Rehydra-Have says, section 1.
type HaveKind uint8

// The values of Rehydra-Have.
const (
	HaveAbsent  HaveKind = iota // the tier did not look
	HaveAsk                     // it wants to look but does not know the app
	HaveNone                    // it looked and there is no copy
	HaveGone                    // the session ended
	HaveVersion                 // the newest version it knows
)

// standing is how a session stands toward one backend after a look-up: what the
// backend is told of it, and the state if it is to be installed with the request.
type standing struct {
	have       HaveKind
	version    Version
	state      []byte // installed by the request itself; nil: nothing to install
	digest     uint64 // of the state in version; of non-sticky mode
	installed  bool   // this hand-over put the session there, or will with state
	unanswered bool   // no node answered: have is HaveNone for want of better
	unreadable bool   // the backend cannot read the state, as unanswered otherwise

	owner *upstream.Backend // not nil: the session is at this backend, which is to have the request
}

// ErrNotNow means that the request cannot go on without its session: no node
// answers and the configuration wants no guess, or a hand-over took too long.
var ErrNotNow = errors.New("the session cannot be looked up now")

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

// share is unconfirmed for a request that carries the install too.
func (h *handoffs) share(key Key, b *upstream.Backend) (standing, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if p := h.pending[key]; p != nil && p.epoch == b.Epoch() {
		p.users++
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

// errand is what a request wants of a hand-over: the session key, under id, at b.
type errand struct {
	key   Key
	id    string
	b     *upstream.Backend
	lacks Version // that b was told of and does not have; zero: it was told of none
	at    place   // of the same app
	plan  *Plan   // which owners the request may follow
}

// handOver finds out how the session stands toward e.b and, where e.b is not
// its owner (or lost it), makes e.b its owner, or finds that the request is to
// follow the session to its owner. Requests of the same session share one
// hand-over and each looks again after one that went elsewhere.
func (t *Tier) handOver(ctx context.Context, e errand) (standing, error) {
	ctx, cancel := context.WithTimeout(ctx, t.cfg.RestoreTimeout)
	defer cancel()
	for {
		if !t.cfg.NonSticky {
			if st, ok := t.handoffs.share(e.key, e.b); ok {
				return st, nil
			}
		}
		f, mine, fits := t.handoffs.joinShared(e.key, e.b, e.lacks)
		if mine {
			t.fly(ctx, f, e)
			return f.result, f.err
		}
		select {
		case <-f.done:
		case <-ctx.Done():
			if fits {
				t.handoffs.unused(e.key, f)
			}
			return standing{}, fmt.Errorf("%w: the hand-over of another request has not ended", ErrNotNow)
		}
		// In non-sticky mode the state may have changed since f looked.
		if fits && f.err == nil && !t.cfg.NonSticky && (f.result.owner == nil || e.plan.mayFollow(f.result.owner, e.b)) {
			return f.result, nil
		}
		if fits {
			t.handoffs.unused(e.key, f)
		}
		if ctx.Err() != nil {
			return standing{}, fmt.Errorf("%w: %w", ErrNotNow, f.err)
		}
	}
}

// fly does the hand-over. It always lands, also when the store panics.
func (t *Tier) fly(ctx context.Context, f *flight, e errand) {
	f.err = ErrNotNow // what the others see if this one does not get to its end
	defer func() { t.handoffs.land(e.key, f) }()
	begun := time.Now()
	f.result, f.err = t.bring(ctx, e)
	if f.err == nil && f.result.installed && t.counters.RestoreTime != nil {
		t.counters.RestoreTime.Observe(time.Since(begun).Seconds())
	}
}

// bring looks the session up and, if b must get it, claims and installs it. A
// generation above that of the version which b lacks was claimed for b since.
func (t *Tier) bring(ctx context.Context, e errand) (standing, error) {
	key, b := e.key, e.b
	r, err := t.store.Lookup(ctx, key)
	if st, ok := t.handoffs.unconfirmed(key, b); ok && t.cfg.NonSticky && err == nil && st.version == r.Version {
		return st, nil // the newest state is on its way to b already
	}
	former := r.Owner
	if owner := e.ownerToFollow(former); err == nil && owner != nil {
		t.noteFound(key, b, r, false)
		return standing{owner: owner}, nil
	}
	claim := err == nil && (r.Owner != b.Route() || r.Version.Generation <= e.lacks.Generation)
	if claim {
		r, err = t.store.Claim(ctx, key, b.Route())
		if err != nil && !errors.Is(err, ErrNotFound) && !errors.Is(err, ErrEnded) {
			// There is a copy: to go on without it would lose the session for good.
			return standing{}, fmt.Errorf("%w: %w", ErrNotNow, err)
		}
	}
	if err != nil {
		return t.absent(key, err)
	}
	t.noteFound(key, b, r, claim)
	st := standing{have: HaveVersion, version: r.Version}
	if t.cfg.NonSticky {
		st.digest = t.residents.digest(r.State)
	}
	if !claim {
		return st, nil
	}
	if t.cfg.NonSticky {
		t.drop(key, e.at, t.residents.moved(key, b, former)...)
	}
	st.installed = true
	if len(r.State) <= t.cfg.InlineLimit {
		st.state = r.State
		if st.state == nil {
			st.state = []byte{}
		}
		t.counters.Restores.Add(1)
		return st, nil
	}
	return t.install(ctx, e, r, st)
}

// install puts a state that is too large for a header at its backend.
func (t *Tier) install(ctx context.Context, e errand, r Record, st standing) (standing, error) {
	b := e.b
	answer, err := t.operate(ctx, b, operation{op: opInstall, id: e.id, have: r.Version, body: r.State, place: e.at})
	if err != nil {
		return standing{}, err
	}
	switch answer.status {
	case 204, 409: // installed; or b holds a version as new or newer
		t.counters.Restores.Add(1)
		return st, nil
	case 400:
		t.unreadable(b, e.key, len(r.State))
		return standing{have: HaveNone, unanswered: true, unreadable: true}, nil
	default:
		return standing{}, fmt.Errorf("cannot install a session at backend %q: it answered %d", b.Route(), answer.status)
	}
}

func (t *Tier) unreadable(b *upstream.Backend, key Key, size int) {
	t.log.Warn().Str("app", key.App).Str("session", Shorten(key.BaseID)).Str("backend", b.Route()).
		Int("bytes", size).Msg("session not installed: the backend cannot read its state")
}

// absent turns a look-up that found no state into what the backend is told.
func (t *Tier) absent(key Key, err error) (standing, error) {
	switch {
	case errors.Is(err, ErrNotFound):
		return standing{have: HaveNone}, nil
	case errors.Is(err, ErrEnded):
		return standing{have: HaveGone}, nil
	case t.cfg.RefuseUnlooked:
		return standing{}, fmt.Errorf("%w: %w", ErrNotNow, err)
	default:
		t.log.Warn().Err(err).Str("app", key.App).Str("session", Shorten(key.BaseID)).
			Msg("session not looked up: the request goes on without")
		return standing{have: HaveNone, unanswered: true}, nil
	}
}

// ShortenID is Shorten for an id with its route, which is left out.
func ShortenID(id []byte) []byte {
	base, _ := jvmroute.Split(id)
	return base[:min(8, len(base)/2)]
}

// Shorten returns what a log may show of a session id: its first 8 characters,
// at most half of it. A whole id is a credential.
func Shorten(base string) string {
	return base[:min(8, len(base)/2)]
}
