package session

import (
	"context"
	"errors"
	"fmt"

	"rehydra/proxy/upstream"
)

// readAndSave asks b for the session of r, at most once, and stores what it says.
func (t *Tier) readAndSave(ctx context.Context, b *upstream.Backend, r *Report, at place) error {
	o := operation{op: opRead, id: r.ID, place: at}
	if k, ok := t.index.get(t.key(r.App, r.Base)); ok && r.App != "" {
		o.match = k.stored
	}
	a, err := t.operate(ctx, b, o)
	if errors.Is(err, ErrTooLarge) {
		t.log.Warn().Str("app", r.App).Str("session", Shorten(r.Base)).Str("backend", b.Route()).
			Int("max_state", t.cfg.MaxState).Msg("session not stored: its state is too large; the older copy stays")
		return err
	}
	if err != nil && t.isFormerOwners(r) {
		t.saved(t.key(r.App, r.Base), b, Record{Version: r.Version}, 0, ErrFenced)
		return fmt.Errorf("%w: %w", ErrFenced, err)
	}
	if err == nil && !a.fields.Adapter {
		b.SetAdapterSeen(r.epoch, false)
		t.doubts.end(b)
		if !r.adapter {
			return errNoSuchSession // neither answer was an adapter's: nothing of them is believed
		}
		err = errNoAdapter
	}
	if err != nil {
		return t.unread(r, err)
	}
	if a.status == 200 && t.tellsOlder(ctx, r, a, o.match) {
		return t.refuseOlder(b, r)
	}
	return t.take(ctx, b, r, a)
}

// unread is for a session whose state could not be had.
func (t *Tier) unread(r *Report, err error) error {
	t.log.Warn().Err(err).Str("app", r.App).Str("session", Shorten(r.Base)).Msg("session unprotected: it could not be read")
	return err
}

// isFormerOwners reports whether r is of an older generation than one that is known to be stored. It may still be a new session under
// an id that ended elsewhere, so it is the last word only where the backend cannot be asked.
func (t *Tier) isFormerOwners(r *Report) bool {
	k, ok := t.index.get(t.key(r.App, r.Base))
	return ok && !r.Version.IsZero() && r.Version.Generation < k.stored.Generation
}

// take acts on the answer to a read.
func (t *Tier) take(ctx context.Context, b *upstream.Backend, r *Report, a answer) error {
	var told Report
	if a.fields.Sessions > 0 {
		f := a.fields
		f.States = 0
		if err := told.readOperation(f); err != nil {
			return t.unread(r, &AdapterError{Backend: b.Route(), Field: FieldSession, Err: err})
		}
		if told.Base != r.Base {
			return t.unread(r, &AdapterError{Backend: b.Route(), Field: FieldSession, Err: errOtherSession})
		}
		told.WasBase, told.origin = r.WasBase, r.origin
	}
	if (a.status == 200 || a.status == 304 || a.status == 404) && t.replaced(r, &told) {
		if r.began.locked {
			t.saved(t.key(r.App, r.Base), b, Record{Version: r.Version}, 0, ErrFenced)
			return fmt.Errorf("%w: the backend has another copy by now", ErrFenced)
		}
		if t.cfg.Lock != LockAuto { // where it is known to change nothing
			t.counters.Conflicts.Add(1)
		}
	}
	if (a.status == 200 || a.status == 304) && t.overtaken(r, &told) {
		t.saved(t.key(r.App, r.Base), b, Record{Version: r.Version}, 0, ErrFenced)
		return fmt.Errorf("%w: the backend has another copy by now", ErrFenced)
	}
	switch a.status {
	case 200:
		if a.fields.Sessions == 0 {
			return t.unread(r, &AdapterError{Backend: b.Route(), Field: FieldSession, Err: errNoReport})
		}
		told.State, told.Kind = a.body, StateInline
		*r = told
		return t.save(b, r, nil)
	case 304:
		if a.fields.Sessions > 0 {
			*r = told
		}
		r.Kind = StateSame
		key := t.key(r.App, r.Base)
		t.noteAt(key, r)
		if k, ok := t.index.get(key); ok {
			t.renewIfDue(key, &k, k.ttl, t.cfg.Now())
		}
		return t.forgetWas(ctx, r)
	case 410:
		if a.fields.Sessions > 0 {
			*r = told
		}
		r.Kind = StateGone
		return t.end(ctx, r)
	case 404:
		if t.forgotten(r) {
			return t.unread(r, errForgotten)
		}
		return errNoSuchSession
	default:
		return t.unread(r, fmt.Errorf("cannot read a session at backend %q: it answered %d", b.Route(), a.status))
	}
}

// overtaken reports whether the backend was given another copy of the session, under a newer generation, after the answer that r comes with and before
// it was read: by another proxy, say, that thought the session's owner out too. What the answer says or has changed is in no copy then, unless
// that version is known to be stored. In non-sticky mode that is for replaced to say.
func (t *Tier) overtaken(r, told *Report) bool {
	if t.cfg.NonSticky || r.Version.IsZero() || told.Version.Generation <= r.Version.Generation {
		return false
	}
	return !t.holds(r)
}

// holds reports whether the version in r, or a later one that was made from it, is known to be stored.
func (t *Tier) holds(r *Report) bool {
	k, ok := t.index.get(t.key(r.App, r.Base))
	return ok && k.stored.Generation == r.Version.Generation && k.stored.Compare(r.Version) >= 0
}

// forgotten reports whether a backend that knows nothing of a session has forgotten what the answer r said or changed, as one does that was restarted
// since. Of a session that ended since it would say so (410). In non-sticky mode the session may have been dropped: that is for replaced to say.
func (t *Tier) forgotten(r *Report) bool {
	return !t.cfg.NonSticky && !r.Version.IsZero() && (r.Kind == StatePull || !t.holds(r))
}

var (
	// errNoSuchSession means that a backend was asked for a session and has none:
	// the copies stay.
	errNoSuchSession = errors.New("the backend knows no such session")
	errOtherSession  = errors.New("it speaks of another session than was asked for")
	errNoReport      = errors.New("it is missing")
	errNoAdapter     = errors.New("the answer is not an adapter's")
	errForgotten     = errors.New("the backend had it a moment ago and knows nothing of it")
)

// readOperation reads the report beside the answer to an operation, where the
// state is the body and the parameter state may be any.
func (r *Report) readOperation(f Fields) error {
	if f.Sessions > 1 {
		return errTwice
	}
	next, err := ParseReport(f.Session)
	if err == nil {
		*r = next
	}
	return err
}
