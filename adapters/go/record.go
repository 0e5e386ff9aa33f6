package rehydra

import (
	"bytes"
	"container/list"
	"context"
	"crypto/sha256"
	"encoding/json"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// record is one session as it is held here. Requests of one session share it.
//
// Lock order: record.mu before registry.mu. What a request needs in order to be judged (head) is read without a
// lock, so that a large session being written out holds up nobody else.
type record struct {
	created time.Time
	head    atomic.Pointer[head] // replaced under mu, read freely

	mu      sync.Mutex
	values  values
	fresh   bool              // no version was given out yet: the next one is the first
	touched bool              // a value changed since sum was taken
	sum     [sha256.Size]byte // of the state that head.version names
	pulls   int               // running requests whose response began and told the proxy to ask
	settled chan struct{}     // closed when pulls is 0 again

	// Guarded by registry.mu.
	base     string
	accessed time.Time
	users    int // requests that run with the session
	place    *list.Element
}

// head is what others may know of a record. It is immutable.
type head struct {
	id      string
	version version
	ended   bool
}

// newRecord returns a session that nobody was told of.
func newRecord(id string, now time.Time) *record {
	r := &record{created: now, values: values{}, fresh: true, touched: true, base: baseOf(id)}
	r.head.Store(&head{id: id, version: version{1, 1}})
	return r
}

// installedRecord returns a session that came from the proxy as version v.
func installedRecord(id string, v version, created time.Time, vs values) *record {
	r := &record{created: created, values: vs, base: baseOf(id)}
	// Not the sum of the bytes that came: an older release may have written the same session differently, and
	// that is no change.
	r.sum = sha256.Sum256(appendState(nil, created, vs))
	r.head.Store(&head{id: id, version: v})
	return r
}

func (r *record) get(name string) (json.RawMessage, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	v, ok := r.values[name]
	return v, ok
}

// set stores a value and reports false when the session has ended.
func (r *record) set(name string, value json.RawMessage) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.head.Load().ended {
		return false
	}
	if old, ok := r.values[name]; !ok || !bytes.Equal(old, value) {
		r.values[name] = value
		r.touched = true
	}
	return true
}

func (r *record) delete(name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, ok := r.values[name]; ok {
		delete(r.values, name)
		r.touched = true
	}
}

func (r *record) names() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Sorted(maps.Keys(r.values))
}

// settle counts the version up if the state is not the one that the version names, and returns the head as it is then,
// with the state if it did. A value that was changed and changed back is no change.
func (r *record) settle() (h head, state []byte, changed bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.settleLocked()
}

func (r *record) settleLocked() (h head, state []byte, changed bool) {
	h = *r.head.Load()
	if h.ended || !r.touched {
		return h, nil, false
	}
	r.touched = false
	state = appendState(nil, r.created, r.values)
	sum := sha256.Sum256(state)
	if sum == r.sum && !r.fresh {
		return h, nil, false
	}
	r.sum = sum
	if r.fresh {
		r.fresh = false // the first version is 1.1, given at birth
	} else {
		h.version.counter++
		r.head.Store(&head{id: h.id, version: h.version})
	}
	return h, state, true
}

// read returns the session as it is now, counted up if it has changed.
func (r *record) read() (h head, state []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	h, state, changed := r.settleLocked()
	if !changed && !h.ended {
		state = appendState(nil, r.created, r.values)
	}
	return h, state
}

// end marks the session as ended and reports whether it was alive.
func (r *record) end() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	h := *r.head.Load()
	if h.ended {
		return false
	}
	h.ended = true
	r.head.Store(&h)
	r.values = values{}
	return true
}

// beginPull says that a response began whose session may still change, with no way to tell but the proxy's asking.
func (r *record) beginPull() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.pulls++; r.pulls == 1 {
		r.settled = make(chan struct{})
	}
}

func (r *record) endPull() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.pulls--; r.pulls == 0 {
		close(r.settled)
	}
}

// awaitPulls waits until no such request runs, or for patience, or until ctx ends.
func (r *record) awaitPulls(ctx context.Context, patience time.Duration) {
	r.mu.Lock()
	pulls, settled := r.pulls, r.settled
	r.mu.Unlock()
	if pulls == 0 {
		return
	}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-settled:
	case <-timer.C:
	case <-ctx.Done():
	}
}
