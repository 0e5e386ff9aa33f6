package sessiontier

import (
	"context"
	"fmt"
)

// Touch keeps a session's copies alive: its newest version is stored again, with a fresh life, on every node that is to have it, and
// missing copies are mended. Copies live only as long as the session's time to live after they were written, so a session that is read
// and not changed needs a touch when a quarter of that has passed.
//
// ErrNotFound, also when the newest copy is older than what this tier stored: the owner's state must be stored instead. ErrEnded, ErrUnavailable and ErrBadKey as Lookup, ErrIncomplete as Save.
func (t *Tier) Touch(ctx context.Context, k Key) error {
	if err := k.check(); err != nil {
		return err
	}
	w := &write{t: t, key: k, storeKey: k.storeKey()}
	w.rank = t.rank(w.storeKey)
	if err := t.touch(ctx, w); err != nil {
		return fmt.Errorf("cannot touch session %q: %w", k.short(), err)
	}
	t.counters.touches.Add(1)
	return nil
}

func (t *Tier) touch(ctx context.Context, w *write) error {
	for range maxAttempts {
		if ctx.Err() != nil {
			break
		}
		known, _ := t.handles.get(w.storeKey)
		v := w.look(ctx)
		newest, err := v.live(t.copies)
		if err != nil {
			return err
		}
		if t.isPutBack(w.key, known, newest) {
			return ErrNotFound
		}
		env := *newest
		env.stored = t.now().UnixMilli()
		again, err := w.spread(ctx, v, &env, true)
		if !again {
			return err
		}
		t.counters.conflicts.Add(1)
	}
	return w.incomplete(ctx.Err())
}
