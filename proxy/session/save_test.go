package session

import (
	"testing"
	"time"
)

// A write that is fenced off says nothing against a newer generation that this proxy has stored meanwhile; it does against the knowledge
// that the session is where the write came from.
func TestFencedWriteLeavesWhatIsNewer(t *testing.T) {
	for name, c := range map[string]struct {
		stored      Version
		known, seen bool // afterwards: of the store, and at the backend
	}{
		"handed over since": {Version{2, 0}, true, false},
		"nothing newer":     {Version{1, 5}, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			r := newPlainRequest(t)
			tier, key := r.tier, r.tier.key("localhost/fenced", "ABC")
			tier.noteStored(key, Record{Version: c.stored, TTL: time.Hour}, 0, false)
			tier.noteAt(key, &Report{ID: "ABC.node1", TTL: time.Hour, origin: origin{epoch: r.b.Epoch()}})
			tier.saved(key, r.b, Record{Version: Version{1, 7}}, 0, ErrFenced)
			k, known := tier.index.get(key)
			if known != c.known || known && k.stored != c.stored {
				t.Errorf("known %v, stored %v; wanted %v, %v", known, k.stored, c.known, c.stored)
			}
			if k.at(r.b) != c.seen {
				t.Errorf("seen at the backend: %v", k.at(r.b))
			}
		})
	}
}
