package session

import (
	"context"
	"errors"
	"time"
)

// Key names a session. The route is never part of it: a session keeps its key
// wherever it lives.
type Key struct {
	Pool, App, BaseID string
}

// Record is a session as the store keeps it.
type Record struct {
	Version Version
	Owner   string        // route of the backend that owns the session
	TTL     time.Duration // of inactivity; 0 or less: no limit
	State   []byte        // the adapter's bytes; never changed by us

	// Continued says of a save that the backend had the session before the request: a first version (1.1), too, is no new
	// session then, and Save answers ErrEnded if it has ended.
	Continued bool

	// Waiter waits for a save where the goroutine is not to be blocked; nil: it may be.
	Waiter Waiter
}

// Waiter is who waits without a goroutine that could be blocked, as what runs on an event loop does.
type Waiter interface {
	// Wait returns when Wake is called, or has been since the last Wait.
	Wait()
	// Wake ends a Wait. It may go on with what waited before it returns: the caller should hold no lock, and have done its own work.
	Wake()
	// Block is called before the goroutine is blocked.
	Block()
	// Yield is called after others were given work: it lets them run soon.
	Yield()
}

// What a store answers beside success. Implementations return errors that wrap
// one of these; anything else counts as ErrUnavailable.
var (
	ErrNotFound    = errors.New("no copy of the session")
	ErrEnded       = errors.New("the session has ended")
	ErrUnavailable = errors.New("no node that may hold a copy answers")
	ErrFenced      = errors.New("a newer owner holds the session")
	ErrTooLarge    = errors.New("the state is larger than what is kept")
	ErrIncomplete  = errors.New("not every copy was stored in time")
	ErrLocked      = errors.New("another request holds the session's lock")
)

// Finder finds sessions and hands them to new owners.
type Finder interface {
	// Lookup returns the newest copy. ErrNotFound, ErrEnded, ErrUnavailable.
	Lookup(ctx context.Context, key Key) (Record, error)
	// Claim makes owner the session's owner under the next generation, counter
	// 0, by compare-and-swap, and returns the record as claimed. The errors of
	// Lookup.
	Claim(ctx context.Context, key Key, owner string) (Record, error)
}

// Keeper stores sessions before it returns.
type Keeper interface {
	// Save stores every copy of r. ErrFenced, ErrEnded, ErrTooLarge,
	// ErrIncomplete, ErrUnavailable.
	Save(ctx context.Context, key Key, r Record) error
	// End leaves a mark, kept for ttl, that no copy of the session outlives.
	End(ctx context.Context, key Key, ttl time.Duration) error
	// Touch renews the life of the copies and makes missing ones again.
	// ErrNotFound when there is none.
	Touch(ctx context.Context, key Key) error
	// Within returns a context for the others that ends after d, or when end is called, which it must be.
	Within(d time.Duration) (ctx context.Context, end context.CancelFunc)
}

// Queue stores sessions later.
type Queue interface {
	// SaveAsync queues r, replaces an older version that still waits, and calls
	// done with the result of Save. It never blocks.
	SaveAsync(key Key, r Record, done func(error))
}

// Watcher tells when copies may have been lost.
type Watcher interface {
	// Returns counts how often a node of the store came back, perhaps empty.
	Returns() uint64
}

// Store is all that the tier needs of whatever keeps the copies.
type Store interface {
	Finder
	Keeper
	Queue
	Watcher
	Locker
}
