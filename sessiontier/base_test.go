package sessiontier

import (
	"bytes"
	"math/rand/v2"
	"reflect"
	"testing"
)

// claimEnvelope is a copy of a claim.
func claimEnvelope(version, base Version) envelope {
	e := sampleEnvelope()
	e.version, e.base = version, base
	return e
}

func TestBaseIsKept(t *testing.T) {
	k := key("ABC")
	for _, c := range []struct {
		version, base Version
		joined, kept  bool
	}{
		{Version{2, 0}, Version{1, 7}, false, true},
		{Version{2, 0}, Version{1, 7}, true, true},
		{Version{2, 0}, Version{2, 9}, true, true}, // of another owner in the same generation
		{Version{3, 0}, Version{2, 0}, false, true},
		{Version{baseBackMask + 1, 0}, Version{1, baseCountsMask}, true, true},
		{Version{baseBackMask + 2, 0}, Version{1, 1}, false, false}, // no room
		{Version{2, 0}, Version{1, baseCountsMask + 1}, false, false},
		{Version{1 << 60, 0}, Version{1<<60 - 1, 3}, false, true},
		{Version{2, 0}, Version{3, 1}, false, false}, // no claim hands over what is newer than itself
		{Version{2, 0}, Version{}, false, false},
	} {
		e := claimEnvelope(c.version, c.base)
		e.joined = c.joined
		b, err := encodePlain(&e, k)
		if err != nil {
			t.Fatal(err)
		}
		got, err := decodePlain(b, k)
		if err != nil {
			t.Fatal(err)
		}
		want := e
		if !c.kept {
			want.base, want.joined = Version{}, false
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s made from %s: got %+v, want %+v", c.version, c.base, got, want)
		}
	}
}

// TestBaseIsNoNewFormat: a reader that knows of no base finds nothing that it does not know. What such a reader writes in its turn, with eight bytes that it
// does not understand, is not taken for a claim's base.
func TestBaseIsNoNewFormat(t *testing.T) {
	k := key("ABC")
	with, without := claimEnvelope(Version{2, 0}, Version{1, 7}), claimEnvelope(Version{2, 0}, Version{})
	a, err := encodePlain(&with, k)
	if err != nil {
		t.Fatal(err)
	}
	b, err := encodePlain(&without, k)
	if err != nil {
		t.Fatal(err)
	}
	const at, until = 40, 48
	end := len(a) - checksumLength
	if !bytes.Equal(a[:at], b[:at]) || !bytes.Equal(a[until:end], b[until:end]) || bytes.Equal(a[at:until], b[at:until]) {
		t.Errorf("with a base   %x\nwithout %x\nwant them to differ in the bytes %d to %d", a, b, at, until)
	}
	passedOn := int64(with.origin())
	for _, c := range []struct {
		name string
		e    envelope
		base Version
	}{
		{"refreshed", envelope{version: Version{2, 0}, created: passedOn}, Version{1, 7}},
		{"saved", envelope{version: Version{2, 1}, created: passedOn}, Version{}},
		{"claimed", envelope{version: Version{3, 0}, created: passedOn}, Version{}},
		{"ended", envelope{version: Version{2, 0}, created: passedOn, tombstone: true}, Version{}},
	} {
		b, err := encodePlain(&c.e, k)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := decodePlain(b, k); err != nil || got.base != c.base {
			t.Errorf("%s: base %s, error %v; want %s", c.name, got.base, err, c.base)
		}
	}
}

func TestJoin(t *testing.T) {
	save := func(g, c uint64) *envelope {
		return &envelope{incarnation: 5, version: Version{g, c}, owner: map[uint64]string{1: "a", 2: "b"}[g], state: []byte(Version{g, c}.String())}
	}
	others := save(2, 1)
	others.owner = "a"
	claim := func(g, baseG, baseC uint64) *envelope {
		base := Version{baseG, baseC}
		return &envelope{incarnation: 5, version: Version{g, 0}, base: base, owner: "b", state: []byte(base.String())}
	}
	earlier, unknown, tomb := save(1, 9), save(1, 9), &envelope{incarnation: 5, tombstone: true}
	earlier.incarnation, unknown.incarnation = 4, 0
	for _, c := range []struct {
		name    string
		a, b    *envelope
		version string
		state   string
	}{
		{"the claim holds the newest", save(1, 7), claim(2, 1, 7), "2.0", "1.7"},
		{"the claim missed a save", save(1, 8), claim(2, 1, 7), "2.0", "1.8"},
		{"claims on end, of one save", save(1, 8), claim(4, 1, 7), "4.0", "1.8"},
		{"a save after the claim", save(2, 1), claim(2, 1, 7), "2.1", "2.1"},
		{"a save after another claim of the generation", others, claim(2, 1, 7), "2.0", "2.1"},
		{"a save of the new owner, and a later claim that missed it", save(2, 1), claim(3, 1, 7), "3.0", "2.1"},
		{"the new owner's first report is no claim", save(1, 8), save(2, 0), "2.0", "2.0"},
		{"nor is the claim that it replaces", save(2, 0), claim(2, 1, 7), "2.0", "2.0"},
		{"two claims of one generation", claim(2, 1, 8), claim(2, 1, 7), "2.0", "1.8"},
		{"a claim without a base", save(1, 8), claim(2, 0, 0), "2.0", "0.0"},
		{"another session of the id", earlier, claim(2, 1, 7), "2.0", "1.7"},
		{"maybe another session of the id", unknown, claim(2, 1, 7), "2.0", "1.7"},
		{"ended", tomb, claim(2, 1, 7), "0.0", ""},
	} {
		for _, j := range []*envelope{join(c.a, c.b), join(c.b, c.a)} {
			if j.version.String() != c.version || string(j.state) != c.state {
				t.Errorf("%s: version %s, state %q; want %s, %q", c.name, j.version, j.state, c.version, c.state)
			}
		}
	}
}

// TestJoinInAnyOrder: what some copies say together does not depend on the order in which they are met, nor on how often.
func TestJoinInAnyOrder(t *testing.T) {
	const seed = 7
	draw := rand.New(rand.NewPCG(seed, seed))
	for range 20_000 {
		copies := make([]*envelope, 2+draw.IntN(4))
		for i := range copies {
			e := &envelope{incarnation: 1 + draw.Uint64N(2), owner: "a", version: Version{1 + draw.Uint64N(3), 1 + draw.Uint64N(3)}}
			e.state = []byte(e.version.String())
			if draw.IntN(2) == 0 && e.version.Generation > 1 {
				e.base = Version{1 + draw.Uint64N(e.version.Generation-1), 1 + draw.Uint64N(3)}
				e.version.Counter, e.state = 0, []byte(e.base.String())
			}
			copies[i] = e
		}
		var first *envelope
		for range 4 {
			draw.Shuffle(len(copies), func(i, j int) { copies[i], copies[j] = copies[j], copies[i] })
			j := copies[draw.IntN(len(copies))]
			for _, e := range copies {
				j = join(j, e)
			}
			if first == nil {
				first = j
			}
			if j.version != first.version || string(j.state) != string(first.state) || j.content() != first.content() || j.content().String() != string(j.state) {
				t.Fatalf("seed %d: %+v and %+v of %d copies", seed, j, first, len(copies))
			}
			for _, e := range copies {
				if e.incarnation == j.incarnation && (e.hasNewerState(j) || e.compare(j) > 0) {
					t.Fatalf("seed %d: %+v leaves out %+v", seed, j, e)
				}
			}
		}
	}
}
