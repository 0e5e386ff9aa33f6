package sessiontier

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"
)

// forEachKind runs a test on the embedded store, on one memcached, and on three with two copies.
func forEachKind(t *testing.T, run func(t *testing.T, open func(change func(*Config)) proxy)) {
	for _, nodes := range []int{0, 1, 3} {
		t.Run(fmt.Sprintf("memcached=%d", nodes), func(t *testing.T) {
			t.Parallel()
			servers := startServers(t, nodes)
			run(t, func(change func(*Config)) proxy { return openTier(t, servers, change) })
		})
	}
}

func TestSessionLifeOnEveryKind(t *testing.T) {
	t.Parallel()
	forEachKind(t, func(t *testing.T, open func(func(*Config)) proxy) {
		p := open(nil)
		for _, c := range lifeCases {
			t.Run(c.name, func(t *testing.T) { c.run(t, p, key(c.name)) })
		}
	})
}

var lifeCases = []struct {
	name string
	run  func(t *testing.T, p proxy, k Key)
}{
	{"save-and-look-up", func(t *testing.T, p proxy, k Key) {
		p.mustSave(t, k, rec("1.1", "node1", "a"))
		p.wantRecord(t, k, "1.1", "node1", "a")
		p.mustSave(t, k, rec("1.2", "node1", "b"))
		p.wantRecord(t, k, "1.2", "node1", "b")
		p.mustSave(t, k, rec("1.7", "node1", "c"))
		p.wantRecord(t, k, "1.7", "node1", "c")
	}},
	{"keys-are-apart", func(t *testing.T, p proxy, k Key) {
		other := k
		other.App = "localhost/other"
		p.mustSave(t, k, rec("1.1", "node1", "mine"))
		p.wantLookup(t, other, ErrNotFound)
		other = k
		other.Pool = "other"
		p.wantLookup(t, other, ErrNotFound)
	}},
	{"older-never-replaces-newer", func(t *testing.T, p proxy, k Key) {
		p.mustSave(t, k, rec("1.5", "node1", "new"))
		p.mustSave(t, k, rec("1.4", "node1", "late")) // superseded: its change is in 1.5
		p.mustSave(t, k, rec("1.5", "node1", "again"))
		p.wantRecord(t, k, "1.5", "node1", "new")
	}},
	{"claim-and-fence", func(t *testing.T, p proxy, k Key) {
		p.mustSave(t, k, rec("1.5", "node1", "state"))
		got := p.mustClaim(t, k, "node2", "2.0")
		if string(got.State) != "state" || got.TTL != time.Minute {
			t.Fatalf("claimed state %q, ttl %v", got.State, got.TTL)
		}
		before := p.Stats().Fenced
		p.wantSave(t, k, rec("1.6", "node1", "late"), ErrFenced)
		p.wantSave(t, k, rec("2.1", "node1", "other owner"), ErrFenced)
		if fenced := p.Stats().Fenced - before; fenced != 2 {
			t.Errorf("counted %d fenced saves, want 2", fenced)
		}
		p.wantRecord(t, k, "2.0", "node2", "state")
		p.mustSave(t, k, rec("2.1", "node2", "on"))
		p.mustClaim(t, k, "node2", "3.0") // the same again is another installation
		p.mustClaim(t, k, "node1", "4.0")
		p.wantSave(t, k, rec("3.1", "node2", "late"), ErrFenced)
	}},
	{"end-is-final", func(t *testing.T, p proxy, k Key) {
		p.mustSave(t, k, rec("1.5", "node1", "state"))
		if err := p.End(t.Context(), k, time.Minute); err != nil {
			t.Fatal(err)
		}
		p.wantLookup(t, k, ErrEnded)
		p.wantSave(t, k, rec("1.6", "node1", "late"), ErrEnded)
		p.wantSave(t, k, rec("9.9", "node1", "late"), ErrEnded)
		if _, err := p.Claim(t.Context(), k, "node2"); !errors.Is(err, ErrEnded) {
			t.Errorf("Claim: %v, want %v", err, ErrEnded)
		}
		if err := p.Touch(t.Context(), k); !errors.Is(err, ErrEnded) {
			t.Errorf("Touch: %v, want %v", err, ErrEnded)
		}
	}},
	{"start-over", func(t *testing.T, p proxy, k Key) {
		p.mustSave(t, k, rec("3.5", "node1", "old"))
		if err := p.End(t.Context(), k, time.Minute); err != nil {
			t.Fatal(err)
		}
		p.mustSave(t, k, rec("1.1", "node2", "new"))
		p.mustSave(t, k, rec("1.2", "node2", "newer"))
		p.wantRecord(t, k, "1.2", "node2", "newer")
		p.mustClaim(t, k, "node1", "2.0")
		if err := p.End(t.Context(), k, time.Minute); err != nil {
			t.Fatal(err)
		}
		p.wantLookup(t, k, ErrEnded)
	}},
	{"end-of-an-unknown-session", func(t *testing.T, p proxy, k Key) {
		if err := p.End(t.Context(), k, 0); err != nil {
			t.Fatal(err)
		}
		p.wantSave(t, k, rec("1.2", "node1", "late"), ErrEnded)
	}},
	{"none", func(t *testing.T, p proxy, k Key) {
		p.wantLookup(t, k, ErrNotFound)
		if _, err := p.Claim(t.Context(), k, "node1"); !errors.Is(err, ErrNotFound) {
			t.Errorf("Claim: %v, want %v", err, ErrNotFound)
		}
		if err := p.Touch(t.Context(), k); !errors.Is(err, ErrNotFound) {
			t.Errorf("Touch: %v, want %v", err, ErrNotFound)
		}
	}},
	{"too-large-keeps-the-older-copy", func(t *testing.T, p proxy, k Key) {
		p.mustSave(t, k, rec("1.1", "node1", "small"))
		p.wantSave(t, k, rec("1.2", "node1", strings.Repeat("x", 3_000_000)), ErrTooLarge)
		p.wantRecord(t, k, "1.1", "node1", "small")
		p.mustSave(t, k, rec("1.3", "node1", strings.Repeat("x", 1_000_000)))
	}},
	{"unknown-ids-are-not-asked-for-twice", func(t *testing.T, p proxy, k Key) {
		p.wantLookup(t, k, ErrNotFound)
		eventually(t, "an id that was just looked up in vain costs the nodes nothing", func() bool {
			p.wantLookup(t, k, ErrNotFound)
			asked := p.Stats().Lookups
			p.wantLookup(t, k, ErrNotFound)
			return p.Stats().Lookups == asked
		})
		p.mustSave(t, k, rec("1.1", "node1", "a"))
		p.wantRecord(t, k, "1.1", "node1", "a")
	}},
	{"bad-key", func(t *testing.T, p proxy, k Key) {
		for _, bad := range []Key{{App: "a", BaseID: "x"}, {Pool: "p"}, {Pool: "p", BaseID: "a b"}, {Pool: "p", BaseID: strings.Repeat("x", 201)},
			{Pool: "p", App: strings.Repeat("a", 1025), BaseID: "x"}} {
			p.wantLookup(t, bad, ErrBadKey)
			p.wantSave(t, bad, rec("1.1", "node1", ""), ErrBadKey)
			if err := p.End(t.Context(), bad, 0); !errors.Is(err, ErrBadKey) {
				t.Errorf("End: %v, want %v", err, ErrBadKey)
			}
		}
	}},
}

