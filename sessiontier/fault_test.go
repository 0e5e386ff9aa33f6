package sessiontier

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestStartsWithoutMemcachedAndRecovers(t *testing.T) {
	t.Parallel()
	servers := startServers(t, 2)
	for _, s := range servers {
		s.kill()
	}
	p := openTier(t, servers, nil)
	if down := p.logged.count(`"message":"store node down"`); down != 2 {
		t.Errorf("%d nodes logged as down, want 2: %s", down, p.logged.b.String())
	}
	k := key("early")
	p.wantLookup(t, k, ErrUnavailable)
	p.wantSave(t, k, rec("1.1", "node1", "a"), ErrIncomplete)
	p.wantSave(t, k, rec("1.1", "node1", "a"), ErrUnavailable)
	for i, s := range servers {
		s.start()
		p.waitNode(t, i, true)
	}
	p.mustSave(t, k, rec("1.2", "node1", "b"))
	p.wantRecord(t, k, "1.2", "node1", "b")
	if up := p.logged.count(`"message":"store node up"`); up != 2 {
		t.Errorf("%d nodes logged as up, want 2", up)
	}
}

// TestKilledNode: with two copies one node may be killed at any time; the next save says what is missing, and all is mended later.
func TestKilledNode(t *testing.T) {
	t.Parallel()
	servers := startServers(t, 2)
	p := openTier(t, servers, nil)
	for i := range 20 {
		p.mustSave(t, key(fmt.Sprint("k", i)), rec("1.1", "node1", fmt.Sprint("state", i)))
	}
	servers[0].kill()
	for i := range 20 {
		p.wantRecord(t, key(fmt.Sprint("k", i)), "1.1", "node1", fmt.Sprint("state", i))
	}
	k := key("k0")
	for version := 2; version < 5; version++ {
		err := p.Save(t.Context(), k, rec(fmt.Sprint("1.", version), "node1", "later"))
		var incomplete *IncompleteError
		if !errors.As(err, &incomplete) || incomplete.Stored != 1 || incomplete.Want != 2 || errors.Is(err, ErrUnavailable) {
			t.Fatalf("save on one of two nodes: %v", err)
		}
	}
	p.wantLookup(t, key("never"), ErrNotFound) // one silent node cannot hide two copies
	p.mustClaim(t, key("k1"), "node2", "2.0")

	servers[0].start() // empty
	p.waitNode(t, 0, true)
	p.mustSave(t, k, rec("1.6", "node1", "whole"))
	if err := p.Touch(t.Context(), key("k1")); err != nil {
		t.Fatal(err)
	}
	for id, want := range map[string]string{"k0": "1.6", "k1": "2.0"} {
		if held := p.held(t, key(id)); held["n1"] != want || held["n2"] != want {
			t.Errorf("%s: nodes hold %v, want %s on both", id, held, want)
		}
	}
	down, up := p.logged.count(`"message":"store node down"`), p.logged.count(`"message":"store node up"`)
	if down != 1 || up != 1 {
		t.Errorf("logged %d times down and %d times up, want once each", down, up)
	}
}

// TestRestartBetweenTwoExchanges: after a restart every pooled connection is broken, which must not be seen by anybody.
func TestRestartBetweenTwoExchanges(t *testing.T) {
	t.Parallel()
	servers := startServers(t, 1)
	p := openTier(t, servers, func(c *Config) { c.Retry = time.Hour }) // no prober in between
	many := make(chan error)
	for i := range 20 { // so that many connections are pooled
		go func() { many <- p.Save(t.Context(), key(fmt.Sprint("k", i)), rec("1.1", "node1", "a")) }()
	}
	for range 20 {
		if err := <-many; err != nil {
			t.Fatal(err)
		}
	}
	servers[0].kill()
	servers[0].start()
	for i := range 20 {
		k := key(fmt.Sprint("k", i))
		p.mustSave(t, k, rec("1.2", "node1", "b"))
		p.wantRecord(t, k, "1.2", "node1", "b")
	}
	if p.logged.count("store node down") != 0 {
		t.Errorf("a restart between two exchanges was noticed: %s", p.logged.b.String())
	}
}

