package sessiontier

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"rehydra/e2e/harness"
)

// These tests are about two proxies that see different things: of the nodes, or of the time.

// blindTo opens a tier that takes the first node for dead, since it looks for it where nobody listens.
func blindTo(t *testing.T, servers []*memcachedServer, copies int) proxy {
	t.Helper()
	p := openTier(t, servers, func(c *Config) {
		c.Copies = copies
		c.Nodes[0].Address = harness.FreeAddress(t)
	})
	p.waitNode(t, 0, false)
	return p
}

// keyFirstOn returns a key whose first node in rank is n1.
func keyFirstOn(p proxy, name string) Key {
	for i := 0; ; i++ {
		if k := key(fmt.Sprint(name, i)); p.rank(k.storeKey())[0] == 0 {
			return k
		}
	}
}

// TestClaimFencesWhereTheOthersLook: the owner's proxy keeps the only copy on a node that is not where the claiming proxy wants it.
func TestClaimFencesWhereTheOthersLook(t *testing.T) {
	t.Parallel()
	servers := startServers(t, 2)
	whole, half := openTier(t, servers, func(c *Config) { c.Copies = 1 }), blindTo(t, servers, 1)
	k := keyFirstOn(whole, "elsewhere")
	half.mustSave(t, k, rec("1.1", "node1", "a"))
	whole.mustClaim(t, k, "node2", "2.0")
	half.wantSave(t, k, rec("1.2", "node1", "late"), ErrFenced)
	whole.mustSave(t, k, rec("2.1", "node2", "b"))
	eventually(t, "the copy that is in the wrong place is removed", func() bool { return whole.held(t, k)["n2"] == CopyAbsent })
	if held := whole.held(t, k); held["n1"] != "2.1" {
		t.Errorf("nodes hold %v, want 2.1 on n1", held)
	}
}

// TestClaimTakesOverWhatWasSavedMeanwhile: the owner's proxy, which does not reach the arbiter, stores a version between the claim's
// reading and its writing. The claim must begin anew and hand over that version, not what its own first attempt left at the arbiter.
func TestClaimTakesOverWhatWasSavedMeanwhile(t *testing.T) {
	t.Parallel()
	servers := startServers(t, 2)
	whole, half := openTier(t, servers, nil), blindTo(t, servers, 2)
	k := keyFirstOn(whole, "meanwhile")
	whole.mustSave(t, k, rec("1.4", "node1", "old"))

	c := &claim{write: write{t: whole.Tier, key: k, storeKey: k.storeKey()}, owner: "node2"}
	c.rank = whole.rank(c.storeKey)
	v := c.look(t.Context())
	half.wantSave(t, k, rec("1.5", "node1", "new"), ErrIncomplete) // on n2, which answers may go out for
	generation, err := c.rebase(v)
	if err != nil {
		t.Fatal(err)
	}
	env := *c.base
	env.version, env.owner = Version{Generation: generation + 1}, c.owner
	if won, err := c.install(t.Context(), v, &env); won || err != nil {
		t.Fatalf("a claim of what was outdated: won %t, error %v", won, err)
	}
	got, err := c.run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if string(got.state) != "new" || got.version != (Version{3, 0}) {
		t.Errorf("claimed %s with state %q, want 3.0 with state \"new\"", got.version, got.state)
	}
	if held := whole.held(t, k); held["n1"] != "3.0" || held["n2"] != "3.0" {
		t.Errorf("nodes hold %v, want 3.0 on both", held)
	}
}

// TestEndByASlowClock: the proxy that ends the session, or starts it over, is an hour behind the one that began it.
func TestEndByASlowClock(t *testing.T) {
	t.Parallel()
	servers := startServers(t, 2)
	ahead := openTier(t, servers, func(c *Config) { c.Now = func() time.Time { return time.Now().Add(time.Hour) } })
	behind := openTier(t, servers, nil)
	k := key("clocks")
	ahead.mustSave(t, k, rec("1.1", "node1", "a"))
	if err := behind.End(t.Context(), k, time.Minute); err != nil {
		t.Fatal(err)
	}
	for _, p := range []proxy{ahead, behind} {
		p.wantLookup(t, k, ErrEnded)
		p.wantSave(t, k, rec("1.2", "node1", "late"), ErrEnded)
	}
	behind.mustSave(t, k, rec("1.1", "node1", "anew"))
	ahead.wantRecord(t, k, "1.1", "node1", "anew")
}

// TestTwoOwnersOfOneGeneration: two proxies without any node in common claim the same session. Nobody can prevent that. When they see each
// other's nodes again, all agree on one owner, and a claim ends it.
func TestTwoOwnersOfOneGeneration(t *testing.T) {
	t.Parallel()
	servers := startServers(t, 2)
	whole := openTier(t, servers, nil)
	k := key("split")
	whole.mustSave(t, k, rec("1.1", "node0", "a"))
	left := openTier(t, servers[:1], nil)
	right := openTier(t, servers[1:], func(c *Config) { c.Nodes[0].Name = "n2" })
	left.mustClaim(t, k, "node1", "2.0")
	right.mustClaim(t, k, "node2", "2.0")
	left.mustSave(t, k, rec("2.9", "node1", "left"))
	whole.wantRecord(t, k, "2.0", "node2", "left") // node2 has saved nothing yet
	whole.wantSave(t, k, rec("2.10", "node1", "left"), ErrFenced)
	if r := whole.mustClaim(t, k, "node3", "3.0"); string(r.State) != "left" {
		t.Errorf("claimed state %q, want what was saved last", r.State)
	}
	for _, p := range []proxy{left, right} {
		p.wantSave(t, k, rec("2.11", "node1", "late"), ErrFenced)
		p.wantSave(t, k, rec("2.11", "node2", "late"), ErrFenced)
	}
}

// TestUnstoredFirstVersion: the first version of an id that starts over could not be stored anywhere; the next one stands in for it.
func TestUnstoredFirstVersion(t *testing.T) {
	t.Parallel()
	servers := startBehindDoors(t, 1)
	p := openTier(t, servers, nil)
	k := key("unstored")
	p.mustSave(t, k, rec("1.9", "node1", "old"))
	if err := p.End(t.Context(), k, time.Minute); err != nil {
		t.Fatal(err)
	}
	servers[0].cutOff()
	p.waitNode(t, 0, false)
	p.wantSave(t, k, rec("1.1", "node1", "new"), ErrUnavailable)
	servers[0].rejoin()
	p.waitNode(t, 0, true)
	other := openTier(t, servers, nil)
	if err := other.Save(t.Context(), k, rec("1.2", "node1", "newer")); !errors.Is(err, ErrEnded) {
		t.Errorf("a proxy that knows nothing of a new session: %v, want %v", err, ErrEnded)
	}
	p.mustSave(t, k, rec("1.2", "node1", "newer"))
	p.wantRecord(t, k, "1.2", "node1", "newer")
}
