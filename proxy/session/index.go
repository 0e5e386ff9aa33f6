package session

import (
	"bytes"
	"hash/maphash"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"rehydra/proxy/upstream"
)

// The index is bounded: past maxIndexed sessions the least recently seen of a
// few is forgotten, which costs that session one look-up, and nothing else.
const (
	indexShards   = 64
	maxIndexed    = 256 << 10
	evictionProbe = 8
	maxContexts   = 256
	maxApps       = 256
)

// index remembers what this proxy knows of the sessions it has forwarded: at
// which backend a session was seen since that backend was last out, and which
// version is known to be stored. It holds no state of a session.
type index struct {
	seed     maphash.Seed
	shards   [indexShards]indexShard
	contexts atomic.Pointer[[]string] // context paths of all apps seen, for find
	apps     atomic.Pointer[[]string] // names of the apps seen, for whoever has only an id
	mu       sync.Mutex               // serialises changes of contexts and apps
}

type indexShard struct {
	mu      sync.Mutex
	entries map[string]*indexEntry
}

type indexEntry struct {
	apps []known // one for nearly every session
	used int64   // unix seconds
}

// of returns what is known of the session in one app, nil where nothing is.
func (e *indexEntry) of(app string) *known {
	if e == nil {
		return nil
	}
	for i := range e.apps {
		if e.apps[i].app == app {
			return &e.apps[i]
		}
	}
	return nil
}

// known is what the index holds of one session.
type known struct {
	app        string
	id         string  // as the session was reported last
	epoch      uint64  // of the backend where it was last seen, then: no two have the same; 0: nowhere yet
	stored     Version // known to be in the store; zero: not known
	incomplete bool    // stored on fewer nodes than configured
	storedAt   time.Time
	returns    uint64 // Watcher.Returns when it was stored: a node that came back since may lack it
	seenAt     time.Time
	ttl        time.Duration
	doubtUntil time.Time // a look after that ends the doubt that a hand-over has left; zero: there is none
}

// alive reports whether the session has not outlived its time of inactivity
// since it was last seen.
func (k *known) alive(now time.Time) bool {
	return k.ttl <= 0 || now.Sub(k.seenAt) < k.ttl
}

// familiar is what an answer for the session base is likely to say again.
func (k *known) familiar(base []byte) familiar {
	if k.id == "" {
		return familiar{app: k.app}
	}
	return familiar{id: k.id, base: k.id[:len(base)], app: k.app}
}

// at reports whether the session was seen at b since b was last out.
func (k *known) at(b *upstream.Backend) bool {
	return k.epoch == b.Epoch()
}

func newIndex() *index {
	x := &index{seed: maphash.MakeSeed()}
	for i := range x.shards {
		x.shards[i].entries = make(map[string]*indexEntry)
	}
	x.contexts.Store(new([]string))
	x.apps.Store(new([]string))
	return x
}

func (x *index) shard(base []byte) *indexShard {
	return &x.shards[maphash.Bytes(x.seed, base)%indexShards]
}

func (x *index) shardOf(base string) *indexShard {
	return &x.shards[maphash.String(x.seed, base)%indexShards]
}

// find returns what is known of the session base of the app that answers path, as
// far as apps have been seen. ok is false when nothing is. certain is false when the app
// may be another one, so that the backend must be asked before it is told of the session.
func (x *index) find(base, path []byte, now time.Time) (k known, certain, ok bool) {
	s := x.shard(base)
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.entries[string(base)]
	if e == nil {
		return known{}, false, false
	}
	e.used = now.Unix()
	context, ok := x.contextOf(path)
	if !ok {
		return known{}, false, false
	}
	for i := range e.apps {
		if contextPath(e.apps[i].app) == context {
			return e.apps[i], context != "" || isTopLevel(path), true
		}
	}
	return known{}, false, false
}

// get returns what is known of a session by its key.
func (x *index) get(key Key) (known, bool) {
	s := x.shardOf(key.BaseID)
	s.mu.Lock()
	defer s.mu.Unlock()
	if k := s.entries[key.BaseID].of(key.App); k != nil {
		return *k, true
	}
	return known{}, false
}

