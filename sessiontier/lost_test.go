package sessiontier

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/rainycape/memcache"
)

// The tests here hold sentences of README.md's first section that no other test holds; the table there says which. Most of them show a loss:
// what is written there is the truth, and not a hope.

// TestLostWithItsOnlyCopy: a session with one copy, by setting or since a node is down, goes with that copy until its owner saves again.
func TestLostWithItsOnlyCopy(t *testing.T) {
	t.Parallel()
	servers := startServers(t, 2)
	p := openTier(t, servers, nil)
	one := openTier(t, servers, func(c *Config) { c.Copies = 1 })
	short, single := key("short"), key("single")
	servers[0].kill()
	p.waitNode(t, 0, false)
	p.wantSave(t, short, rec("1.1", "node1", "a"), ErrIncomplete)
	one.waitNode(t, 0, false)
	one.mustSave(t, single, rec("1.1", "node1", "a"))
	servers[1].kill()
	servers[0].start()
	servers[1].start()
	for _, q := range []proxy{p, one} {
		q.waitNode(t, 0, true)
		q.waitNode(t, 1, true)
	}
	p.wantLookup(t, short, ErrNotFound)
	one.wantLookup(t, single, ErrNotFound)
	p.mustSave(t, short, rec("1.2", "node1", "b"))
	p.wantRecord(t, short, "1.2", "node1", "b")
}

// TestTwoNodesDie: of three nodes two die at once. What had both copies there is lost, until its owner saves again; the rest is not.
func TestTwoNodesDie(t *testing.T) {
	t.Parallel()
	servers := startServers(t, 3)
	p := openTier(t, servers, nil)
	const sessions = 60
	for i := range sessions {
		p.mustSave(t, key(fmt.Sprint("s", i)), rec("1.1", "node1", "a"))
	}
	for _, s := range servers[:2] {
		s.kill()
	}
	for _, s := range servers[:2] {
		s.start()
	}
	fresh := openTier(t, servers, nil)
	lost := 0
	for i := range sessions {
		k := key(fmt.Sprint("s", i))
		if places := p.rank(k.storeKey()); places[2] != 2 {
			fresh.wantRecord(t, k, "1.1", "node1", "a")
			continue
		}
		lost++
		fresh.wantLookup(t, k, ErrNotFound)
		fresh.mustSave(t, k, rec("1.2", "node1", "b"))
		fresh.wantRecord(t, k, "1.2", "node1", "b")
	}
	if lost == 0 || lost == sessions {
		t.Errorf("%d of %d sessions had both copies on the two nodes", lost, sessions)
	}
}

// TestRollingRestartWithoutHealing: without it, or without waiting for it, sessions that were neither changed nor touched are lost.
func TestRollingRestartWithoutHealing(t *testing.T) {
	t.Parallel()
	servers := startServers(t, 2)
	p := openTier(t, servers, nil)
	idle, touched := key("idle"), key("touched")
	p.mustSave(t, idle, rec("1.1", "node1", "a"))
	p.mustSave(t, touched, rec("1.1", "node1", "a"))
	for i, s := range servers {
		s.kill()
		p.waitNode(t, i, false)
		s.start()
		p.waitNode(t, i, true)
		if err := p.Touch(t.Context(), touched); err != nil {
			t.Fatal(err)
		}
	}
	p.wantLookup(t, idle, ErrNotFound)
	p.wantRecord(t, touched, "1.1", "node1", "a")
}

// TestEmbeddedEndsWithTheProcess: what the embedded store holds is one tier's own.
func TestEmbeddedEndsWithTheProcess(t *testing.T) {
	t.Parallel()
	first := openTier(t, nil, nil)
	first.mustSave(t, key("any"), rec("1.1", "node1", "a"))
	first.Close()
	openTier(t, nil, nil).wantLookup(t, key("any"), ErrNotFound)
}

