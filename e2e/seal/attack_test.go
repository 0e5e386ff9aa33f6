package seal

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/cespare/xxhash/v2"

	"rehydra/e2e/harness"
)

// store is two memcacheds as their attacker sees them.
type store struct {
	nodes  []*harness.Memcached
	prefix string // of the key of each session of the one pool and app that there is
}

// learn finds out what the keys look like from one session.
func (s *store) learn(t *testing.T, base string) {
	t.Helper()
	keys := s.nodes[0].Keys(t, base)
	if len(keys) != 1 {
		t.Fatalf("memcached has the keys %q of one session", keys)
	}
	s.prefix = strings.TrimSuffix(keys[0], base)
}

// copies returns what each node holds of a session.
func (s *store) copies(t *testing.T, base string) [][]byte {
	t.Helper()
	copies := make([][]byte, len(s.nodes))
	for i, n := range s.nodes {
		value, ok := n.Get(t, s.prefix+base)
		if !ok {
			t.Fatalf("node %d has no copy of %s", i+1, base)
		}
		copies[i] = value
	}
	return copies
}

// put puts copies in place of what the nodes hold of a session.
func (s *store) put(t *testing.T, base string, copies [][]byte) {
	t.Helper()
	for i, n := range s.nodes {
		n.Set(t, s.prefix+base, copies[i])
	}
}

// An attack is made on both copies of a session: of before, that were there when its text was the one before; of now; and of another session.
type attack struct {
	name string
	make func(before, now, other [][]byte, base string) [][]byte
}

// attacks are those on sessions that are sealed with a key in use.
var attacks = []attack{
	{"one bit changed", func(_, now, _ [][]byte, _ string) [][]byte {
		return each(now, func(b []byte) []byte {
			bit := rand.IntN(len(b) * 8)
			b[bit/8] ^= 1 << (bit % 8)
			return b
		})
	}},
	{"cut", func(_, now, _ [][]byte, _ string) [][]byte {
		return each(now, func(b []byte) []byte { return b[:rand.IntN(len(b))] })
	}},
	{"a higher version claimed", func(before, _, _ [][]byte, _ string) [][]byte {
		return each(before, func(b []byte) []byte { b[generationAt+7]++; return b })
	}},
	{"another session's copy", func(_, _, other [][]byte, _ string) [][]byte { return other }},
	{"another session's copy under this one's name", func(_, _, other [][]byte, base string) [][]byte {
		return each(other, func(b []byte) []byte { copy(b[baseAt(b):], base); return b })
	}},
	{"put back from before", func(before, _, _ [][]byte, _ string) [][]byte { return before }},
	{"the seal taken away", func(_, now, _ [][]byte, _ string) [][]byte {
		return each(now, func(b []byte) []byte { b[formatAt] = 1; return b })
	}},
	{"made up without a seal", func(_, now, _ [][]byte, _ string) [][]byte {
		return each(now, func(b []byte) []byte { b[generationAt+7]++; return unsealed(b, "forged") })
	}},
}

// Where things are in a copy, as sessiontier/README.md has it.
const (
	formatAt     = 4
	flagsAt      = 5
	lengthsAt    = 6
	generationAt = 24
	stateAt      = 64 // its length
	wholeAt      = 68
	namesAt      = 72
)

// unsealed makes a copy of format 1, with another state, of a sealed one: without keys it is a good one.
func unsealed(b []byte, state string) []byte {
	end := baseAt(b) + int(binary.BigEndian.Uint16(b[lengthsAt+4:])) + int(binary.BigEndian.Uint16(b[lengthsAt+6:]))
	b[formatAt], b[flagsAt] = 1, 0
	binary.BigEndian.PutUint32(b[stateAt:], uint32(len(state)))
	binary.BigEndian.PutUint32(b[wholeAt:], 0)
	b = append(b[:end:end], state...)
	return binary.BigEndian.AppendUint64(b, xxhash.Sum64(b))
}

// baseAt is where the base id is.
func baseAt(b []byte) int {
	return namesAt + int(binary.BigEndian.Uint16(b[lengthsAt:])) + int(binary.BigEndian.Uint16(b[lengthsAt+2:]))
}

// each returns what change makes of each copy.
func each(copies [][]byte, change func([]byte) []byte) [][]byte {
	changed := make([][]byte, len(copies))
	for i, b := range copies {
		changed[i] = change(bytes.Clone(b))
	}
	return changed
}
