package sessiontier

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// endWithoutLimit is how long the tombstone of a session without a time limit is kept.
const endWithoutLimit = 24 * time.Hour

// End marks a session as ended: tombstones take the place of its copies, and stay for ttl, the session's time to live (a day where there
// is none). A save of this tier that waits in the queue is dropped, one that runs is waited for. Nodes that do not answer get
// their tombstone when they do; until then this tier remembers it.
//
// ErrUnavailable: no node took it; it is remembered nevertheless. ErrBadKey.
func (t *Tier) End(ctx context.Context, k Key, ttl time.Duration) error {
	if err := k.check(); err != nil {
		return err
	}
	if ttl <= 0 {
		ttl = endWithoutLimit
	}
	storeKey := k.storeKey()
	t.queue.cancel(ctx, storeKey)
	v := t.look(ctx, k, storeKey, t.rank(storeKey))
	now := t.now()
	// The time of the end is above that of each beginning, so it beats copies too that cannot be seen now.
	tomb := envelope{tombstone: true, incarnation: millis(now), created: now.UnixMilli(), stored: now.UnixMilli(), ttl: ttl}
	if v.newest != nil {
		tomb.incarnation = max(tomb.incarnation, v.newest.incarnation)
	}
	if h, ok := t.handles.get(storeKey); ok {
		tomb.incarnation = max(tomb.incarnation, h.incarnation)
	}
	t.handles.forget(storeKey)

	places, away := t.gravesOf(v)
	buried, cause := 0, v.firstError()
	for at, err := range fan(ctx, t, nil, places, errNoAnswer, func(ctx context.Context, i int) error {
		return t.bury(ctx, t.nodes[i], k, storeKey, &tomb, ttl)
	}) {
		if err != nil {
			away, cause = append(away, places[at]), err
			continue
		}
		buried++
	}
	for _, i := range away {
		if !t.nodes[i].pending.add(storeKey, pendingEnd{key: k, env: tomb, until: time.Now().Add(ttl)}) {
			t.counters.endsDropped.Add(1)
		}
	}
	t.counters.ends.Add(1)
	if buried == 0 {
		return fmt.Errorf("cannot end session %q: %w: %w", k.short(), ErrUnavailable, cause)
	}
	return nil
}

// gravesOf returns the nodes that a tombstone is written to, where copies belong or are, and those that cannot be asked whether they
// hold one.
func (t *Tier) gravesOf(v *view) (places, away []int) {
	places = v.targets(nil, t.copies)
	var wanted nodeSet
	for _, i := range places {
		wanted.add(i)
	}
	for i := range v.entries {
		switch e := &v.entries[i]; {
		case e.err != nil:
			away = append(away, i)
		case !wanted.has(i) && !e.tok.isZero():
			places = append(places, i)
		}
	}
	return places, away
}

// bury writes a tombstone to one node, in place of whatever it beats. nil: it is there, or something that is newer still.
func (t *Tier) bury(ctx context.Context, n *node, k Key, storeKey string, tomb *envelope, life time.Duration) error {
	value, err := t.codec.encode(tomb, k, storeKey)
	if err != nil {
		return err
	}
	for range maxAttempts {
		old, tok, err := n.get(ctx, storeKey)
		if err != nil && !errors.Is(err, errMiss) {
			return err
		}
		if err == nil {
			if env, bad := t.codec.decode(old, k, storeKey); bad == nil && env.compare(tomb) >= 0 {
				return nil
			}
		}
		if _, err = n.put(ctx, storeKey, value, lifeOf(life), tok); !errors.Is(err, errConflict) {
			return err
		}
	}
	return fmt.Errorf("node %q: %w", n.name, errConflict)
}
