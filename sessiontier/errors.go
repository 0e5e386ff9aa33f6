package sessiontier

import (
	"errors"
	"fmt"
)

// The errors of a Tier. They come wrapped: compare with errors.Is.
var (
	// ErrNotFound: every node that may hold a copy was asked, enough of them answered, and there is no copy.
	ErrNotFound = errors.New("no copy of the session")
	// ErrEnded: the session ended; a tombstone says so.
	ErrEnded = errors.New("the session has ended")
	// ErrUnavailable: nodes that may hold a copy did not answer and none that did has one. That is not "no copy".
	ErrUnavailable = errors.New("the session store does not answer")
	// ErrFenced: the store holds a newer generation of the session, or the same generation by another owner. The record was dropped.
	ErrFenced = errors.New("the session has another owner by now")
	// ErrTooLarge: the state is larger than the tier or a node keeps. The older copy, if any, stays.
	ErrTooLarge = errors.New("the session state is too large to be kept")
	// ErrIncomplete: fewer copies than configured could be stored; see IncompleteError for how many.
	ErrIncomplete = errors.New("not every copy of the session was stored")
	// ErrDropped: the queue of asynchronous saves was full, or the tier closed, before the record was stored.
	ErrDropped = errors.New("the queued save was dropped")
	// ErrLocked: somebody else held the session's lock for as long as was waited.
	ErrLocked = errors.New("the session is locked")
	// ErrBadKey: pool, application or base id cannot name a copy.
	ErrBadKey = errors.New("not a usable session key")
)

// IncompleteError says how many copies were stored. It matches ErrIncomplete, and ErrUnavailable too when there is none at all.
type IncompleteError struct {
	Stored int   // copies that are stored
	Want   int   // copies that are configured
	Cause  error // the first failure met; nil when there were just too few nodes alive
}

func (e *IncompleteError) Error() string {
	if e.Cause == nil {
		return fmt.Sprintf("%v: %d of %d", ErrIncomplete, e.Stored, e.Want)
	}
	return fmt.Sprintf("%v: %d of %d: %v", ErrIncomplete, e.Stored, e.Want, e.Cause)
}

// Is makes errors.Is(err, ErrIncomplete) true, and errors.Is(err, ErrUnavailable) when nothing was stored.
func (e *IncompleteError) Is(target error) bool {
	return target == ErrIncomplete || target == ErrUnavailable && e.Stored == 0
}

// Unwrap returns the cause.
func (e *IncompleteError) Unwrap() error { return e.Cause }

// What a store may answer, apart from success. A node adds which node it was.
var (
	errMiss     = errors.New("no such key")
	errConflict = errors.New("the value has changed in the meantime")
	errDown     = errors.New("the node does not answer")
	errRefused  = errors.New("the node refused")
	errTooLarge = errors.New("the value is over the node's item limit")
	errBusy     = errors.New("no free connection in time")
)
