package session

import (
	"context"
	"fmt"
	"time"
)

// Locker locks sessions over all proxies; of non-sticky mode.
type Locker interface {
	// Lock waits for the lock of the session base, whatever its app, until ctx ends. It
	// is lost when life has passed. ErrLocked, ErrUnavailable.
	Lock(ctx context.Context, pool, base string, life time.Duration) (Unlocker, error)
}

// Unlocker is a lock that is held.
type Unlocker interface {
	// Unlock gives the lock back. After an error it is freed by the end of its life.
	Unlock(ctx context.Context) error
}

// LockMode says which requests lock their session in non-sticky mode. The names
// are memcached-session-manager's.
type LockMode uint8

// The modes.
const (
	LockNone    LockMode = iota // none: of parallel changes the last one wins
	LockAll                     // all
	LockAuto                    // all but those whose path turned out to change nothing
	LockPattern                 // those whose path matches Config.LockPattern
)

var lockModes = map[string]LockMode{"none": LockNone, "all": LockAll, "auto": LockAuto, "pattern": LockPattern}

// ParseLockMode reads the name of a mode.
func ParseLockMode(name string) (LockMode, error) {
	mode, ok := lockModes[name]
	if !ok {
		return LockNone, fmt.Errorf("lock %q, wanted none, all, auto or pattern", name)
	}
	return mode, nil
}

// unlockTimeout bounds how long a response waits for its lock to be given back.
const unlockTimeout = time.Second

// heldLock is the lock that a request has asked for.
type heldLock struct {
	base string   // of the session; "": none was asked for
	held Unlocker // nil: it goes on without
}

// wantsLock reports whether the request must have its session for itself.
func (p *Plan) wantsLock() bool {
	switch p.t.cfg.Lock {
	case LockAll:
		return true
	case LockAuto:
		return !p.t.readers.trusts(p.method, p.path)
	case LockPattern:
		return p.t.cfg.LockPattern != nil && p.t.cfg.LockPattern.Match(p.path)
	default:
		return false
	}
}

// lockFor sees to it that the request has the lock of the session base, and no
// other: a request holds one lock, so that no two can wait for each other.
func (p *Plan) lockFor(ctx context.Context, base string) error {
	p.unlock()
	t := p.t
	ctx, cancel := context.WithTimeout(ctx, t.cfg.LockTimeout)
	defer cancel()
	held, err := t.store.Lock(ctx, t.cfg.Pool, base, t.cfg.LockExpiry)
	if err != nil {
		if !t.cfg.LockGoOn {
			return fmt.Errorf("%w: %w", ErrNotNow, err)
		}
		t.log.Warn().Err(err).Str("session", Shorten(base)).Msg("session not locked: the request goes on without")
	}
	p.lock = heldLock{base: base, held: held}
	return nil
}

// unlock gives the lock back, if the request has one.
func (p *Plan) unlock() {
	held, base := p.lock.held, p.lock.base
	p.lock = heldLock{}
	if held == nil {
		return
	}
	p.block()
	// Not the request's own context: the drain's end cuts requests, and locks must not outlive them.
	ctx, cancel := context.WithTimeout(context.Background(), unlockTimeout)
	defer cancel()
	if err := held.Unlock(ctx); err != nil {
		p.t.log.Warn().Err(err).Str("session", Shorten(base)).Msg("session not unlocked: its lock expires")
	}
}
