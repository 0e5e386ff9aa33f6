package sessiontier

import (
	"context"
	"errors"
	"testing"
	"time"
)

// cutOff is a session with a claim that was given up: it is on one node, which stood still (SIGSTOP) and has stored it since. Meanwhile the owner has saved on
// the other two, and was answered.
type cutOff struct {
	k       Key
	servers []*memcachedServer
	nodes   rank // of k: the first of them has the claim
	owner   proxy
}

func startCutOff(t *testing.T) *cutOff {
	t.Helper()
	servers := startServers(t, 3)
	clock := &stepper{}
	claimer := late(t, servers, func(c *Config) { c.Now = clock.now })
	s := &cutOff{k: key("cut"), servers: servers}
	s.nodes = claimer.rank(s.k.storeKey())
	claimer.mustSave(t, s.k, rec("1.1", "node1", "old"))
	s.owner = openWithout(t, servers, int(s.nodes[0]))
	first := servers[s.nodes[0]]
	clock.then(func() bool {
		first.pause()
		for _, version := range []string{"1.2", "1.3"} {
			if err := s.owner.Save(context.Background(), s.k, rec(version, "node1", "new")); err != nil {
				t.Error(err)
			}
		}
		return true
	})
	ctx, cut := context.WithTimeout(t.Context(), time.Second)
	defer cut()
	if r, err := claimer.Claim(ctx, s.k, "node2"); !errors.Is(err, ErrUnavailable) {
		t.Fatalf("the claim got version %s, error %v; want %v", r.Version, err, ErrUnavailable)
	}
	first.resume()
	s.waitHolds(t, int(s.nodes[0]), Version{Generation: 2})
	return s
}

// waitHolds waits until a node has a version, past all that may be thought of the node.
func (s *cutOff) waitHolds(t *testing.T, node int, want Version) {
	t.Helper()
	c := s.servers[node].raw(t)
	eventually(t, "the late claim is stored", func() bool {
		item, err := c.Get(s.k.storeKey())
		if err != nil {
			return false
		}
		env, err := s.owner.codec.decode(item.Value, s.k, s.k.storeKey())
		return err == nil && env.version == want
	})
}

// wantClaimOf claims the session anew and wants a state.
func (s *cutOff) wantClaimOf(t *testing.T, state string) Record {
	t.Helper()
	r, err := openTier(t, s.servers, nil).Claim(ctxFor(t, patience), s.k, "node3")
	if err != nil || string(r.State) != state {
		t.Fatalf("the claim got version %s, state %q, error %v; want state %q", r.Version, r.State, err, state)
	}
	return r
}

// TestCutOffClaim: a claim that ended before it was on every node that holds a copy keeps the former owner from saving, but what that one has saved without seeing it
// is what everybody gets.
func TestCutOffClaim(t *testing.T) {
	t.Parallel()
	s := startCutOff(t)
	p := openTier(t, s.servers, nil)
	p.wantRecord(t, s.k, "2.0", "node2", "new")
	p.wantSave(t, s.k, rec("1.4", "node1", "late"), ErrFenced)
	s.wantClaimOf(t, "new")
	p.wantRecord(t, s.k, "3.0", "node3", "new")
	p.wantSave(t, s.k, rec("1.5", "node1", "late"), ErrFenced)
	p.mustSave(t, s.k, rec("3.1", "node3", "newer"))
	s.wantClaimOf(t, "newer")
}

// TestCutOffClaimThatIsRefreshed: the session's copies are stored anew, and then the nodes that had what was saved are lost.
func TestCutOffClaimThatIsRefreshed(t *testing.T) {
	t.Parallel()
	s := startCutOff(t)
	p := openTier(t, s.servers, nil)
	if err := p.Touch(ctxFor(t, patience), s.k); err != nil {
		t.Fatal(err)
	}
	p.Close()
	s.owner.Close()
	for _, i := range s.nodes[1:] {
		s.servers[i].kill()
		s.servers[i].start()
	}
	s.wantClaimOf(t, "new")
}

// TestCutOffClaimThatIsHealed: all nodes are restarted, one after the other, each when the one before is healed.
func TestCutOffClaimThatIsHealed(t *testing.T) {
	t.Parallel()
	s := startCutOff(t)
	p := openHealing(t, s.servers, nil)
	p.waitHealed(t, 0, 0)
	for _, i := range []int{int(s.nodes[1]), int(s.nodes[2]), int(s.nodes[0])} {
		p.restartEmpty(t, s.servers, i)
	}
	p.wantRecord(t, s.k, "2.0", "node2", "new")
	p.wantSave(t, s.k, rec("1.4", "node1", "late"), ErrFenced)
	s.wantClaimOf(t, "new")
}

