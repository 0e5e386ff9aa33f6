package session

import (
	"context"
	"errors"
	"time"
)

// A session that is only read is stored again when this part of its ttl has
// passed, one without a ttl once in renewUnlimited; copies that are missing are
// tried again after mendAfter.
const (
	renewPart      = 4
	renewUnlimited = 6 * time.Hour
	mendAfter      = 2 * time.Second
)

// renewIfDue sees to it that copies which are not written, since the session does not change, outlive it, and that missing ones are
// made again.
func (t *Tier) renewIfDue(key Key, k *known, ttl time.Duration, now time.Time) {
	age := now.Sub(k.storedAt)
	due := age >= renewUnlimited
	if ttl > 0 {
		due = age >= ttl/renewPart
	}
	if due || k.incomplete && age >= mendAfter {
		t.renew(key)
	}
}

// renew stores the copies of a session again, in the background. When too many
// renewals run it is left for the session's next request.
func (t *Tier) renew(key Key) {
	select {
	case t.slots <- struct{}{}:
	default:
		return
	}
	now := t.cfg.Now()
	t.index.update(key, now, func(k *known) { k.storedAt = now })
	t.background.Go(func() {
		defer func() { <-t.slots }()
		defer func() {
			if fault := recover(); fault != nil {
				t.log.Error().Interface("panic", fault).Msg("panic in the renewal of a session")
			}
		}()
		ctx, cancel := context.WithTimeout(t.ctx, operationTimeout)
		defer cancel()
		err := t.store.Touch(ctx, key)
		t.index.update(key, now, func(k *known) {
			switch {
			case err == nil:
				k.incomplete = false
			case errors.Is(err, ErrNotFound):
				k.stored = Version{} // the next answer's state is asked for and stored
			case errors.Is(err, ErrEnded):
				k.epoch, k.incomplete = 0, true // elsewhere: the next request looks
			default:
				k.incomplete = true
			}
		})
	})
}
