package session

import (
	"time"

	"rehydra/proxy/upstream"
)

// Known is what this proxy knows of one session by itself, without asking the
// store.
type Known struct {
	App        string
	Stored     Version // known to be in the store; zero: not known
	Incomplete bool    // on fewer nodes than configured, or not known on how many
	SeenAt     time.Time
	TTL        time.Duration // 0 or less: no limit
	epoch      uint64
}

// At reports whether the session was last seen at b, and b was not out since.
func (k *Known) At(b *upstream.Backend) bool { return k.epoch != 0 && k.epoch == b.Epoch() }

// Known returns what this proxy knows of the sessions with a base id, one for
// each app that it was seen in.
func (t *Tier) Known(base string) []Known {
	s := t.index.shard([]byte(base))
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.entries[base]
	if e == nil {
		return nil
	}
	found := make([]Known, len(e.apps))
	for i := range e.apps {
		k := &e.apps[i]
		found[i] = Known{App: k.app, Stored: k.stored, Incomplete: k.incomplete, SeenAt: k.seenAt, TTL: k.ttl, epoch: k.epoch}
	}
	return found
}

// Apps returns the names of the apps that were seen since the start, at most 256.
// It must not be changed.
func (t *Tier) Apps() []string { return *t.index.apps.Load() }

// Alive reports whether the session has not outlived its time of inactivity,
// as far as this proxy has seen.
func (k *Known) Alive(now time.Time) bool {
	return !k.SeenAt.IsZero() && (k.TTL <= 0 || now.Sub(k.SeenAt) < k.TTL)
}
