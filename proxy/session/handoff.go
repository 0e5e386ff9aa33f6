package session

import (
	"context"
	"errors"
	"fmt"
	"time"

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
	shared     bool   // it was another request's hand-over
	unanswered bool   // no node answered: have is HaveNone for want of better
	unreadable bool   // the backend cannot read the state, as unanswered otherwise

	owner *upstream.Backend // not nil: the session is at this backend, which is to have the request
}

// ErrNotNow means that the request cannot go on without its session: no node
// answers and the configuration wants no guess, or a hand-over took too long.
var ErrNotNow = errors.New("the session cannot be looked up now")

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
	if f.err == nil && f.result.installed && !f.result.shared && t.counters.RestoreTime != nil {
		t.counters.RestoreTime.Observe(time.Since(begun).Seconds())
	}
}

// bring looks the session up and, if b must get it, claims and installs it. A
// generation above that of the version which b lacks was claimed for b since.
func (t *Tier) bring(ctx context.Context, e errand) (standing, error) {
	key, b := e.key, e.b
	r, err := t.store.Lookup(ctx, key)
	if st, ok := t.handoffs.unconfirmed(key, b); ok && t.isStillNewest(st, r, err) {
		st.shared = true
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

// isStillNewest reports whether what is on its way to a backend, and may have arrived, is what a look-up has found: r, or err. If it is not, the session went
// on there meanwhile, perhaps through another proxy while this one stood still. To send it once more would then take back what was changed since, if that
// backend was restarted and has forgotten it, and nobody could tell: the version would be the same.
func (t *Tier) isStillNewest(st standing, r Record, err error) bool {
	if err == nil {
		return st.version == r.Version
	}
	return !t.cfg.NonSticky && !errors.Is(err, ErrEnded) // nothing better is to be had
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
