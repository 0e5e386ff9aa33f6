package sessiontier

import (
	"context"
	"errors"
	"fmt"
)

// Lookup returns the newest version of a session that any node holds. It asks all of them at once.
//
// ErrNotFound: there is none (remembered for a second, so that guessed ids cost the nodes nothing). ErrEnded: a tombstone is newer than
// every version. ErrUnavailable: no node that answered holds one, and as many nodes as there are copies, or more, did not answer. A
// copy that fails its checksum or belongs to another key counts as absent, is logged and counted. ErrBadKey. The state returned is
// the caller's.
func (t *Tier) Lookup(ctx context.Context, k Key) (Record, error) {
	if err := k.check(); err != nil {
		return Record{}, err
	}
	storeKey := k.storeKey()
	if t.unknown.knows(storeKey) {
		t.counters.unknown.Add(1)
		return Record{}, fmt.Errorf("cannot look up session %q: %w", k.short(), ErrNotFound)
	}
	begun := t.unknown.begin(storeKey)
	t.counters.lookups.Add(1)
	e, err := t.look(ctx, k, storeKey, t.rank(storeKey)).live(t.copies)
	if err != nil {
		if errors.Is(err, ErrNotFound) {
			t.unknown.note(storeKey, begun)
		}
		return Record{}, fmt.Errorf("cannot look up session %q: %w", k.short(), err)
	}
	return e.record(), nil
}
