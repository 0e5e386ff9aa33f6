package sessiontier

import (
	"sync"
	"time"
)

// recent is a bounded map that forgets what was not used for longest. It keeps two generations: when the young one is full it becomes the
// old one, and the old one's entries, unused since, go. So it costs one map operation, and holds between half and all of its bound.
// The zero value is not usable; see newRecent.
type recent[V any] struct {
	half int

	mu         sync.Mutex
	young, old map[string]V
}

// newRecent returns an empty map of at most about bound entries.
func newRecent[V any](bound int) *recent[V] {
	return &recent[V]{half: max(bound/2, 1), young: map[string]V{}}
}

func (r *recent[V]) get(key string) (V, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if v, ok := r.young[key]; ok {
		return v, true
	}
	v, ok := r.old[key]
	if ok {
		r.put(key, v)
	}
	return v, ok
}

func (r *recent[V]) set(key string, v V) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.put(key, v)
}

func (r *recent[V]) put(key string, v V) {
	if len(r.young) >= r.half {
		r.old, r.young = r.young, make(map[string]V, r.half/4)
	}
	r.young[key] = v
}

func (r *recent[V]) forget(key string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.young, key)
	delete(r.old, key)
}

// handle is what a tier remembers of a session that it stored: enough to store the next version in one exchange a node. It is never
// changed, only replaced.
type handle struct {
	incarnation uint64
	created     int64
	// startsOver: a first version (1.1) of this session could not be stored. The next version that can be may replace the tombstone of
	// an earlier session of that id.
	startsOver bool
	copies     []heldCopy // by node
}

// heldCopy is one copy that this tier wrote; a zero token where it wrote none.
type heldCopy struct {
	tok     token
	version Version
	owner   string
}

// unknownFor is how long an id that was looked up in vain is taken for unknown.
const unknownFor = time.Second

// unknownIDs remembers ids that were looked up in vain, so that guessed ids cost the nodes nothing.
type unknownIDs struct {
	since *recent[time.Time]

	// changes counts what became known, by stripes of keys: a look-up that began before an id became known must not note it as
	// unknown afterwards.
	mu      sync.Mutex
	changes [256]uint32
}

func newUnknownIDs(bound int) *unknownIDs {
	return &unknownIDs{since: newRecent[time.Time](bound)}
}

// knows says whether the id was looked up in vain a moment ago.
func (u *unknownIDs) knows(key string) bool {
	at, ok := u.since.get(key)
	return ok && time.Since(at) < unknownFor
}

// begin is to be called before a look-up; its result belongs to note.
func (u *unknownIDs) begin(key string) uint32 {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.changes[stripe(key)]
}

// note remembers the id as unknown, unless it became known since begin.
func (u *unknownIDs) note(key string, begun uint32) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.changes[stripe(key)] == begun {
		u.since.set(key, time.Now())
	}
}

// clear says that the id is known now.
func (u *unknownIDs) clear(key string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.changes[stripe(key)]++
	u.since.forget(key)
}

// stripe takes the last character of a key, the end of a base id, which is random.
func stripe(key string) byte { return key[len(key)-1] + key[len(key)-2]*16 }