// change changes what is known of a session, if anything is.
func (x *index) change(key Key, now time.Time, change func(*known)) {
	s := x.shardOf(key.BaseID)
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.entries[key.BaseID]
	if e == nil {
		return
	}
	e.used = now.Unix()
	if k := e.of(key.App); k != nil {
		change(k)
	}
}

// update changes what is known of a session, starting from nothing if need be.
func (x *index) update(key Key, now time.Time, change func(*known)) {
	x.addApp(key.App)
	s := x.shardOf(key.BaseID)
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.entries[key.BaseID]
	if e == nil {
		s.makeRoom()
		e = &indexEntry{}
		s.entries[key.BaseID] = e
	}
	e.used = now.Unix()
	if k := e.of(key.App); k != nil {
		change(k)
		return
	}
	e.apps = append(e.apps, known{app: key.App})
	change(&e.apps[len(e.apps)-1])
}

// makeRoom forgets the least recently used of a few entries when the shard is full.
func (s *indexShard) makeRoom() {
	if len(s.entries) < maxIndexed/indexShards {
		return
	}
	var oldest string
	var used int64
	probed := 0
	for base, e := range s.entries {
		if probed == 0 || e.used < used {
			oldest, used = base, e.used
		}
		if probed++; probed == evictionProbe {
			break
		}
	}
	delete(s.entries, oldest)
}

// forget drops what is known of a session.
func (x *index) forget(key Key) {
	s := x.shardOf(key.BaseID)
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.entries[key.BaseID]
	if e == nil {
		return
	}
	e.apps = slices.DeleteFunc(e.apps, func(k known) bool { return k.app == key.App })
	if len(e.apps) == 0 {
		delete(s.entries, key.BaseID)
	}
}

// size counts the sessions in the index.
func (x *index) size() int {
	n := 0
	for i := range x.shards {
		s := &x.shards[i]
		s.mu.Lock()
		n += len(s.entries)
		s.mu.Unlock()
	}
	return n
}

// contextPath is the part of an app's name that its requests' paths begin with:
// "/shop" of "localhost/shop", "" of an app at the root or one named otherwise.
func contextPath(app string) string {
	i := strings.IndexByte(app, '/')
	if i < 0 || i == len(app)-1 {
		return ""
	}
	return app[i:]
}

// isTopLevel reports whether path can be the root's only: whatever is below a first
// segment may belong to an app of that name, which nobody has seen yet.
func isTopLevel(path []byte) bool {
	return len(path) > 0 && bytes.IndexByte(path[1:], '/') < 0
}

// contextOf returns the longest known context path that path lies in. ok is false
// for a path that a container would normalise first.
func (x *index) contextOf(path []byte) (context string, ok bool) {
	for i, c := range path {
		if c == '%' || c == '\\' || c == '/' && i+1 < len(path) && (path[i+1] == '.' || path[i+1] == '/') {
			return "", false
		}
	}
	contexts := *x.contexts.Load()
	if len(contexts) >= maxContexts {
		return "", false
	}
	for _, c := range contexts {
		if len(c) > len(context) && hasSegmentPrefix(path, c) {
			context = c
		}
	}
	return context, true
}

func hasSegmentPrefix(path []byte, prefix string) bool {
	return len(path) >= len(prefix) && string(path[:len(prefix)]) == prefix &&
		(len(path) == len(prefix) || path[len(prefix)] == '/')
}

// addApp remembers the name of an app and its context path. Past their bounds
// no more are learned: contexts then are no longer certain, and a look for an id
// in every app leaves some out.
func (x *index) addApp(app string) {
	if slices.Contains(*x.apps.Load(), app) {
		return // and its context path with it
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if context := contextPath(app); context != "" {
		appendOnce(&x.contexts, context, maxContexts)
	}
	appendOnce(&x.apps, app, maxApps)
}

// appendOnce puts a list with text in the place of one without.
func appendOnce(list *atomic.Pointer[[]string], text string, bound int) {
	old := *list.Load()
	if len(old) >= bound || slices.Contains(old, text) {
		return
	}
	next := append(append(make([]string, 0, len(old)+1), old...), text)
	list.Store(&next)
}
