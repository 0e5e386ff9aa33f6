package session

import (
	"errors"
	"fmt"
)

var errStillAsking = errors.New("it goes on asking for a session that it was given")

// AdapterError means that a backend's adapter broke the session protocol. Its
// text names the field and quotes nothing that was in it.
type AdapterError struct {
	Backend string // route
	Field   string
	Err     error
}

func (e *AdapterError) Error() string {
	return fmt.Sprintf("backend %q sent an unusable %s: %v", e.Backend, e.Field, e.Err)
}

func (e *AdapterError) Unwrap() error { return e.Err }
