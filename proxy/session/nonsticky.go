package session

import (
	"context"
	"errors"
	"slices"

	"rehydra/jvmroute"
	"rehydra/proxy/upstream"
)

// Non-sticky mode: a request may go to any backend, and every one of them sees
// the latest state. What is different from sticky mode:
//
//   - each request looks its session up, under the session's lock if it wants one;
//   - requests that do not lock may take the session to another backend while one
//     that does changes it: a save that is then refused as a former owner's is
//     judged by what changed (saveOver);
//   - the backend that had the session before drops its copy.

// NonSticky reports whether the pool's requests may go to any backend, whatever
// their ids say.
func (t *Tier) NonSticky() bool { return t != nil && t.cfg.NonSticky }

// began is what a request of non-sticky mode knew of its session when it was sent.
type began struct {
	version Version // zero: nothing
	digest  uint64  // of the state in that version
	locked  bool
}

// stay is where the request of a plan is counted as running.
type stay struct {
	b    *upstream.Backend
	keys []Key
}

// prepare is what comes before a look-up: the lock, if the request wants one, and
// being counted at b. absent is true when there is nothing to lock, and st then is
// what the look-up would say: ids that somebody made up cost no lock.
func (p *Plan) prepare(ctx context.Context, b *upstream.Backend, key Key) (st standing, absent bool, err error) {
	if p.lock.base != key.BaseID && p.wantsLock() {
		if _, known := p.t.index.get(key); !known {
			looked, cancel := context.WithTimeout(ctx, p.t.cfg.RestoreTimeout)
			defer cancel()
			if _, err := p.t.store.Lookup(looked, key); err != nil {
				st, err = p.t.absent(key, err)
				return st, true, err
			}
		}
		if err := p.lockFor(ctx, key.BaseID); err != nil {
			return standing{}, false, err
		}
	}
	if p.stay.b != b {
		p.leave()
	}
	if !slices.Contains(p.stay.keys, key) {
		p.stay.b = b
		p.stay.keys = append(p.stay.keys, key)
		p.t.residents.enter(key, b)
	}
	return standing{}, false, nil
}

// leave ends the request's stay at a backend: a copy there that is out of date
// can be dropped now.
func (p *Plan) leave() {
	for _, key := range p.stay.keys {
		if p.t.residents.leave(key, p.stay.b) {
			p.t.drop(key, p.at, p.stay.b)
		}
	}
	p.stay = stay{}
}

// settledNonSticky is what comes after a request's session was settled.
func (p *Plan) settledNonSticky(b *upstream.Backend) {
	r := &p.report
	key := p.t.key(r.App, r.Base)
	if r.Kind == StateGone {
		p.t.drop(key, p.at, p.t.residents.ended(key, b)...)
	} else if r.App != "" {
		p.t.residents.enter(key, b) // a session that began here has not been counted
		p.t.residents.leave(key, b)
	}
	if r.WasBase != "" && r.WasBase != r.Base {
		was := p.t.key(r.App, r.WasBase)
		p.t.drop(was, p.at, p.t.residents.ended(was, b)...)
	}
	unchanged := r.Kind == StateSame || r.Kind == StateInline && p.st.have == HaveVersion && r.Version == p.st.version
	switch {
	case unchanged:
		p.learn(lessonRead)
	case p.lock.held == nil && p.t.residents.shared(key, b):
		p.learn(lessonDoubt) // they share one copy in the backend: it may be the other's change
	default:
		p.learn(lessonChanged)
	}
	p.unlock()
}

// learn notes, for LockAuto, what the request turned out to do.
func (p *Plan) learn(l lesson) {
	if p.t.cfg.NonSticky && p.t.cfg.Lock == LockAuto && p.MayNeed() {
		p.t.readers.learn(p.method, p.path, l, p.t.cfg.Now())
	}
}

// began is what the request knew of the session that its answer reports.
func (p *Plan) began() began {
	base, _ := jvmroute.Split(p.id)
	if p.st.have != HaveVersion || p.report.Base != string(base) {
		return began{}
	}
	return began{version: p.st.version, digest: p.st.digest, locked: p.lock.held != nil}
}

// superseded reports whether r is of an older version than one that is known to
// be stored. In non-sticky mode an answer may say so of a session that it did not change:
// another backend has it by now.
func (t *Tier) superseded(r *Report) bool {
	if !t.cfg.NonSticky {
		return false
	}
	k, ok := t.index.get(t.key(r.App, r.Base))
	return ok && r.Version.Compare(k.stored) < 0
}

// replaced reports whether what a read found (told; zero: nothing) is not what the request
// ran with: the session was taken to another backend and back, or dropped, before
// the request's change could be read.
func (t *Tier) replaced(r, told *Report) bool {
	return t.cfg.NonSticky && !r.began.version.IsZero() && !r.Version.IsZero() && told.Version.Generation != r.Version.Generation
}

// maxSavesOver bounds how often a save is begun anew.
const maxSavesOver = 8

// saveOver decides what becomes of a save that the store refused since another backend
// has the session by now. It is stored all the same, under a new generation, if nobody
// changed the session since the request began; and if somebody did, and the request
// went without the lock: the last write wins, and is counted. A request that had
// the lock has lost it then, and stays refused. On return record has the version
// that it was stored under.
func (t *Tier) saveOver(ctx context.Context, key Key, record *Record, from began, refused error) error {
	if from.version.IsZero() {
		return refused // nobody knows what it was made from
	}
	reported := record.Version
	if _, was := t.residents.madeFrom(key, record.Owner, reported, 0); was || reported == from.version {
		return nil // it was stored before, or is what the request began with: there is no change
	}
	conflict := false
	for range maxSavesOver {
		newest, err := t.store.Lookup(ctx, key)
		if err != nil {
			return err
		}
		digest := t.residents.digest(newest.State)
		made, _ := t.residents.madeFrom(key, record.Owner, reported, digest)
		if !made && digest != from.digest {
			if from.locked {
				return refused
			}
			conflict = true
		}
		claimed, err := t.store.Claim(ctx, key, record.Owner)
		if err != nil {
			return err
		}
		if t.residents.digest(claimed.State) != digest {
			continue // somebody was faster: judge again
		}
		record.Version = Version{Generation: claimed.Version.Generation, Counter: 1}
		if err = t.store.Save(ctx, key, *record); !errors.Is(err, ErrFenced) {
			if conflict {
				t.counters.Conflicts.Add(1)
			}
			return err
		}
	}
	return refused
}

// saveNow is Keeper.Save. In non-sticky mode record gets the version that it was stored under.
func (t *Tier) saveNow(ctx context.Context, key Key, record *Record, from began) error {
	reported := record.Version
	err := t.store.Save(ctx, key, *record)
	if !t.cfg.NonSticky {
		return err
	}
	if errors.Is(err, ErrFenced) {
		err = t.saveOver(ctx, key, record, from, err)
	}
	if err == nil || errors.Is(err, ErrIncomplete) {
		t.residents.saved(key, savedState{owner: record.Owner, version: reported, digest: t.residents.digest(record.State)})
	}
	return err
}
