package sessiontier

import (
	"fmt"
	"testing"
	"time"

	"github.com/rainycape/memcache"
)

// openHealing opens a tier that heals as fast as it can.
func openHealing(t *testing.T, servers []*memcachedServer, change func(*Config)) proxy {
	t.Helper()
	return openTier(t, servers, func(c *Config) {
		c.HealRate = 100_000
		if change != nil {
			change(c)
		}
	})
}

// heals is how often node i was healed.
func (p proxy) heals(i int) uint64 { return p.Stats().Nodes[i].Heals }

// waitHealed waits as an operator does between two restarts: the node's count has risen, and nothing more is to be healed.
func (p proxy) waitHealed(t *testing.T, i int, before uint64) {
	t.Helper()
	eventually(t, fmt.Sprintf("node %d is healed", i), func() bool { return p.heals(i) > before && p.Stats().Healing == 0 })
}

// restartEmpty kills a server and starts it again, and waits until it is healed.
func (p proxy) restartEmpty(t *testing.T, servers []*memcachedServer, i int) {
	t.Helper()
	before := p.heals(i)
	servers[i].kill()
	servers[i].start()
	p.waitHealed(t, i, before)
}

// TestRollingRestartLosesNoIdleSession: all nodes are restarted, one after the other, and nobody uses a session meanwhile.
func TestRollingRestartLosesNoIdleSession(t *testing.T) {
	t.Parallel()
	for _, nodes := range []int{2, 3} {
		t.Run(fmt.Sprint(nodes, " nodes"), func(t *testing.T) {
			servers := startServers(t, nodes)
			p := openHealing(t, servers, nil)
			p.waitHealed(t, 0, 0) // of the start
			const sessions = 500
			for i := range sessions {
				p.mustSave(t, key(fmt.Sprint("s", i)), rec("1.1", "node1", fmt.Sprint("state", i)))
			}
			ended := key("ended")
			p.mustSave(t, ended, rec("1.1", "node1", "a"))
			if err := p.End(t.Context(), ended, time.Minute); err != nil {
				t.Fatal(err)
			}
			begun := time.Now()
			for i := range servers {
				p.restartEmpty(t, servers, i)
			}
			t.Logf("%d nodes restarted one after the other in %v, %d copies stored again", nodes, time.Since(begun), p.Stats().Healed)
			fresh := openTier(t, servers, nil) // knows nothing but what the nodes hold
			for i := range sessions {
				k := key(fmt.Sprint("s", i))
				fresh.wantRecord(t, k, "1.1", "node1", fmt.Sprint("state", i))
				if copies := present(fresh.held(t, k)); copies != 2 {
					t.Fatalf("%s has %d copies, want 2: %v", k.BaseID, copies, fresh.held(t, k))
				}
			}
			fresh.wantLookup(t, ended, ErrEnded)
		})
	}
}

// present counts copies in what held returns.
func present(held map[string]string) (n int) {
	for _, what := range held {
		if what != CopyAbsent && what != CopyUnknown && what != CopyUnreadable {
			n++
		}
	}
	return n
}

// TestQuickRestartIsNoticed: a restart that is over before anybody saw the node down is noticed all the same, and nothing else is taken for one.
func TestQuickRestartIsNoticed(t *testing.T) {
	t.Parallel()
	servers := startServers(t, 1)
	p := openTier(t, servers, func(c *Config) { c.Retry = time.Hour }) // no prober in between
	n := p.nodes[0]
	n.store.(*memcachedStore).drop(n.store.(*memcachedStore).current.Load()) // a connection that failed
	n.probe()
	if got := n.comings(); got != 0 {
		t.Errorf("the node came back %d times after a new connection, want 0", got)
	}
	servers[0].kill()
	servers[0].start()
	n.probe()
	if got := n.comings(); got != 1 || p.logged.count("store node down") != 0 {
		t.Errorf("the node came back %d times after a restart, want 1: %s", got, p.logged.b.String())
	}
}