// TestTokensEndWithTheServer: a restarted server counts its compare-and-swap ids from the start, so what this proxy remembers may stand for
// something else there by now.
func TestTokensEndWithTheServer(t *testing.T) {
	t.Parallel()
	servers := startServers(t, 1)
	p := openTier(t, servers, func(c *Config) { c.Retry = time.Hour }) // no prober in between
	k := key("first")
	p.mustSave(t, k, rec("1.1", "node1", "a")) // the server's first write
	before := p.token(t, k)
	servers[0].kill()
	servers[0].start()
	other := openTier(t, servers, nil)
	other.mustSave(t, k, rec("2.5", "node2", "b"))
	if after := other.token(t, k); after.id != before.id {
		t.Fatalf("the ids %d and %d differ: this test needs the same", before.id, after.id)
	}
	p.wantSave(t, k, rec("1.2", "node1", "late"), ErrFenced)
	other.wantRecord(t, k, "2.5", "node2", "b")
}

// token is what the tier remembers of its copy of a session on its first node.
func (p proxy) token(t *testing.T, k Key) token {
	t.Helper()
	h, ok := p.handles.get(k.storeKey())
	if !ok {
		t.Fatal("the tier remembers nothing of the session")
	}
	return h.copies[0].tok
}

// TestStoppedNode: a stopped process (SIGSTOP) accepts connections and never answers.
func TestStoppedNode(t *testing.T) {
	t.Parallel()
	servers := startServers(t, 2)
	p := openTier(t, servers, func(c *Config) { c.Timeout, c.Retry = time.Second, time.Second })
	k := key("stopped")
	p.mustSave(t, k, rec("1.1", "node1", "a"))
	servers[0].pause()
	err := p.Save(ctxFor(t, patience), k, rec("1.2", "node1", "b"))
	var incomplete *IncompleteError
	if !errors.As(err, &incomplete) || incomplete.Stored != 1 {
		t.Fatalf("save with one node stopped: %v", err)
	}
	p.wantRecord(t, k, "1.2", "node1", "b")
	p.waitNode(t, 0, false)
	failed := p.Stats().Nodes[0].Errors
	for version := 3; version < 20; version++ {
		p.wantSave(t, k, rec(fmt.Sprint("1.", version), "node1", "c"), ErrIncomplete)
	}
	// Each exchange with a node that stands still fails; the prober has had a few.
	if more := p.Stats().Nodes[0].Errors - failed; more >= 17 {
		t.Errorf("%d exchanges failed during 17 saves beside a node known to be down: they wait for it", more)
	}
	r := p.mustClaim(t, k, "node2", "2.0")
	servers[0].resume()
	p.waitNode(t, 0, true)
	p.wantRecord(t, k, "2.0", "node2", string(r.State)) // though n1 holds 1.1, or 1.2
	p.wantSave(t, k, rec("1.30", "node1", "late"), ErrFenced)
	p.mustSave(t, k, rec("2.1", "node2", "d"))
	if held := p.held(t, k); held["n1"] != "2.1" || held["n2"] != "2.1" {
		t.Errorf("nodes hold %v, want 2.1 on both", held)
	}
}

// TestStandIn: with a third node, it takes the copies of one that is down, and gives them up when that returns.
func TestStandIn(t *testing.T) {
	t.Parallel()
	servers := startBehindDoors(t, 3)
	p := openTier(t, servers, nil)
	k := key("standin")
	p.mustSave(t, k, rec("1.1", "node1", "a"))
	places := p.rank(k.storeKey())
	first, third := int(places[0]), int(places[2])
	servers[first].cutOff()
	p.mustSave(t, k, rec("1.2", "node1", "b")) // complete, on the second and the third
	p.waitNode(t, first, false)
	p.mustSave(t, k, rec("1.3", "node1", "c"))
	servers[first].rejoin()
	p.waitNode(t, first, true)
	p.wantRecord(t, k, "1.3", "node1", "c") // though the first holds 1.1
	p.mustSave(t, k, rec("1.4", "node1", "d"))
	eventually(t, "the stand-in's old copy is removed", func() bool {
		return p.held(t, k)[p.nodes[third].name] == CopyAbsent
	})
	for _, i := range places[:2] {
		if got := p.held(t, k)[p.nodes[i].name]; got != "1.4" {
			t.Errorf("node %d holds %s, want 1.4", i, got)
		}
	}
}

