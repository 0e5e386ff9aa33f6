package main

import (
	"context"
	"errors"
	"time"

	"rehydra/proxy/session"
	"rehydra/sessiontier"
)

// storeAdapter lets the proxy keep sessions in the session tier. The two do not
// know each other; their types have the same meaning field by field.
type storeAdapter struct {
	tier *sessiontier.Tier
}

var _ session.Store = storeAdapter{}

func (a storeAdapter) Lookup(ctx context.Context, key session.Key) (session.Record, error) {
	r, err := a.tier.Lookup(ctx, sessiontier.Key(key))
	return fromTier(r), storeError(err)
}

func (a storeAdapter) Claim(ctx context.Context, key session.Key, owner string) (session.Record, error) {
	r, err := a.tier.Claim(ctx, sessiontier.Key(key), owner)
	return fromTier(r), storeError(err)
}

func (a storeAdapter) Save(ctx context.Context, key session.Key, r session.Record) error {
	return storeError(a.tier.Save(ctx, sessiontier.Key(key), toTier(r)))
}

func (a storeAdapter) End(ctx context.Context, key session.Key, ttl time.Duration) error {
	return storeError(a.tier.End(ctx, sessiontier.Key(key), ttl))
}

func (a storeAdapter) Touch(ctx context.Context, key session.Key) error {
	return storeError(a.tier.Touch(ctx, sessiontier.Key(key)))
}

func (a storeAdapter) SaveAsync(key session.Key, r session.Record, done func(error)) {
	a.tier.SaveAsync(sessiontier.Key(key), toTier(r), func(err error) { done(storeError(err)) })
}

func (a storeAdapter) Lock(ctx context.Context, pool, base string, life time.Duration) (session.Unlocker, error) {
	lock, err := a.tier.Lock(ctx, pool, base, life)
	if err != nil {
		return nil, storeError(err)
	}
	return lock, nil
}

func (a storeAdapter) Within(d time.Duration) (context.Context, context.CancelFunc) {
	return a.tier.Within(d)
}

func (a storeAdapter) Returns() uint64 { return a.tier.Returns() }

func fromTier(r sessiontier.Record) session.Record {
	return session.Record{Version: session.Version(r.Version), Owner: r.Owner, TTL: r.TTL, State: r.State}
}

func toTier(r session.Record) sessiontier.Record {
	return sessiontier.Record{Version: sessiontier.Version(r.Version), Owner: r.Owner, TTL: r.TTL, State: r.State, Continued: r.Continued, Waiter: r.Waiter}
}

// storeErrors pairs what the tier answers with what the proxy knows. The order
// matters: a save that stored nothing is both incomplete and unavailable.
var storeErrors = [...]struct{ tier, proxy error }{
	{sessiontier.ErrNotFound, session.ErrNotFound},
	{sessiontier.ErrEnded, session.ErrEnded},
	{sessiontier.ErrFenced, session.ErrFenced},
	{sessiontier.ErrTooLarge, session.ErrTooLarge},
	{sessiontier.ErrUnavailable, session.ErrUnavailable},
	{sessiontier.ErrIncomplete, session.ErrIncomplete},
	{sessiontier.ErrLocked, session.ErrLocked},
}

// storeError makes an error of the tier one that the proxy can tell apart.
func storeError(err error) error {
	for _, pair := range storeErrors {
		if errors.Is(err, pair.tier) {
			return &sharedError{kind: pair.proxy, err: err}
		}
	}
	return err
}

// sharedError is an error of the tier that the proxy knows as kind.
type sharedError struct {
	kind, err error
}

func (e *sharedError) Error() string        { return e.err.Error() }
func (e *sharedError) Is(target error) bool { return target == e.kind }
func (e *sharedError) Unwrap() error        { return e.err }