// TestNewNodeIsHealed: a node that is added takes its part of the sessions without waiting for their users.
func TestNewNodeIsHealed(t *testing.T) {
	t.Parallel()
	servers := startServers(t, 3)
	p := openTier(t, servers[:2], nil)
	const sessions = 200
	for i := range sessions {
		p.mustSave(t, key(fmt.Sprint("s", i)), rec("1.1", "node1", "a"))
	}
	grown := openHealing(t, servers, nil)
	grown.waitHealed(t, 2, 0)
	moved := 0
	for i := range sessions {
		k := key(fmt.Sprint("s", i))
		held := grown.held(t, k)
		for _, place := range grown.rank(k.storeKey())[:2] {
			if got := held[grown.nodes[place].name]; got != "1.1" {
				t.Fatalf("%s: node %s holds %s, want 1.1", k.BaseID, grown.nodes[place].name, got)
			}
		}
		if held["n3"] == "1.1" {
			moved++
		}
	}
	if moved < sessions/2 || moved > sessions*5/6 {
		t.Errorf("the third node took %d of %d sessions, want about two thirds", moved, sessions)
	}
}

// TestHealingNeverBringsBackOlder: what a node that was cut off still holds loses to what was written meanwhile, and an end there is
// made good by a proxy that was not there when the session ended.
func TestHealingNeverBringsBackOlder(t *testing.T) {
	t.Parallel()
	servers := startBehindDoors(t, 2)
	p := openTier(t, servers, nil)
	changed, ended := key("changed"), key("ended")
	p.mustSave(t, changed, rec("1.1", "node1", "old"))
	p.mustSave(t, ended, rec("1.1", "node1", "old"))
	servers[0].cutOff()
	p.waitNode(t, 0, false)
	p.wantSave(t, changed, rec("1.2", "node1", "new"), ErrIncomplete)
	if err := p.End(t.Context(), ended, time.Minute); err != nil {
		t.Fatal(err)
	}
	p.Close() // with what it remembered
	late := openHealing(t, servers, nil)
	before := late.heals(0)
	servers[0].rejoin()
	late.waitHealed(t, 0, before)
	if held := late.held(t, changed); held["n1"] != "1.2" || held["n2"] != "1.2" {
		t.Errorf("nodes hold %v, want 1.2 on both", held)
	}
	if held := late.held(t, ended); held["n1"] != CopyTombstone || held["n2"] != CopyTombstone {
		t.Errorf("nodes hold %v, want tombstones on both", held)
	}
}

// TestHealedCopyLivesNoLonger: a copy that is stored again is kept for what is left of the session's life.
func TestHealedCopyLivesNoLonger(t *testing.T) {
	t.Parallel()
	servers := startServers(t, 2)
	p := openHealing(t, servers, nil)
	p.waitHealed(t, 0, 0)
	const day = 24 * time.Hour
	lives := map[string]time.Duration{"short": time.Hour, "long": 40 * day, "unlimited": 0}
	for id, ttl := range lives {
		r := rec("1.1", "node1", "a")
		r.TTL = ttl
		p.mustSave(t, key(id), r)
	}
	for _, s := range servers {
		s.age(t, key("short"), 10*time.Minute)
		s.age(t, key("long"), 35*day)
	}
	lives["short"], lives["long"] = 10*time.Minute, 35*day
	for i := range servers {
		p.restartEmpty(t, servers, i)
		for id, left := range lives {
			servers[i].wantLeft(t, key(id), left)
			p.wantRecord(t, key(id), "1.1", "node1", "a")
		}
	}
}