func TestFailoverOnlyNodeHoldsNothingWhileOthersLive(t *testing.T) {
	t.Parallel()
	servers := startServers(t, 3)
	p := openTier(t, servers, func(c *Config) { c.FailoverOnly = []string{"n1"} })
	for i := range 50 {
		k := key(fmt.Sprint("k", i))
		p.mustSave(t, k, rec("1.1", "node1", "a"))
		if held := p.held(t, k); held["n1"] != CopyAbsent {
			t.Fatalf("%s: the node for fail-over only holds %s while the others live", k.BaseID, held["n1"])
		}
	}
	servers[1].kill()
	p.waitNode(t, 1, false)
	k := key("k0")
	p.mustSave(t, k, rec("1.2", "node1", "b"))
	if held := p.held(t, k); held["n1"] != "1.2" {
		t.Errorf("nodes hold %v, want 1.2 on n1, which stands in", held)
	}
}

// TestUnavailableIsNotAbsent: with one copy, a node that is down may hold it.
func TestUnavailableIsNotAbsent(t *testing.T) {
	t.Parallel()
	servers := startBehindDoors(t, 2)
	p := openTier(t, servers, func(c *Config) { c.Copies = 1 })
	k := key("single")
	p.mustSave(t, k, rec("1.1", "node1", "a"))
	home := int(p.rank(k.storeKey())[0])
	servers[home].cutOff()
	p.wantLookup(t, k, ErrUnavailable)
	if _, err := p.Claim(t.Context(), k, "node2"); !errors.Is(err, ErrUnavailable) {
		t.Errorf("Claim: %v, want %v", err, ErrUnavailable)
	}
	servers[home].rejoin()
	p.waitNode(t, home, true)
	p.wantRecord(t, k, "1.1", "node1", "a") // a failed look-up was not taken for "unknown"
}

// TestEndWhileANodeIsCutOff: the copy on a node that missed the logout never wins, and the tombstone gets there in the end.
func TestEndWhileANodeIsCutOff(t *testing.T) {
	t.Parallel()
	servers := startBehindDoors(t, 2)
	p, other := openTier(t, servers, nil), openTier(t, servers, nil)
	ended, again := key("ended"), key("again")
	p.mustSave(t, ended, rec("1.9", "node1", "a"))
	p.mustSave(t, again, rec("1.1", "node1", "a")) // so that its beginning is known
	p.mustSave(t, again, rec("1.9", "node1", "a"))
	servers[0].cutOff()
	p.waitNode(t, 0, false)
	for _, k := range []Key{ended, again} {
		if err := p.End(t.Context(), k, time.Minute); err != nil {
			t.Fatal(err)
		}
		p.wantLookup(t, k, ErrEnded)
	}
	p.wantSave(t, again, rec("1.1", "node1", "b"), ErrIncomplete) // starts over on the node that is there
	servers[0].rejoin()
	other.waitNode(t, 0, true)
	other.wantLookup(t, ended, ErrEnded)
	other.wantRecord(t, again, "1.1", "node1", "b")
	eventually(t, "the tombstone is written to the node that was cut off", func() bool {
		return p.held(t, ended)["n1"] == CopyTombstone && p.Stats().Nodes[0].PendingEnds == 0
	})
	p.mustSave(t, again, rec("1.2", "node1", "c"))
	other.wantRecord(t, again, "1.2", "node1", "c")
	servers[1].kill() // only the node that was cut off is left
	p.waitNode(t, 1, false)
	p.wantLookup(t, ended, ErrEnded)
	p.wantRecord(t, again, "1.2", "node1", "c")
}

// TestEndWhileAllNodesAreDown: the proxy that ended the session remembers.
func TestEndWhileAllNodesAreDown(t *testing.T) {
	t.Parallel()
	servers := startBehindDoors(t, 1)
	p := openTier(t, servers, nil)
	k := key("ended")
	p.mustSave(t, k, rec("1.5", "node1", "a"))
	servers[0].cutOff()
	p.waitNode(t, 0, false)
	if err := p.End(t.Context(), k, time.Minute); !errors.Is(err, ErrUnavailable) {
		t.Fatalf("End: %v, want %v", err, ErrUnavailable)
	}
	p.wantLookup(t, k, ErrEnded)
	servers[0].rejoin()
	eventually(t, "the tombstone is written", func() bool { return p.held(t, k)["n1"] == CopyTombstone })
	openTier(t, servers, nil).wantLookup(t, k, ErrEnded)
}

