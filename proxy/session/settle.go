package session

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"rehydra/jvmroute"
	"rehydra/proxy/upstream"
)

// Verdict says whether a response may be acknowledged.
type Verdict uint8

// The verdicts.
const (
	Acknowledge   Verdict = iota
	RefuseFenced          // a newer owner holds the session: 503, the change is void
	RefuseUnsaved         // the change is not safe and the configuration wants 503
)

// Settle does what the report of b asks for and returns when that is done, or
// at the latest when the time for it has passed: a save in sync mode, a mark for
// an ended session, a read for what the backend did not say.
func (p *Plan) Settle(ctx context.Context, b *upstream.Backend) Verdict {
	if p.t == nil || p.report.Kind == StateMissing {
		return Acknowledge
	}
	r := &p.report
	if r.Kind == StateLate {
		r.Kind = StatePull // the trailers are missing
	}
	r.began, r.continued = p.began(), p.continues(r.Base)
	if p.mayBlock() {
		p.block()
	}
	var err error
	switch {
	case p.wentBack(ctx):
		err = p.t.refuseOlder(b, r)
	case r.Kind == StateSame && p.t.isUnchanged(r):
	case r.Kind == StatePull, r.Kind == StateSame && !p.t.superseded(r):
		p.block()
		err = p.t.ask(b, r, p.at)
	default:
		err = p.t.settle(ctx, b, r, p.waiter)
	}
	p.conclude(b, err)
	if p.t.cfg.NonSticky {
		p.settledNonSticky(b)
	}
	return p.t.verdict(err)
}

// mayBlock reports whether settling the report may take more than one save that the Waiter can wait for.
func (p *Plan) mayBlock() bool {
	r := &p.report
	if p.t.cfg.NonSticky || isOlder(r.Version, p.stored) {
		return true
	}
	return r.Kind != StateSame && r.Kind != StateInline || r.WasBase != ""
}

// continues reports whether the session base, of the answer, is one that the request
// came with and the backend had: nobody has just told it that there is none, or that it
// has ended. The backend may have kept it past its end, if that came through another proxy.
func (p *Plan) continues(base string) bool {
	for i := range p.ids {
		if string(p.ids[i].Base()) != base {
			continue
		}
		told, _ := jvmroute.Split(p.id)
		return string(told) != base || p.st.have == HaveAbsent || p.st.have == HaveVersion || p.st.unanswered
	}
	return false
}

// settle stores what r reports.
func (t *Tier) settle(ctx context.Context, b *upstream.Backend, r *Report, by Waiter) error {
	switch r.Kind {
	case StateGone:
		return t.end(ctx, r)
	case StateSame:
		t.noteAt(t.key(r.App, r.Base), r)
		return nil
	default:
		return t.save(b, r, by)
	}
}

// errUnread means that the time for a save was over before the backend had said
// what is to be saved.
var errUnread = fmt.Errorf("the backend has not told the state in time: %w", ErrIncomplete)

// ask reads the session of r from b and stores it. In sync mode it waits for
// save_timeout, and on return r holds what was read; in async mode it does not
// wait. The read goes on for longer: a state that comes late is stored all the same.
func (t *Tier) ask(b *upstream.Backend, r *Report, at place) error {
	read := *r
	at = place{host: bytes.Clone(at.host), target: bytes.Clone(at.target)}
	done := make(chan error, 1)
	timeout := time.NewTimer(t.cfg.SaveTimeout)
	defer timeout.Stop()
	if !t.takeRead(timeout.C) {
		if t.cfg.Async {
			t.counters.Unprotected.Add(1)
		}
		return t.untold(b, r)
	}
	t.background.Go(func() {
		defer func() { <-t.reads }()
		err := errUnread // of a read that panics
		defer func() {
			if fault := recover(); fault != nil {
				t.log.Error().Interface("panic", fault).Msg("panic while a session was read")
			}
			done <- err
		}()
		ctx, cancel := context.WithTimeout(t.ctx, operationTimeout)
		defer cancel()
		err = t.readAndSave(ctx, b, &read, at)
		if t.cfg.Async && isUnsafe(err) {
			t.counters.Unprotected.Add(1) // the response went out long ago
		}
	})
	if t.cfg.Async {
		return nil
	}
	select {
	case err := <-done:
		*r = read
		return err
	case <-timeout.C:
		return t.untold(b, r)
	}
}