// TestEviction: a memcached with too little memory drops copies, and nobody is told.
func TestEviction(t *testing.T) {
	t.Parallel()
	p := openTier(t, []*memcachedServer{startMemcached(t, "-m", "8")}, nil)
	first := key("first")
	p.mustSave(t, first, rec("1.1", "node1", "a"+strings.Repeat("x", 100_000)))
	for i := range 200 {
		p.mustSave(t, key(fmt.Sprint("s", i)), rec("1.1", "node1", strings.Repeat("x", 100_000)))
	}
	p.wantLookup(t, first, ErrNotFound)
}

// TestEndOutlivedByACutOffNode: a tombstone that is over no longer beats a copy without a time limit that nobody could reach.
func TestEndOutlivedByACutOffNode(t *testing.T) {
	t.Parallel()
	servers := startBehindDoors(t, 2)
	p := openTier(t, servers, nil)
	k := key("eternal")
	r := rec("1.1", "node1", "a")
	r.TTL = 0
	p.mustSave(t, k, r)
	servers[0].cutOff()
	p.waitNode(t, 0, false)
	if err := p.End(t.Context(), k, time.Hour); err != nil {
		t.Fatal(err)
	}
	p.Close() // with what it remembered
	fresh := openTier(t, servers, nil)
	fresh.wantLookup(t, k, ErrEnded)
	servers[1].wantLeft(t, k, time.Hour)
	servers[1].age(t, k, time.Second)
	eventually(t, "the tombstone is over", func() bool {
		_, err := fresh.Lookup(t.Context(), k)
		return errors.Is(err, ErrNotFound)
	})
	servers[0].rejoin()
	fresh.waitNode(t, 0, true)
	eventually(t, "the session is back", func() bool { _, err := fresh.Lookup(t.Context(), k); return err == nil })
}

// TestPendingEndsAreBounded: no more tombstones wait for a node than README.md says.
func TestPendingEndsAreBounded(t *testing.T) {
	t.Parallel()
	var p pendingEnds
	end := pendingEnd{env: envelope{tombstone: true, incarnation: 1}, until: time.Now().Add(time.Hour)}
	for i := range 65_536 {
		if !p.add(fmt.Sprint(i), end) {
			t.Fatalf("no room for tombstone %d", i+1)
		}
	}
	if p.add("one more", end) || p.len() != 65_536 {
		t.Errorf("%d tombstones wait, want 65,536 and no more", p.len())
	}
	if !p.add("7", end) {
		t.Error("no room for a session that waits already")
	}
}

// TestLateSaveOfAnEarlierSession: it cannot be told from one of the session that started over.
func TestLateSaveOfAnEarlierSession(t *testing.T) {
	t.Parallel()
	p := openTier(t, startServers(t, 2), nil)
	k := key("again")
	p.mustSave(t, k, rec("1.1", "node1", "old"))
	if err := p.End(t.Context(), k, time.Minute); err != nil {
		t.Fatal(err)
	}
	p.mustSave(t, k, rec("1.1", "node1", "new"))
	p.mustSave(t, k, rec("1.9", "node1", "old and late"))
	p.wantRecord(t, k, "1.9", "node1", "old and late")
}

// TestUnknownBeginning: nobody remembers when a session began, so a copy of it on a node that was cut off from before its end may win over a
// session that started over.
func TestUnknownBeginning(t *testing.T) {
	t.Parallel()
	servers := startBehindDoors(t, 2)
	p := openTier(t, servers, nil)
	k := key("again")
	p.mustSave(t, k, rec("1.5", "node1", "old")) // its copies were lost, and every proxy that knew it was restarted
	servers[0].cutOff()
	p.waitNode(t, 0, false)
	if err := p.End(t.Context(), k, time.Minute); err != nil {
		t.Fatal(err)
	}
	p.Close()
	servers[1].kill()
	servers[1].start()
	fresh := openTier(t, servers, nil)
	fresh.wantSave(t, k, rec("1.1", "node1", "new"), ErrIncomplete)
	servers[0].rejoin()
	fresh.waitNode(t, 0, true)
	fresh.wantRecord(t, k, "1.5", "node1", "old")
}