func TestTTL(t *testing.T) {
	t.Parallel()
	forEachKind(t, func(t *testing.T, open func(func(*Config)) proxy) {
		p := open(nil)
		const day = 24 * time.Hour
		lives := map[string]time.Duration{"short": time.Second, "half": 1500 * time.Millisecond, "hour": time.Hour, "month": 31 * day, "long": 45 * day, "unlimited": -1, "zero": 0}
		for id, ttl := range lives {
			r := rec("1.1", "node1", "a")
			r.TTL = ttl
			p.mustSave(t, key(id), r)
		}
		for _, id := range []string{"short", "half"} {
			eventually(t, id+" expires", func() bool {
				_, err := p.Lookup(t.Context(), key(id))
				return errors.Is(err, ErrNotFound)
			})
			delete(lives, id)
		}
		for id, want := range lives {
			got, err := p.Lookup(t.Context(), key(id))
			if err != nil || got.TTL != max(want, 0) {
				t.Errorf("%s: ttl %v, error %v; want %v", id, got.TTL, err, want)
			}
		}
	})
}

// TestTouch: a session that is only read lives on: when a quarter of its time has passed its copies are stored again for the whole of it.
func TestTouch(t *testing.T) {
	t.Parallel()
	servers := startServers(t, 2)
	p := openTier(t, servers, nil)
	const day = 24 * time.Hour
	for id, ttl := range map[string]time.Duration{"hour": time.Hour, "month": 31 * day, "unlimited": 0} {
		k, r := key(id), rec("1.1", "node1", "a")
		r.TTL = ttl
		p.mustSave(t, k, r)
		for _, s := range servers {
			s.wantLeft(t, k, ttl)
			s.age(t, k, 10*time.Minute)
		}
		if err := p.Touch(t.Context(), k); err != nil {
			t.Fatal(err)
		}
		for _, s := range servers {
			s.wantLeft(t, k, ttl)
		}
		p.wantRecord(t, k, "1.1", "node1", "a")
	}
}

