package sessiontier

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cespare/xxhash/v2"
)

func TestVersion(t *testing.T) {
	for s, want := range map[string]Version{"1.1": {1, 1}, "2.0": {2, 0}, "18446744073709551615.7": {math.MaxUint64, 7}} {
		got, err := ParseVersion(s)
		if err != nil || got != want || got.String() != s {
			t.Errorf("ParseVersion(%q) = %v, %v", s, got, err)
		}
	}
	for _, s := range []string{"", ".", "1", "1.", ".1", "1.1.1", "-1.1", "+1.1", "01.1", "1.01", "a.b", "18446744073709551616.0", " 1.1", "1.1 "} {
		if v, err := ParseVersion(s); err == nil {
			t.Errorf("ParseVersion(%q) = %v, want an error", s, v)
		}
	}
	if c := (Version{2, 0}).Compare(Version{1, 9}); c != 1 {
		t.Errorf("2.0 against 1.9: %d, want 1", c)
	}
}

func TestStoreKey(t *testing.T) {
	keys := map[string]Key{}
	for _, k := range []Key{
		{"a", "b", "x"}, {"ab", "", "x"}, {"a", "b", "y"}, {"", "ab", "x"}, {"a b", strings.Repeat("ü", 500), strings.Repeat("~", 200)},
	} {
		s := k.storeKey()
		if other, ok := keys[s]; ok {
			t.Errorf("%v and %v share the key %q", k, other, s)
		}
		keys[s] = k
		if len(s) > 250 || strings.IndexFunc(s, func(r rune) bool { return r <= ' ' || r > '~' }) >= 0 || !strings.HasSuffix(s, ":"+k.BaseID) {
			t.Errorf("%v: key %q is not fit for memcached", k, s)
		}
	}
	if n := testing.AllocsPerRun(100, func() { _ = key("ABC").storeKey() }); n > 1 {
		t.Errorf("storeKey allocates %v times, want 1", n)
	}
}

func TestExpiration(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	const day = 24 * time.Hour
	for life, want := range map[time.Duration]uint32{
		0: 0, -time.Second: 0, 1: 1, time.Second: 1, 1001 * time.Millisecond: 2, 30 * day: 30 * 86400,
		30*day + 1: 1_700_000_000 + 30*86400 + 1, 31 * day: 1_700_000_000 + 31*86400,
		20000 * day: 1_700_000_000 + 20000*86400, // after 2038
		50000 * day: 0,                           // after 2106
	} {
		if got := uint32(expiration(life, now)); got != want {
			t.Errorf("expiration(%v) = %d, want %d", life, got, want)
		}
	}
	for ttl, want := range map[time.Duration]time.Duration{
		0: 0, -1: 0, 1: 2 * time.Second, time.Second: 2 * time.Second, 1500 * time.Millisecond: 3 * time.Second, math.MaxInt64: 0,
	} {
		if got := lifeOf(ttl); got != want {
			t.Errorf("lifeOf(%v) = %v, want %v", ttl, got, want)
		}
	}
}

func TestRank(t *testing.T) {
	seeds := func(names ...string) (s []uint64) {
		for _, n := range names {
			s = append(s, xxhash.Sum64String(n))
		}
		return s
	}
	five := seeds("n1", "n2", "n3", "n4", "n5")
	first, moved := make([]int, 5), 0
	const sessions = 20_000
	for i := range sessions {
		k := key(fmt.Sprint("session", i)).storeKey()
		all := rankNodes(nil, k, five, make([]bool, 5))
		sorted := slices.Sorted(slices.Values(all))
		if !slices.Equal(sorted, rank{0, 1, 2, 3, 4}) {
			t.Fatalf("%s: rank %v is not an order of all nodes", k, all)
		}
		first[all[0]]++
		// Without the last node the others keep their order.
		rest := slices.DeleteFunc(slices.Clone(all), func(n uint8) bool { return n == 4 })
		if four := rankNodes(nil, k, five[:4], make([]bool, 4)); !slices.Equal(four, rest) {
			t.Fatalf("%s: rank %v of five nodes, %v of four", k, all, four)
		}
		if all[0] == 4 {
			moved++
		}
		failover := rankNodes(nil, k, five, []bool{true, false, false, true, false})
		if last := slices.Sorted(slices.Values(failover[3:])); !slices.Equal(last, rank{0, 3}) {
			t.Fatalf("%s: rank %v, want the nodes 0 and 3 last", k, failover)
		}
	}
	for i, n := range first {
		if n < sessions/5*9/10 || n > sessions/5*11/10 {
			t.Errorf("node %d is first for %d of %d sessions, want about a fifth", i, n, sessions)
		}
	}
	k := key("ABC").storeKey()
	dst := make(rank, 0, 5)
	if n := testing.AllocsPerRun(100, func() { rankNodes(dst, k, five, make([]bool, 5)) }); n > 0 {
		t.Errorf("rankNodes allocates %v times, want 0", n)
	}
}

func BenchmarkRank(b *testing.B) {
	seeds := []uint64{1, 2, 3, 4, 5}
	failover := make([]bool, 5)
	k := key("0123456789ABCDEF0123456789ABCDEF").storeKey()
	dst := make(rank, 0, 5)
	b.ReportAllocs()
	for b.Loop() {
		rankNodes(dst, k, seeds, failover)
	}
}