// TestProxiesWithoutASharedNode: both claim, both owners save, and when the nodes are together again the higher generation wins.
func TestProxiesWithoutASharedNode(t *testing.T) {
	t.Parallel()
	servers := startServers(t, 2)
	both := openTier(t, servers, nil)
	k := key("split")
	both.mustSave(t, k, rec("1.1", "node1", "a"))
	left := openTier(t, servers, func(c *Config) { c.Nodes, c.Copies = c.Nodes[:1], 1 })
	right := openTier(t, servers, func(c *Config) { c.Nodes, c.Copies = c.Nodes[1:], 1 })
	left.mustClaim(t, k, "node2", "2.0")
	right.mustClaim(t, k, "node3", "2.0")
	left.mustSave(t, k, rec("2.9", "node2", "left"))
	right.mustSave(t, k, rec("2.1", "node3", "right"))
	both.wantRecord(t, k, "2.1", "node3", "right") // of one generation, the owner whose route sorts last
	left.mustClaim(t, k, "node2", "3.0")
	both.wantRecord(t, k, "3.0", "node2", "left")
	both.wantSave(t, k, rec("2.2", "node3", "right"), ErrFenced)
}

// TestSealingBegins: copies that were stored without a seal are not believed, until their owner saves.
func TestSealingBegins(t *testing.T) {
	t.Parallel()
	servers := startServers(t, 2)
	before := openTier(t, servers, nil)
	k := key("plain")
	before.mustSave(t, k, rec("1.1", "node1", "a"))
	sealed := openTier(t, servers, func(c *Config) { c.Keys = keyring(t, "a") })
	sealed.wantLookup(t, k, ErrNotFound)
	sealed.mustSave(t, k, rec("1.2", "node1", "b"))
	sealed.wantRecord(t, k, "1.2", "node1", "b")
	before.wantLookup(t, k, ErrNotFound) // nor the other way round
	if err := sealed.SetKeys(keyring(t, "b", "a"), SealStrict); err != nil {
		t.Fatal(err)
	}
	sealed.wantRecord(t, k, "1.2", "node1", "b")
	if err := sealed.SetKeys(keyring(t, "b"), SealStrict); err != nil { // too early: nothing was stored under b yet
		t.Fatal(err)
	}
	sealed.wantLookup(t, k, ErrNotFound)
}

// TestPutBack: what somebody puts back on every node is refused by a proxy that stored a newer version lately, in every operation, and by no other.
func TestPutBack(t *testing.T) {
	t.Parallel()
	servers := startServers(t, 2)
	p := openTier(t, servers, func(c *Config) { c.Keys = keyring(t, "a") })
	k := key("replayed")
	p.mustSave(t, k, rec("1.1", "node1", "old"))
	var raw []*memcache.Client
	var old []*memcache.Item
	for _, s := range servers {
		c := s.raw(t)
		item, err := c.Get(k.storeKey())
		if err != nil {
			t.Fatal(err)
		}
		raw, old = append(raw, c), append(old, item)
	}
	p.mustSave(t, k, rec("1.2", "node1", "new"))
	for i := range raw {
		if err := raw[i].Set(old[i]); err != nil {
			t.Fatal(err)
		}
	}
	p.wantLookup(t, k, ErrUnavailable)
	if _, err := p.Claim(t.Context(), k, "node2"); !errors.Is(err, ErrUnavailable) {
		t.Errorf("Claim: %v, want %v", err, ErrUnavailable)
	}
	if err := p.Touch(t.Context(), k); !errors.Is(err, ErrNotFound) {
		t.Errorf("Touch: %v, want %v", err, ErrNotFound)
	}
	p.wantLookup(t, k, ErrUnavailable) // still
	openTier(t, servers, func(c *Config) { c.Keys = keyring(t, "a") }).wantRecord(t, k, "1.1", "node1", "old")
	p.mustSave(t, k, rec("1.3", "node1", "newer"))
	p.wantRecord(t, k, "1.3", "node1", "newer")
}
