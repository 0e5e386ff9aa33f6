package sessiontier

import (
	"bytes"
	"container/list"
	"fmt"
	"math"
	"sync"
	"time"
)

// embedded is the store inside this process: for one proxy without memcached, and for the demo. What it holds ends with the
// process. It is bounded by bytes; the entries that were not used for longest go first.
type embedded struct {
	maxBytes int64
	// elapsed is the time since some start. It is not the wall clock, so that setting the clock ends no session.
	elapsed func() time.Duration

	mu      sync.Mutex
	entries map[string]*list.Element
	used    *list.List // of *embeddedEntry, last used first
	bytes   int64
	lastID  uint64
	evicted uint64
	closed  bool
}

type embeddedEntry struct {
	key     string
	value   []byte
	id      uint64
	expires time.Duration // by elapsed; 0: never
}

// embeddedOverhead is what an entry costs beside its key and value: map cell, list element, entry.
const embeddedOverhead = 200

// newEmbedded returns an empty store that holds at most maxBytes, keys and overhead included.
func newEmbedded(maxBytes int64, elapsed func() time.Duration) *embedded {
	return &embedded{maxBytes: maxBytes, elapsed: elapsed, entries: map[string]*list.Element{}, used: list.New()}
}

func (s *embedded) get(key string) ([]byte, token, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, token{}, errDown
	}
	e := s.find(key)
	if e == nil {
		return nil, token{}, errMiss
	}
	return bytes.Clone(e.value), token{id: e.id}, nil
}

func (s *embedded) put(key string, value []byte, life time.Duration, old token) (token, error) {
	if len(value) > s.maxValue(key) {
		return token{}, fmt.Errorf("%w: %d bytes, at most %d", errTooLarge, len(value), s.maxValue(key))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return token{}, errDown
	}
	if err := s.expect(key, old); err != nil {
		return token{}, err
	}
	s.drop(key)
	s.lastID++
	e := &embeddedEntry{key: key, value: bytes.Clone(value), id: s.lastID}
	if life > 0 {
		e.expires = s.elapsed() + life
	}
	s.entries[key] = s.used.PushFront(e)
	s.bytes += e.size()
	s.evict()
	return token{id: e.id}, nil
}

func (s *embedded) remove(key string, old token) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return errDown
	}
	if old.isZero() {
		return errConflict
	}
	if err := s.expect(key, old); err != nil {
		return err
	}
	s.drop(key)
	return nil
}

// maxValue lets one session fill at most an eighth of the store, so that a few large ones do not push out all others.
func (s *embedded) maxValue(key string) int {
	return int(min(max(s.maxBytes/8-int64(len(key))-embeddedOverhead, 0), math.MaxInt32))
}

func (s *embedded) ping() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return errDown
	}
	return nil
}

func (s *embedded) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	s.entries = nil
	s.used.Init()
}

// expect returns errConflict unless the key has the value that old stands for.
func (s *embedded) expect(key string, old token) error {
	e := s.find(key)
	switch {
	case e == nil && old.isZero(), e != nil && e.id == old.id:
		return nil
	default:
		return errConflict
	}
}

// find returns the live entry of key, marked as just used, or nil.
func (s *embedded) find(key string) *embeddedEntry {
	el := s.entries[key]
	if el == nil {
		return nil
	}
	e := el.Value.(*embeddedEntry)
	if e.expires != 0 && s.elapsed() >= e.expires {
		s.drop(key)
		return nil
	}
	s.used.MoveToFront(el)
	return e
}

func (s *embedded) drop(key string) {
	if el := s.entries[key]; el != nil {
		s.bytes -= s.used.Remove(el).(*embeddedEntry).size()
		delete(s.entries, key)
	}
}

// evict makes room: what was used longest ago goes, expired or not. Entries that expired are found here too, in time, since
// nothing uses them any more.
func (s *embedded) evict() {
	for s.bytes > s.maxBytes {
		s.drop(s.used.Back().Value.(*embeddedEntry).key)
		s.evicted++
	}
}

func (e *embeddedEntry) size() int64 { return int64(len(e.key) + len(e.value) + embeddedOverhead) }

// usage returns the bytes held and the number of entries that went for room.
func (s *embedded) usage() (bytes int64, evicted uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.bytes, s.evicted
}
