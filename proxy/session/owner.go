package session

import (
	"fmt"
	"slices"
	"time"

	"rehydra/proxy/upstream"
)

// A session is taken away from a backend only where this proxy holds that backend
// to be out, or the request has failed there. Where the owner is up and another
// backend was chosen, as for a cookie from before the session moved, the request
// follows the session. Two proxies that do not agree about which backends are up could
// otherwise take a session back and forth, and each would go on to send what it
// calls sticky to the backend that it chose itself, where the state is old by then.

// OwnerError means that a request belongs at another backend than the one it was
// aimed at: that one has the session and is up. Nothing of the request was sent, or
// the application did not see it.
type OwnerError struct {
	Owner *upstream.Backend
}

func (e *OwnerError) Error() string {
	return fmt.Sprintf("the session is at backend %q", e.Owner.Route())
}

// maxFollows bounds how often one request follows a session that moves on.
const maxFollows = 2

// ownerToFollow returns the backend of a route if the request is to go there: nil
// where it is the one it was aimed at, or cannot be used.
func (e *errand) ownerToFollow(route string) *upstream.Backend {
	if route == "" {
		return nil
	}
	owner := e.b.Pool().Backend([]byte(route))
	if owner == nil || !e.plan.mayFollow(owner, e.b) {
		return nil
	}
	return owner
}

// mayFollow reports whether the request may go to owner, where the session is, in place of b.
func (p *Plan) mayFollow(owner, b *upstream.Backend) bool {
	return !p.t.cfg.NonSticky && p.follows < maxFollows && owner.Route() != b.Route() &&
		owner != p.unable && p.usable(owner)
}

// usable reports whether the request may go to a backend at all.
func (p *Plan) usable(b *upstream.Backend) bool {
	return b.Up() && b.Config().Activation != upstream.Stopped && !slices.Contains(p.tried, b)
}

// turnBack is for a session that b owns and cannot read: where the request followed it
// to b, it goes back to where it came from, once, and takes the session there.
func (p *Plan) turnBack(b *upstream.Backend) error {
	from := p.from
	p.from, p.unable = nil, b
	if from == nil || from == b || !p.usable(from) {
		return nil
	}
	return &OwnerError{Owner: from}
}

// leastDoubt is the shortest time for which a hand-over is looked after: that of
// answers which are under way.
const leastDoubt = 2 * time.Second

// doubtAfter is for how long proxies may not agree about b, and with that about who
// has a session that was handed over: until the checks of all of them have found out.
func doubtAfter(b *upstream.Backend) time.Duration {
	h := &b.Pool().Config().Health
	return max(leastDoubt, time.Duration(h.Fall)*(h.Interval+h.Timeout)+h.Interval)
}