// TestClockStep sets the wall clock an hour forward and back: no session ends, and the order of versions stays.
func TestClockStep(t *testing.T) {
	t.Parallel()
	forEachKind(t, func(t *testing.T, open func(func(*Config)) proxy) {
		var mu sync.Mutex
		step := time.Duration(0)
		p := open(func(c *Config) {
			c.Now = func() time.Time { mu.Lock(); defer mu.Unlock(); return time.Now().Add(step) }
		})
		set := func(d time.Duration) { mu.Lock(); defer mu.Unlock(); step = d }
		k, month := key("stepped"), key("month") // the second's life is sent to memcached as a point in time
		r := rec("1.1", "node1", "a")
		r.TTL = 31 * 24 * time.Hour
		p.mustSave(t, month, r)
		p.mustSave(t, k, rec("1.1", "node1", "a"))
		set(time.Hour)
		p.wantRecord(t, k, "1.1", "node1", "a")
		p.mustSave(t, k, rec("1.2", "node1", "b"))
		set(-time.Hour)
		p.wantRecord(t, k, "1.2", "node1", "b")
		p.wantRecord(t, month, "1.1", "node1", "a")
		if err := p.Touch(t.Context(), month); err != nil {
			t.Fatal(err)
		}
		set(time.Hour)
		p.wantRecord(t, month, "1.1", "node1", "a")
		set(-time.Hour)
		p.mustSave(t, k, rec("1.3", "node1", "c"))
		p.mustClaim(t, k, "node2", "2.0")
		if err := p.End(t.Context(), k, time.Minute); err != nil {
			t.Fatal(err)
		}
		p.wantLookup(t, k, ErrEnded)
		p.mustSave(t, k, rec("1.1", "node1", "anew"))
		p.wantRecord(t, k, "1.1", "node1", "anew")
	})
}

func TestWhere(t *testing.T) {
	t.Parallel()
	servers := startServers(t, 3)
	p := openTier(t, servers, nil)
	k := key("where")
	p.mustSave(t, k, rec("1.1", "node1", "secret"))
	copies := p.Where(t.Context(), k)
	if len(copies) != 3 {
		t.Fatalf("%d nodes, want 3", len(copies))
	}
	for i, c := range copies {
		want := CopyPresent
		if i == 2 {
			want = CopyAbsent
		}
		if c.State != want || i < 2 && (!c.Newest || c.Version.String() != "1.1" || c.Owner != "node1" || c.Size < 80 || c.TTL != time.Minute || c.Age > time.Minute) {
			t.Errorf("place %d: %+v", i, c)
		}
	}
}

func TestOpenRefusesBadConfig(t *testing.T) {
	t.Parallel()
	node := func(names ...string) (nodes []Node) {
		for _, n := range names {
			nodes = append(nodes, Node{Name: n, Address: "127.0.0.1:1"})
		}
		return nodes
	}
	for name, cfg := range map[string]Config{
		"kind":             {Kind: "redis"},
		"no nodes":         {Kind: KindMemcached, Copies: 1},
		"too many copies":  {Kind: KindMemcached, Nodes: node("a"), Copies: 2},
		"no copies":        {Kind: KindMemcached, Nodes: node("a")},
		"twice":            {Kind: KindMemcached, Nodes: node("a", "a"), Copies: 1},
		"no address":       {Kind: KindMemcached, Nodes: []Node{{Name: "a"}}, Copies: 1},
		"unknown failover": {Kind: KindMemcached, Nodes: node("a"), Copies: 1, FailoverOnly: []string{"b"}},
		"embedded nodes":   {Kind: KindEmbedded, Nodes: node("a")},
		"negative":         {Kind: KindEmbedded, MaxState: -1},
	} {
		if tier, err := Open(cfg, zerolog.Nop()); err == nil {
			tier.Close()
			t.Errorf("%s: opened, want an error", name)
		}
	}
}

func TestCallsAfterClose(t *testing.T) {
	t.Parallel()
	forEachKind(t, func(t *testing.T, open func(func(*Config)) proxy) {
		p := open(nil)
		k := key("closed")
		p.mustSave(t, k, rec("1.1", "node1", "a"))
		p.Close()
		p.Close()
		p.wantLookup(t, k, ErrUnavailable)
		p.wantSave(t, k, rec("1.2", "node1", "a"), ErrUnavailable)
		told := make(chan error, 1)
		p.SaveAsync(k, rec("1.2", "node1", "a"), func(err error) { told <- err })
		if err := <-told; !errors.Is(err, ErrDropped) {
			t.Errorf("SaveAsync: %v, want %v", err, ErrDropped)
		}
		if err := p.End(t.Context(), k, time.Minute); !errors.Is(err, ErrUnavailable) {
			t.Errorf("End: %v, want %v", err, ErrUnavailable)
		}
	})
}
