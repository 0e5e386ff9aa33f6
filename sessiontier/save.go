package sessiontier

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// maxAttempts is how often a write is begun anew after somebody else wrote in between. Each time somebody got ahead, so the end is only
// reached when a session is written from many sides at once.
const maxAttempts = 64

// Save stores a state on as many nodes as there are to be copies, at once. It returns nil when that many hold this version or a newer
// one of the same generation and owner.
//
// ErrFenced: the store holds a newer generation, or this one by another owner; the record was dropped and counted. ErrEnded: a
// tombstone is there, and this is not a first version (1.1) of a new session, which starts the id over. ErrTooLarge: the state is over MaxState or a
// node's limit; the older copy stays. ErrIncomplete: fewer copies could be stored by the end of ctx, or fewer nodes are
// alive; *IncompleteError says how many; with none it is ErrUnavailable as well. ErrBadKey.
//
// rec.State may be reused when Save has returned.
func (t *Tier) Save(ctx context.Context, k Key, rec Record) error {
	if err := t.save(ctx, k, rec, rec.startsOver()); err != nil {
		return fmt.Errorf("cannot save session %q version %s: %w", k.short(), rec.Version, err)
	}
	return nil
}

// save is Save; startsOver says that the record may replace the tombstone of an earlier session of that id.
func (t *Tier) save(ctx context.Context, k Key, rec Record, startsOver bool) error {
	if err := k.check(); err != nil {
		return err
	}
	if len(rec.State) > t.maxState {
		t.counters.tooLarge.Add(1)
		return fmt.Errorf("%w: %d bytes, at most %d", ErrTooLarge, len(rec.State), t.maxState)
	}
	w := &write{t: t, key: k, storeKey: k.storeKey()}
	w.rank = t.rank(w.storeKey)
	t.unknown.clear(w.storeKey)
	defer t.unknown.clear(w.storeKey) // again: a look-up may have begun since, and seen nothing yet
	w.known, _ = t.handles.get(w.storeKey)

	err := t.saveRecord(ctx, w, rec, startsOver)
	switch {
	case err == nil:
		t.counters.saves.Add(1)
		t.counters.savedBytes.Add(uint64(len(rec.State)))
	case errors.Is(err, ErrFenced):
		t.counters.fenced.Add(1)
		t.handles.forget(w.storeKey)
	case errors.Is(err, ErrEnded):
		t.handles.forget(w.storeKey)
	case errors.Is(err, ErrTooLarge):
		t.counters.tooLarge.Add(1)
	case errors.Is(err, ErrIncomplete):
		t.counters.incomplete.Add(1)
		if startsOver && errors.Is(err, ErrUnavailable) {
			t.rememberStart(w)
		}
	}
	return err
}

// rememberStart lets a later version start the id over in place of the first one, which could not be stored.
func (t *Tier) rememberStart(w *write) {
	h := handle{startsOver: true}
	if w.known != nil {
		h.incarnation, h.created = w.known.incarnation, w.known.created
	}
	t.handles.set(w.storeKey, &h)
}

func (t *Tier) saveRecord(ctx context.Context, w *write, rec Record, startsOver bool) error {
	if w.known != nil {
		startsOver = startsOver || w.known.startsOver && rec.Version.Generation == firstVersion.Generation
		w.waiter = rec.Waiter
		if done, err := w.overwrite(ctx, rec); done {
			return err
		}
		w.waiter = nil
	}
	block(rec.Waiter)
	var over startOver
	asked := false
	for attempt := range maxAttempts {
		if ctx.Err() != nil {
			break
		}
		v := w.look(ctx)
		if !asked && t.mayAnswer(v) {
			// A claim may be on all that are silent, or on one where the others were restarted. They may be late since this process stood still, and for as long.
			asked, w.failed = true, 0
			v = w.look(ctx)
		}
		if attempt == 0 && startsOver {
			over = startOver{allowed: true}
			if v.newest != nil {
				over.above = v.newest.incarnation
			}
		}
		env, err := decideSave(v.newest, rec, w.known, over, t.now())
		if err != nil {
			return err
		}
		again, err := w.spread(ctx, v, &env, false)
		if !again {
			return err
		}
		t.counters.conflicts.Add(1)
	}
	return w.incomplete(ctx.Err())
}

// startOver says whether a record may be the first of a session whose id was used before. A tombstone that appears while the save
// runs ends the session that is being saved: only those up to `above`, the incarnation that was there before, can be replaced.
type startOver struct {
	allowed bool
	above   uint64
}

// decideSave says what a record is stored as, when newest is the newest that the nodes hold of its session (nil: nothing) and known
// what this tier remembers of it (nil: nothing); or why it is not: ErrFenced, ErrEnded. It is pure.
func decideSave(newest *envelope, rec Record, known *handle, over startOver, now time.Time) (envelope, error) {
	env := envelope{
		version: rec.Version, owner: rec.Owner, ttl: max(rec.TTL, 0), state: rec.State,
		created: now.UnixMilli(), stored: now.UnixMilli(),
	}
	if known.beyond(newest) {
		// The copies are gone, or what is left is of an earlier session of this id.
		env.incarnation, env.created = known.incarnation, known.created
		return env, nil
	}
	switch {
	case newest == nil && over.allowed:
		env.incarnation = millis(now)
	case newest == nil:
		// Not a new session, and nobody knows when it began: older than any that is known. There may be copies that were not seen.
	case newest.tombstone && over.allowed && newest.incarnation <= over.above:
		env.incarnation = max(newest.incarnation+1, millis(now))
	case newest.tombstone:
		return envelope{}, ErrEnded
	case fencing && newest.version.Generation > rec.Version.Generation:
		return envelope{}, fmt.Errorf("%w: %q has version %s", ErrFenced, newest.owner, newest.version)
	case fencing && newest.version.Generation == rec.Version.Generation && newest.owner != rec.Owner:
		return envelope{}, fmt.Errorf("%w: %q has version %s", ErrFenced, newest.owner, newest.version)
	default:
		env.incarnation, env.created = newest.incarnation, newest.created
		if env.incarnation == 0 && known != nil {
			env.incarnation = known.incarnation
		}
	}
	return env, nil
}

// beyond says that what the tier remembers is of a later incarnation than the newest of the nodes, as far as both are known.
func (h *handle) beyond(newest *envelope) bool {
	if h == nil || h.incarnation == 0 {
		return false
	}
	return newest == nil || newest.incarnation != 0 && newest.incarnation < h.incarnation
}

// millis is a time as an incarnation; a clock before 1970 counts as 1970.
func millis(t time.Time) uint64 { return uint64(max(t.UnixMilli(), 1)) }
