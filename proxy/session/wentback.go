package session

import (
	"context"
	"fmt"

	"rehydra/jvmroute"
	"rehydra/proxy/upstream"
)

// A backend counts its versions up. One that speaks of an older version than it had, in the same generation, has forgotten those between: it was restarted,
// and got the copy of that generation once more, from a proxy that stood still meanwhile. What it makes of that copy would have the numbers of versions that
// are stored, and to store it would change nothing: it must not be acknowledged.

// wentBack reports whether the answer speaks of an older version of its session than was known to be stored when the request was aimed.
func (p *Plan) wentBack(ctx context.Context) bool {
	r := &p.report
	if !isOlder(r.Version, p.stored) || r.Kind == StateGone || r.App != p.app {
		return false
	}
	base, _ := jvmroute.Split(p.id)
	return r.Base == string(base) && p.t.isLaterThan(ctx, p.t.key(r.App, r.Base), p.stored)
}

// tellsOlder is wentBack for the answer to a read; stored was known before it was sent.
func (t *Tier) tellsOlder(ctx context.Context, r *Report, a answer, stored Version) bool {
	told, err := ParseReport(a.fields.Session)
	return err == nil && told.Base == r.Base && isOlder(told.Version, stored) && t.isLaterThan(ctx, t.key(r.App, r.Base), stored)
}

// isOlder reports whether v is an older version than stored of the same generation.
func isOlder(v, stored Version) bool {
	return v.Generation == stored.Generation && v.Counter < stored.Counter
}

// isLaterThan asks the store whether a version that was known to be there, or a later one, still is. If not, the session has ended and begun anew since,
// under the same id.
func (t *Tier) isLaterThan(ctx context.Context, key Key, stored Version) bool {
	if t.cfg.NonSticky {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, t.cfg.SaveTimeout)
	defer cancel()
	newest, err := t.store.Lookup(ctx, key)
	if err != nil {
		return false
	}
	if newest.Version.Compare(stored) >= 0 {
		return true
	}
	t.index.forget(key)
	return false
}

// refuseOlder refuses an answer of a backend that went back to an older version. The session's next request looks, and the backend gets the newest
// under another generation.
func (t *Tier) refuseOlder(b *upstream.Backend, r *Report) error {
	t.saved(t.key(r.App, r.Base), b, Record{Version: r.Version}, 0, ErrFenced)
	return fmt.Errorf("%w: the backend went back to version %s", ErrFenced, r.Version)
}