// TestStartOverIsNewerThanACopyNobodySaw: the old session's only copy is on a node that is cut off from before its end, and no tombstone
// was ever written anywhere else that lasts.
func TestStartOverIsNewerThanACopyNobodySaw(t *testing.T) {
	t.Parallel()
	servers := startBehindDoors(t, 2)
	p := openTier(t, servers, nil)
	k := key("twice")
	p.mustSave(t, k, rec("1.1", "node1", "older"))
	p.mustSave(t, k, rec("4.9", "node1", "old"))
	servers[0].cutOff()
	p.waitNode(t, 0, false)
	servers[1].kill()
	servers[1].start()
	fresh := openTier(t, servers, nil) // a proxy that knows nothing
	fresh.waitNode(t, 1, true)
	fresh.wantSave(t, k, rec("1.1", "node2", "new"), ErrIncomplete)
	servers[0].rejoin()
	fresh.waitNode(t, 0, true)
	fresh.wantRecord(t, k, "1.1", "node2", "new")
	fresh.mustSave(t, k, rec("1.2", "node2", "newer"))
	p.waitNode(t, 0, true)
	p.waitNode(t, 1, true)
	p.wantRecord(t, k, "1.2", "node2", "newer")
}

// TestUnreadableCopies: a copy that was changed, cut, or belongs to another session counts as absent.
func TestUnreadableCopies(t *testing.T) {
	t.Parallel()
	servers := startServers(t, 2)
	p := openTier(t, servers, nil)
	raw := servers[0].raw(t)
	spoil := map[string]func(value, other []byte) []byte{
		"changed":  func(v, _ []byte) []byte { v[len(v)-12] ^= 1; return v },
		"cut":      func(v, _ []byte) []byte { return v[:len(v)-1] },
		"empty":    func(_, _ []byte) []byte { return nil },
		"garbage":  func(_, _ []byte) []byte { return []byte(strings.Repeat("garbage", 100)) },
		"swapped":  func(_, other []byte) []byte { return other },
		"surplus":  func(v, _ []byte) []byte { return append(v, 0) },
		"pretends": func(v, _ []byte) []byte { v[24]++; return v }, // a higher generation
	}
	p.mustSave(t, key("other"), rec("7.7", "node1", "foreign"))
	for name, change := range spoil {
		k := key("bad-" + name)
		p.mustSave(t, k, rec("1.1", "node1", "good"))
		item, err := raw.Get(k.storeKey())
		if err != nil {
			t.Fatal(err)
		}
		other, err := raw.Get(key("other").storeKey())
		if err != nil {
			t.Fatal(err)
		}
		item.Value = change(item.Value, other.Value)
		if err := raw.Set(item); err != nil {
			t.Fatal(err)
		}
		before := p.Stats().Corrupt
		p.wantRecord(t, k, "1.1", "node1", "good") // from the other node
		if p.Stats().Corrupt == before {
			t.Errorf("%s: not counted", name)
		}
		if held := p.held(t, k); held["n1"] != CopyUnreadable {
			t.Errorf("%s: n1 holds %s, want %s", name, held["n1"], CopyUnreadable)
		}
		p.mustSave(t, k, rec("1.2", "node1", "mended"))
		if held := p.held(t, k); held["n1"] != "1.2" {
			t.Errorf("%s: n1 holds %s after the next save, want 1.2", name, held["n1"])
		}
	}
	if p.logged.count("session copy not readable") == 0 || p.logged.count("good") != 0 {
		t.Error("unreadable copies must be logged, and their contents must not")
	}
}

func TestSmallItemLimitIsLearned(t *testing.T) {
	t.Parallel()
	server := startMemcached(t, "-I", "512k")
	p := openTier(t, []*memcachedServer{server}, nil)
	k := key("big")
	p.mustSave(t, k, rec("1.1", "node1", "small"))
	p.wantSave(t, k, rec("1.2", "node1", strings.Repeat("x", 530_000)), ErrTooLarge)
	p.wantRecord(t, k, "1.1", "node1", "small")
	p.mustSave(t, k, rec("1.3", "node1", strings.Repeat("x", 520_000)))
}

func TestServerWithoutCompareAndSwapIsRefused(t *testing.T) {
	t.Parallel()
	p := openTier(t, []*memcachedServer{startMemcached(t, "-C")}, nil)
	p.wantSave(t, key("any"), rec("1.1", "node1", "a"), ErrUnavailable)
	if p.logged.count("compare-and-swap") != 1 {
		t.Errorf("want one line that says why: %s", p.logged.b.String())
	}
}
