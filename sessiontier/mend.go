package sessiontier

import (
	"context"
	"errors"
	"sync/atomic"
	"time"
)

// walk is one walk of the healer over the nodes.
type walk struct {
	t           *Tier
	begun, next time.Time // next: when the next session may be looked at
	unlisted    bool      // a node does not list its keys
	failed      atomic.Bool

	seen, copied, resealed, unreadable, tooLarge atomic.Uint64
}

// mend stores the session of a key that node `source` listed on the nodes where a copy of it is missing or older; a tombstone also in place of
// older copies wherever they are. It writes as everything does, by add or compare-and-swap against what was read, and keeps no longer than
// what it copies. Nothing is done if another node holds something newer: that node's own keys are walked too. The error says that it
// is worth another try.
func (w *walk) mend(ctx context.Context, source int, l *listed) error {
	value, tok, err := w.t.nodes[source].get(ctx, l.key)
	if errors.Is(err, errMiss) {
		return nil
	}
	if err != nil {
		return err
	}
	k, err := keyOf(value)
	if err != nil || k.check() != nil || k.storeKey() != l.key {
		w.unreadable.Add(1)
		return nil //nolint:nilerr // counted: the walk goes on with the next key
	}
	env, err := w.t.codec.decode(value, k, l.key)
	if err != nil {
		w.unreadable.Add(1)
		return nil //nolint:nilerr // counted: the walk goes on with the next key
	}
	life := lifeOf(env.ttl)
	if tok.id == l.cas { // otherwise it was stored anew since, for its whole life
		rest, ended := l.life(time.Now())
		if ended {
			return nil
		}
		life = rest
	}
	v := w.t.lookBeside(ctx, k, l.key, source, entry{found: true, env: env, tok: tok, size: len(value)})
	if env.outdated && v.highest.compare(&env) <= 0 {
		if err := w.reseal(ctx, v, source, &env, life); err != nil {
			return err
		}
	}
	if w.isFor(v, source) {
		return w.complete(ctx, v, v.newest, life) // which has a newer state than env, where that is a claim which does not hold the newest
	}
	return nil
}

// reseal writes a copy again where it is, since its seal is not the one that copies are written with now.
func (w *walk) reseal(ctx context.Context, v *view, source int, env *envelope, life time.Duration) error {
	value, err := w.t.codec.encode(env, v.key, v.storeKey)
	if err != nil {
		w.unreadable.Add(1)
		return nil //nolint:nilerr // counted: the walk goes on with the next key
	}
	_, err = w.t.nodes[source].put(ctx, v.storeKey, value, life, v.entries[source].tok)
	switch {
	case err == nil, errors.Is(err, errConflict): // or somebody else was faster, under whatever key: the next walk will see
		w.resealed.Add(1)
		w.t.counters.resealed.Add(1)
	case errors.Is(err, errTooLarge):
		w.tooLarge.Add(1)
	default:
		return err
	}
	return nil
}

// isFor says whether the session is this source's to mend: no node holds something newer, and none that comes before it in rank the same.
func (w *walk) isFor(v *view, source int) bool {
	own := &v.entries[source].env
	if v.highest.compare(own) > 0 {
		return false
	}
	for _, i := range v.rank {
		if e := &v.entries[i]; e.err == nil && e.found && e.env.compare(own) == 0 {
			return int(i) == source
		}
	}
	return false
}

// complete writes env, for life, to the nodes that lack it, or its state.
func (w *walk) complete(ctx context.Context, v *view, env *envelope, life time.Duration) error {
	var room [maxNodes]int
	var wanted nodeSet
	for _, i := range v.targets(room[:0], w.t.copies) {
		wanted.add(i)
	}
	var value []byte
	for i := range v.entries {
		e := &v.entries[i]
		switch {
		case e.err != nil, e.found && e.env.compare(env) >= 0:
			continue
		case !wanted.has(i) && !(env.tombstone && e.found):
			continue
		}
		if value == nil {
			var err error
			if value, err = w.t.codec.encode(env, v.key, v.storeKey); err != nil {
				w.unreadable.Add(1)
				return nil //nolint:nilerr // counted: the walk goes on with the next key
			}
		}
		_, err := w.t.nodes[i].put(ctx, v.storeKey, value, life, e.tok)
		switch {
		case err == nil:
			w.copied.Add(1)
			w.t.counters.healed.Add(1)
		case errors.Is(err, errConflict): // somebody else was faster, with this or something newer
		case errors.Is(err, errTooLarge):
			w.tooLarge.Add(1)
		default:
			return err
		}
	}
	return nil
}
