package session

import (
	"sync"
	"time"
)

// readers remembers, for LockAuto, which requests turned out to change nothing, by
// method and path. One that changed the session, even once, is not trusted again
// for as long as trustAfter: a path may well read today and write tomorrow.
// Bounded: when full it starts over, and what it forgets locks once more.
type readers struct {
	mu      sync.RWMutex
	trusted map[string]struct{}
	changed map[string]time.Time // when that was seen last
}

const (
	readersMost   = 4096
	readersLength = 512 // bytes of method and path; longer ones always lock
	trustAfter    = time.Hour
)

// lesson is what a request turned out to do.
type lesson uint8

const (
	lessonRead    lesson = iota // nothing changed
	lessonChanged               // it changed the session
	lessonDoubt                 // it or another request that ran beside it did
)

// trusts reports whether such a request only reads, as far as is known.
func (r *readers) trusts(method, path []byte) bool {
	var room [readersLength]byte
	name, ok := readerName(room[:0], method, path)
	if !ok {
		return false
	}
	r.mu.RLock()
	defer r.mu.RUnlock()
	_, ok = r.trusted[string(name)]
	return ok
}

// learn notes what such a request turned out to do.
func (r *readers) learn(method, path []byte, l lesson, now time.Time) {
	if l != lessonChanged && r.trusts(method, path) == (l == lessonRead) {
		return
	}
	name, ok := readerName(nil, method, path)
	if !ok {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if l != lessonRead {
		delete(r.trusted, string(name))
	}
	switch {
	case l == lessonChanged && len(r.changed) >= readersMost:
		// Which of them change is forgotten, so none is trusted until it is seen again.
		r.trusted, r.changed = nil, nil
		fallthrough
	case l == lessonChanged:
		if r.changed == nil {
			r.changed = make(map[string]time.Time)
		}
		r.changed[string(name)] = now
	case l == lessonRead:
		if at, ok := r.changed[string(name)]; ok && now.Sub(at) < trustAfter {
			return
		}
		if r.trusted == nil || len(r.trusted) >= readersMost {
			r.trusted = make(map[string]struct{})
		}
		r.trusted[string(name)] = struct{}{}
	}
}

func readerName(dst, method, path []byte) (name []byte, ok bool) {
	if len(method)+1+len(path) > readersLength {
		return nil, false
	}
	dst = append(dst, method...)
	dst = append(dst, ' ')
	return append(dst, path...), true
}
