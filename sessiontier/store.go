package sessiontier

import "time"

// store is one place that keeps values under keys. The memcached server and the embedded store implement it, and one conformance
// test holds for both. A write never happens blindly: it adds, or it replaces exactly what was read.
//
// Errors: errMiss, errConflict, errTooLarge, errDown (it did not answer; whether a write happened is not known) and errRefused (it
// answered, and would not). Implementations are safe for use by many goroutines.
type store interface {
	// get returns the value of a key, which the caller may keep, and the token that put and remove want.
	get(key string) ([]byte, token, error)
	// put stores value for life (0: no limit), rounded up to seconds. With the zero token it adds: errConflict if there is a value.
	// Otherwise it replaces what the token was given for: errConflict if that has changed or is gone. The token returned stands for the
	// value just written. After any other error value must not be changed any more: it may still be sent.
	put(key string, value []byte, life time.Duration, old token) (token, error)
	// remove deletes exactly what the token was given for: errConflict if that has changed or is gone.
	remove(key string, old token) error
	// maxValue is the largest value, in bytes, that can be stored under a key.
	maxValue(key string) int
	// ping asks whether the store answers.
	ping() error
	// close gives up connections and memory. Calls that run then fail with errDown.
	close()
}

// token stands for one write of one value, on one node. The zero token stands for "no value".
type token struct {
	id   uint64
	held any // what the implementation needs to find the value again; nil in the embedded store
}

// isZero says that the token stands for "no value".
func (t token) isZero() bool { return t.id == 0 }