// takeRead takes one of the places for reads: in sync mode it waits for one.
func (t *Tier) takeRead(timeout <-chan time.Time) bool {
	select {
	case t.reads <- struct{}{}:
		return true
	default:
	}
	if t.cfg.Async {
		return false
	}
	select {
	case t.reads <- struct{}{}:
		return true
	case <-timeout:
		return false
	}
}

func (t *Tier) untold(b *upstream.Backend, r *Report) error {
	t.log.Warn().Str("app", r.App).Str("session", Shorten(r.Base)).Str("backend", b.Route()).
		Msg("session unprotected: the backend has not told its state in time")
	if t.cfg.Async {
		return nil // counted already; the response waits for nothing
	}
	return errUnread
}

// isUnchanged reports whether the version in r is known to be stored, notes the answer, and renews
// the copies when it is time. It is all that an unchanged session takes.
func (t *Tier) isUnchanged(r *Report) (stored bool) {
	key, now, returns := t.key(r.App, r.Base), t.cfg.Now(), t.store.Returns()
	var found known
	t.index.change(key, now, func(k *known) {
		switch {
		case k.stored != r.Version:
		case k.returns != returns:
			// A node came back since, perhaps empty. The state is asked for without
			// If-None-Match, and stored.
			k.stored = Version{}
		default:
			stored = true
			k.reported(r, now)
			found = *k
		}
	})
	if stored {
		t.renewIfDue(key, &found, r.TTL, now)
	}
	return stored
}

// conclude notes in the plan what became of the session.
func (p *Plan) conclude(b *upstream.Backend, err error) {
	r := &p.report
	base, _ := jvmroute.Split(p.id)
	same := r.Base == string(base) || r.WasBase == string(base)
	switch {
	case errors.Is(err, ErrFenced):
		p.outcome = OutcomeFenced
		return
	case r.Kind == StateGone:
		p.outcome = OutcomeEnded
	case p.id != nil && !same && p.missed():
		p.lost()
	case p.id == nil || !same:
		p.outcome = OutcomeNew
	case p.st.installed:
		p.outcome = OutcomeRestored
	default:
		p.outcome = OutcomeSticky
	}
	if isUnsafe(err) {
		p.t.counters.Unprotected.Add(1)
		if p.outcome != OutcomeLost {
			p.outcome = OutcomeUnprotected
		}
	}
}

// isUnsafe reports whether err leaves a change of a living session without all its copies.
func isUnsafe(err error) bool {
	return err != nil && !errors.Is(err, ErrEnded) && !errors.Is(err, ErrFenced) && !errors.Is(err, errNoSuchSession)
}

func (t *Tier) verdict(err error) Verdict {
	switch {
	case err == nil, errors.Is(err, ErrEnded), errors.Is(err, errNoSuchSession), t.cfg.Async:
		return Acknowledge
	case errors.Is(err, ErrFenced):
		return RefuseFenced
	case t.cfg.FailUnsaved:
		return RefuseUnsaved
	default:
		return Acknowledge
	}
}

// Done ends the request: an install that no answer confirmed is forgotten, and
// what the request held is given back.
func (p *Plan) Done() {
	if p.t != nil && p.t.cfg.NonSticky {
		p.block()
	}
	p.unsent()
	p.leave()
	p.unlock()
}

// unsent gives up the install that the request carried, if it did: no answer has
// confirmed it.
func (p *Plan) unsent() {
	if p.t != nil && p.st.state != nil {
		p.t.handoffs.release(p.told(), p.st.version)
		p.st.state = nil
	}
}

// arrived is for an answer: what the request carried is there.
func (p *Plan) arrived() {
	if p.st.state != nil {
		p.t.handoffs.confirm(p.told(), p.st.version)
	}
}

// told is the session that the backend was told of.
func (p *Plan) told() Key {
	base, _ := jvmroute.Split(p.id)
	return p.t.key(p.app, string(base))
}