// TestClaimOfACutOffClaim: while the two nodes that have what was saved are out, the claim is all that there is, and is handed over. Until somebody saves that, what
// was saved before is not lost.
func TestClaimOfACutOffClaim(t *testing.T) {
	t.Parallel()
	s := startCutOff(t)
	alone := openTier(t, s.servers, func(c *Config) {
		for _, i := range s.nodes[1:] {
			c.Nodes[i].Address = "127.0.0.1:1" // nobody listens there
		}
	})
	alone.mustClaim(t, s.k, "node3", "3.0")
	s.wantClaimOf(t, "new")
}

// TestClaimOfTheSameGeneration: the late claim is of the generation that another claim has won meanwhile, for an owner whose route sorts before.
func TestClaimOfTheSameGeneration(t *testing.T) {
	t.Parallel()
	s := startCutOff(t)
	s.owner.mustClaim(t, s.k, "node1", "2.0") // does not see the first node
	s.owner.mustSave(t, s.k, rec("2.1", "node1", "newer"))
	s.wantClaimOf(t, "newer")
}

// TestClaimOfACutOffClaimMeetsASave: what is handed over is a late claim, and the owner saves, without seeing that one, before it is written.
func TestClaimOfACutOffClaimMeetsASave(t *testing.T) {
	t.Parallel()
	servers := startServers(t, 3)
	clock := &stepper{}
	claimer := openTier(t, servers, func(c *Config) { c.Now = clock.now })
	k := key("met")
	nodes := claimer.rank(k.storeKey())
	claimer.mustSave(t, k, rec("1.1", "node1", "old"))
	owner := openWithout(t, servers, int(nodes[0]))
	claimer.put(t, k, int(nodes[0]), envelope{version: Version{2, 0}, base: Version{1, 1}, owner: "node2", state: []byte("old")})
	clock.then(func() bool {
		if err := owner.Save(context.Background(), k, rec("1.2", "node1", "new")); err != nil {
			t.Error(err)
		}
		return true
	})
	if r, err := claimer.Claim(ctxFor(t, patience), k, "node3"); err != nil || string(r.State) != "new" {
		t.Errorf("the claim got version %s, state %q, error %v; want what was saved last", r.Version, r.State, err)
	}
}

// put writes a copy to one node in place of the one that is there, of the same session.
func (p proxy) put(t *testing.T, k Key, node int, e envelope) {
	t.Helper()
	there := p.ask(t.Context(), node, k, k.storeKey())
	if there.err != nil || !there.found {
		t.Fatalf("node %d has no copy (error %v)", node, there.err)
	}
	e.incarnation, e.ttl = there.env.incarnation, there.env.ttl
	value, err := p.codec.encode(&e, k, k.storeKey())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.nodes[node].put(t.Context(), k.storeKey(), value, lifeOf(e.ttl), there.tok); err != nil {
		t.Fatal(err)
	}
}

// TestClaimsForOneOwnerAtOnce: two proxies claim a session for the same owner at the same moment, by their clocks. Who loses does not take the other's claim for its
// own, and hands over what that one did.
func TestClaimsForOneOwnerAtOnce(t *testing.T) {
	t.Parallel()
	servers := startServers(t, 2)
	clock := &stepper{}
	moment := time.Now()
	claimer := openTier(t, servers, func(c *Config) { c.Now = func() time.Time { clock.now(); return moment } })
	other := openTier(t, servers, func(c *Config) { c.Now = func() time.Time { return moment } })
	k := key("both")
	claimer.mustSave(t, k, rec("1.1", "node1", "old"))
	clock.then(func() bool {
		if err := other.Save(context.Background(), k, rec("1.2", "node1", "new")); err != nil {
			t.Error(err)
		}
		if r, err := other.Claim(context.Background(), k, "node2"); err != nil || r.Version != (Version{2, 0}) {
			t.Errorf("the other claim got version %s, error %v", r.Version, err)
		}
		if err := other.Save(context.Background(), k, rec("2.0", "node2", "new")); err != nil {
			t.Error(err)
		}
		return true
	})
	if r := claimer.mustClaim(t, k, "node2", "3.0"); string(r.State) != "new" {
		t.Errorf("claimed state %q, want what was saved last", r.State)
	}
}
