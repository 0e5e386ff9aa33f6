package session

import (
	"context"
	"errors"
	"time"

	"rehydra/proxy/upstream"
)

// save stores the state in r: before it returns in sync mode, for which by waits, later in async mode.
func (t *Tier) save(b *upstream.Backend, r *Report, by Waiter) error {
	key := t.key(r.App, r.Base)
	t.noteAt(key, r)
	t.handoffs.confirm(key, r.Version)
	if len(r.State) > t.cfg.MaxState {
		t.log.Warn().Str("app", r.App).Str("session", Shorten(r.Base)).Str("backend", b.Route()).
			Int("bytes", len(r.State)).Int("max_state", t.cfg.MaxState).
			Msg("session not stored: its state is too large; the older copy stays")
		return ErrTooLarge
	}
	returns := t.store.Returns() // before: what comes back meanwhile may lack the copy
	record := Record{Version: r.Version, Owner: b.Route(), TTL: r.TTL, State: r.State, Continued: r.continued}
	if t.cfg.Async && r.WasBase == "" { // a renewed id waits: it must be stored before the old one ends
		t.store.SaveAsync(key, record, func(err error) {
			t.saved(key, b, record, returns, err)
			if isUnsafe(err) {
				t.counters.Unprotected.Add(1)
			}
		})
		if by != nil {
			by.Yield()
		}
		return nil
	}
	ctx, end := t.store.Within(t.cfg.SaveTimeout) // also where connections are cut meanwhile
	defer end()
	record.Waiter = by
	err := t.saveNow(ctx, key, &record, r.began)
	t.saved(key, b, record, returns, err)
	if t.verdict(err) != Acknowledge {
		return err // the client never learns the new id: the old one must live
	}
	if werr := t.forgetWas(ctx, r); err == nil {
		err = werr
	}
	return err
}

// forgetWas ends the id that the session had before, where it was renewed.
func (t *Tier) forgetWas(ctx context.Context, r *Report) error {
	if r.WasBase == "" || r.WasBase == r.Base {
		return nil
	}
	return t.mark(ctx, t.key(r.App, r.WasBase), r.TTL)
}

// mark leaves the mark of an ended session in the store.
func (t *Tier) mark(ctx context.Context, key Key, ttl time.Duration) error {
	t.index.forget(key)
	err := t.store.End(ctx, key, ttl)
	if err != nil {
		t.log.Warn().Err(err).Str("app", key.App).Str("session", Shorten(key.BaseID)).
			Msg("session end not stored: its copies may come back")
	}
	return err
}

// saved notes the result of a save, counts it and logs what an operator must know.
func (t *Tier) saved(key Key, b *upstream.Backend, r Record, returns uint64, err error) {
	switch {
	case err == nil:
		t.counters.Saves.Add(1)
		t.noteStored(key, r, returns, false)
		return
	case errors.Is(err, ErrEnded):
		t.index.forget(key)
		return
	case errors.Is(err, ErrFenced):
		t.refused(key, b, r.Version)
		t.counters.Fenced.Add(1)
		t.log.Warn().Str("app", key.App).Str("session", Shorten(key.BaseID)).Str("backend", b.Route()).
			Stringer("version", r.Version).Msg("session fenced: a late write of a former owner was refused")
		return
	case errors.Is(err, ErrIncomplete):
		t.noteStored(key, r, returns, true)
	}
	t.log.Warn().Err(err).Str("app", key.App).Str("session", Shorten(key.BaseID)).
		Stringer("version", r.Version).Msg("session unprotected: not every copy was stored")
}

// refused notes that a write of b was fenced off. What is known to be stored stays known where it is of a newer generation: this proxy has handed
// the session over since, perhaps in this very moment. Otherwise the next request looks again.
func (t *Tier) refused(key Key, b *upstream.Backend, version Version) {
	newer := false
	t.index.change(key, t.cfg.Now(), func(k *known) {
		if newer = k.stored.Generation > version.Generation; newer && k.at(b) {
			k.epoch = 0 // the refused answer said so
		}
	})
	if !newer {
		t.index.forget(key)
	}
}

// end marks the session of r as ended. In both modes the response waits for it:
// an end that is lost would bring the session back.
func (t *Tier) end(ctx context.Context, r *Report) error {
	ctx, cancel := context.WithTimeout(ctx, t.cfg.SaveTimeout)
	defer cancel()
	key := t.key(r.App, r.Base)
	t.handoffs.confirm(key, Version{Generation: 1 << 62})
	err := t.mark(ctx, key, r.TTL)
	if werr := t.forgetWas(ctx, r); err == nil {
		err = werr
	}
	return err
}