// TestHealingLeavesOthersAlone: keys that are not ours, and copies that cannot be believed, are neither moved nor touched.
func TestHealingLeavesOthersAlone(t *testing.T) {
	t.Parallel()
	servers := startServers(t, 2)
	p := openHealing(t, servers, nil)
	p.waitHealed(t, 0, 0)
	raw := servers[1].raw(t)
	other := sampleEnvelope()
	foreign, err := encodePlain(&other, key("another"))
	if err != nil {
		t.Fatal(err)
	}
	values := map[string][]byte{"foreign": []byte("not ours"), "r1:short": []byte("x"), key("swapped").storeKey(): foreign, key("junk").storeKey(): make([]byte, 100)}
	for name, value := range values {
		if err := raw.Set(&memcache.Item{Key: name, Value: value}); err != nil {
			t.Fatal(err)
		}
	}
	p.restartEmpty(t, servers, 0)
	first := servers[0].raw(t)
	for name := range values {
		if _, err := first.Get(name); err != memcache.ErrCacheMiss {
			t.Errorf("%q is on the healed node: %v", name, err)
		}
		if _, err := raw.Get(name); err != nil {
			t.Errorf("%q is gone: %v", name, err)
		}
	}
	if p.logged.count(`"unreadable":3`) == 0 { // or more, where the node was seen to come back twice
		t.Errorf("want three unreadable copies in the log: %s", p.logged.b.String())
	}
}

// TestHealingWithoutCrawler: a server that does not list its keys is named once, and never counts as healed.
func TestHealingWithoutCrawler(t *testing.T) {
	t.Parallel()
	for name, args := range map[string][]string{"no crawler": {"-o", "no_lru_crawler"}, "binary only": {"-B", "binary"}} {
		t.Run(name, func(t *testing.T) {
			servers := []*memcachedServer{startMemcached(t), startMemcached(t, args...)}
			p := openHealing(t, servers, nil)
			eventually(t, "the walk of the start is over", func() bool { return p.Stats().Healing == 0 })
			k := key("any")
			p.mustSave(t, k, rec("1.1", "node1", "a"))
			servers[0].kill()
			p.waitNode(t, 0, false)
			servers[0].start()
			eventually(t, "the second walk is over", func() bool {
				return p.logged.count("store healing ends") >= 2 && p.Stats().Healing == 0
			})
			if p.heals(0) != 0 || p.logged.count("store node cannot be walked") != 1 {
				t.Errorf("healed %d times; want never, and one line that says why: %s", p.heals(0), p.logged.b.String())
			}
			p.wantRecord(t, k, "1.1", "node1", "a")
		})
	}
}

// TestHealRate: the walk takes the time that its rate says.
func TestHealRate(t *testing.T) {
	t.Parallel()
	servers := startServers(t, 2)
	p := openTier(t, servers, nil)
	for i := range 200 {
		p.mustSave(t, key(fmt.Sprint("s", i)), rec("1.1", "node1", "a"))
	}
	begun := time.Now()
	slow := openTier(t, servers, func(c *Config) { c.HealRate = 400 }) // 200 sessions on each of two nodes: a second
	slow.waitHealed(t, 0, 0)
	if took := time.Since(begun); took < 900*time.Millisecond {
		t.Errorf("400 looks at a rate of 400 a second took %v only", took)
	}
}

// TestTwoHealers: proxies that heal at once do no harm, though a server lists its keys for one at a time.
func TestTwoHealers(t *testing.T) {
	t.Parallel()
	servers := startServers(t, 2)
	a, b := openHealing(t, servers, nil), openHealing(t, servers, nil)
	for i := range 300 {
		a.mustSave(t, key(fmt.Sprint("s", i)), rec("1.1", "node1", "a"))
	}
	beforeA, beforeB := a.heals(0), b.heals(0)
	servers[0].kill()
	servers[0].start()
	a.waitHealed(t, 0, beforeA)
	b.waitHealed(t, 0, beforeB)
	for i := range 300 {
		if held := a.held(t, key(fmt.Sprint("s", i))); held["n1"] != "1.1" {
			t.Fatalf("s%d: nodes hold %v", i, held)
		}
	}
}
