package sessiontier

import (
	"context"
	"errors"
	"fmt"
)

// Lookup returns the newest version of a session that any node holds. It asks all of them at once.
//
// ErrNotFound: there is none (remembered for a second, so that guessed ids cost the nodes nothing). ErrEnded: a tombstone is newer than
// every version. ErrUnavailable: no node that answered holds one, and as many nodes as there are copies, or more, did not answer; or one does, and those
// are not known to be down, so that it may be an old one. Nodes that are only late are asked again until ctx ends. A
// copy that fails its checksum or its seal, belongs to another key, or is older than what this tier stored counts as absent, is logged and counted. ErrBadKey. The state returned is
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
	known, _ := t.handles.get(storeKey) // before: what is saved meanwhile is not older than what is read
	e, err := t.lookLive(ctx, k, storeKey)
	if err != nil {
		if errors.Is(err, ErrNotFound) {
			t.unknown.note(storeKey, begun)
		}
		return Record{}, fmt.Errorf("cannot look up session %q: %w", k.short(), err)
	}
	if t.isPutBack(k, known, e) {
		return Record{}, fmt.Errorf("cannot look up session %q: its newest version is not to be had: %w", k.short(), ErrUnavailable)
	}
	return e.record(), nil
}

// isPutBack says that the newest copy there is is older than what this tier stored itself, and so is not to be used: not handed over, and not
// stored again, which would make it look like the newest. known is what the tier remembered before it asked; nil: nothing.
func (t *Tier) isPutBack(k Key, known *handle, newest *envelope) bool {
	if known == nil || !known.isNewerThan(newest) {
		return false
	}
	t.counters.corrupt.Add(1)
	t.log.Warn().Str("pool", k.Pool).Str("session", k.short()).Stringer("version", newest.version).
		Msg("session copies older than what was stored, taken for absent")
	return true
}

// isNewerThan reports whether this tier stored a newer version of the session than e, which then is what a node was behind with or what
// somebody has put back.
func (h *handle) isNewerThan(e *envelope) bool {
	if h.incarnation == 0 || h.incarnation != e.incarnation {
		return false
	}
	for i := range h.copies {
		c := &h.copies[i]
		if !c.tok.isZero() && c.version.Compare(e.version) > 0 && (c.owner == e.owner || c.version.Generation > e.version.Generation) {
			return true
		}
	}
	return false
}