func TestDecideSave(t *testing.T) {
	now := time.UnixMilli(1000)
	live := func(inc uint64, v Version, owner string) *envelope {
		return &envelope{incarnation: inc, version: v, owner: owner, created: 7}
	}
	tomb := func(inc uint64) *envelope { return &envelope{tombstone: true, incarnation: inc} }
	start := startOver{allowed: true, above: 2000}
	for _, c := range []struct {
		name   string
		newest *envelope
		v      Version
		known  *handle
		over   startOver
		want   uint64 // incarnation
		err    error
	}{
		{"first of all", nil, Version{1, 1}, nil, startOver{allowed: true}, 1000, nil},
		{"the first, of a session that was there", nil, Version{1, 1}, nil, startOver{}, 0, nil},
		{"copies lost, nothing known", nil, Version{3, 4}, nil, startOver{}, 0, nil},
		{"copies lost, known", nil, Version{3, 4}, &handle{incarnation: 500}, startOver{}, 500, nil},
		{"next", live(5, Version{1, 1}, "a"), Version{1, 2}, nil, startOver{}, 5, nil},
		{"older of the owner", live(5, Version{1, 3}, "a"), Version{1, 2}, nil, startOver{}, 5, nil},
		{"newer generation", live(5, Version{1, 9}, "b"), Version{2, 1}, nil, startOver{}, 5, nil},
		{"fenced", live(5, Version{2, 0}, "b"), Version{1, 9}, nil, startOver{}, 0, ErrFenced},
		{"fenced, same owner", live(5, Version{2, 0}, "a"), Version{1, 9}, nil, startOver{}, 0, ErrFenced},
		{"same generation, other owner", live(5, Version{1, 1}, "b"), Version{1, 9}, nil, startOver{}, 0, ErrFenced},
		{"a first version is no way around the fence", live(5, Version{2, 0}, "b"), Version{1, 1}, nil, start, 0, ErrFenced},
		{"ended", tomb(5), Version{1, 2}, nil, startOver{}, 0, ErrEnded},
		{"starts over", tomb(5), Version{1, 1}, nil, start, 1000, nil},
		{"starts over, clock behind", tomb(2000), Version{1, 1}, nil, start, 2001, nil},
		{"ended while the first was saved", tomb(2001), Version{1, 1}, nil, start, 0, ErrEnded},
		{"old copy returned", live(5, Version{9, 9}, "b"), Version{1, 2}, &handle{incarnation: 500}, startOver{}, 500, nil},
		{"old tombstone returned", tomb(5), Version{1, 2}, &handle{incarnation: 500}, startOver{}, 500, nil},
		{"unknown incarnation fences", live(0, Version{2, 5}, "b"), Version{1, 2}, &handle{incarnation: 500}, startOver{}, 0, ErrFenced},
		{"unknown incarnation is ours", live(0, Version{1, 1}, "a"), Version{1, 2}, &handle{incarnation: 500}, startOver{}, 500, nil},
		{"known, ended", tomb(500), Version{1, 2}, &handle{incarnation: 500}, startOver{}, 0, ErrEnded},
	} {
		env, err := decideSave(c.newest, Record{Version: c.v, Owner: "a", TTL: -1}, c.known, c.over, now)
		if !errors.Is(err, c.err) || err == nil && (env.incarnation != c.want || env.version != c.v || env.ttl != 0) {
			t.Errorf("%s: %+v, error %v; want incarnation %d, error %v", c.name, env, err, c.want, c.err)
		}
	}
}

func TestRecentForgetsWhatIsNotUsed(t *testing.T) {
	r := newRecent[int](100)
	r.set("used", 1)
	for i := range 10_000 {
		r.set(fmt.Sprint(i), i)
		if _, ok := r.get("used"); !ok {
			t.Fatalf("forgot, after %d others, what was used all the time", i)
		}
	}
	if n := len(r.young) + len(r.old); n > 110 {
		t.Errorf("holds %d entries, want about 100 at most", n)
	}
	if _, ok := r.get("5"); ok {
		t.Error("remembers what was not used for long")
	}
	r.forget("used")
	if _, ok := r.get("used"); ok {
		t.Error("remembers what it was to forget")
	}
}

func TestUnknownIDs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newUnknownIDs(100)
		u.note("id", u.begin("id"))
		if !u.knows("id") {
			t.Error("a noted id is not known to be unknown")
		}
		time.Sleep(unknownFor) // of the bubble's clock
		if u.knows("id") {
			t.Error("an id is unknown for longer than a moment")
		}
		u.note("id", u.begin("id"))
		u.clear("id")
		if u.knows("id") {
			t.Error("an id that became known is still unknown")
		}
		begun := u.begin("id")
		u.clear("id")
		u.note("id", begun)
		if u.knows("id") {
			t.Error("a look-up from before an id became known made it unknown")
		}
	})
}

func TestEmbeddedIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		s := newEmbedded(100_000, func() time.Duration { return time.Since(start) })
		mustPut(t, s, "kept", "x", 0, token{})
		mustPut(t, s, "short", "x", time.Second, token{})
		time.Sleep(time.Second - 1) // of the bubble's clock, as below
		wantGet(t, s, "short", "x", nil)
		time.Sleep(time.Nanosecond)
		wantGet(t, s, "short", "", errMiss)
		for i := range 10_000 {
			mustPut(t, s, fmt.Sprint("k", i), strings.Repeat("x", 100), 0, token{})
			wantGet(t, s, "kept", "x", nil)
			if used, _ := s.usage(); used > 100_000 {
				t.Fatalf("%d bytes used, want at most 100000", used)
			}
		}
		if _, evicted := s.usage(); evicted < 9_000 {
			t.Errorf("%d entries went for room, want over 9000", evicted)
		}
		wantPut(t, s, "big", strings.Repeat("x", 13_000), token{}, errTooLarge)
	})
}
