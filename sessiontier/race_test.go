package sessiontier

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"rehydra/e2e/harness"
)

// TestRacingClaimsNeverShareAGeneration lets two proxies, each with several goroutines, claim the same session at once.
func TestRacingClaimsNeverShareAGeneration(t *testing.T) {
	t.Parallel()
	servers := startServers(t, 2)
	slow := func(c *Config) { c.Timeout = 2 * time.Second }
	proxies := []proxy{openTier(t, servers, slow), openTier(t, servers, slow)}
	const rounds, claimers = 200, 2
	for round := range rounds {
		k := key(fmt.Sprintf("raced%d", round))
		proxies[0].mustSave(t, k, rec("1.1", "node0", "state"))
		seen := claimAtOnce(t, proxies, k, claimers)
		if len(seen) != len(proxies)*claimers {
			t.Fatalf("round %d: %d generations for %d claims: %v", round, len(seen), len(proxies)*claimers, seen)
		}
		var newest Version
		for v := range seen {
			if v.Compare(newest) > 0 {
				newest = v
			}
		}
		proxies[1].wantRecord(t, k, newest.String(), seen[newest], "state")
		for _, p := range proxies { // only the last owner may write
			for v, owner := range seen {
				want := ErrFenced
				if v == newest {
					want = nil
				}
				p.wantSave(t, k, Record{Version: Version{v.Generation, 1}, Owner: owner, State: []byte("state")}, want)
			}
		}
	}
	t.Logf("%d rounds, conflicts met: %d and %d", rounds, proxies[0].Stats().Conflicts, proxies[1].Stats().Conflicts)
}

// claimAtOnce claims a session from several goroutines of each proxy and returns the versions they got, with their owners.
func claimAtOnce(t *testing.T, proxies []proxy, k Key, claimers int) map[Version]string {
	t.Helper()
	var mu sync.Mutex
	seen := map[Version]string{}
	var all sync.WaitGroup
	for i, p := range proxies {
		for j := range claimers {
			all.Go(func() {
				owner := fmt.Sprintf("node%d-%d", i, j)
				r, err := p.Claim(t.Context(), k, owner)
				mu.Lock()
				defer mu.Unlock()
				if err != nil {
					t.Error(err)
					return
				}
				if other, ok := seen[r.Version]; ok {
					t.Errorf("%s and %s both got version %s", owner, other, r.Version)
				}
				if string(r.State) != "state" {
					t.Errorf("claim got state %q", r.State)
				}
				seen[r.Version] = owner
			})
		}
	}
	all.Wait()
	return seen
}

// TestClaimsMeetOnAnySharedNode: one proxy takes the first node for dead, so the two have different arbiters.
func TestClaimsMeetOnAnySharedNode(t *testing.T) {
	t.Parallel()
	servers := startServers(t, 2)
	slow := func(c *Config) { c.Timeout = 2 * time.Second }
	whole := openTier(t, servers, slow)
	half := openTier(t, servers, func(c *Config) {
		slow(c)
		c.Nodes[0].Address = harness.FreeAddress(t) // nobody listens there
	})
	half.waitNode(t, 0, false)
	for round := range 200 {
		k := key(fmt.Sprintf("apart%d", round))
		whole.mustSave(t, k, rec("1.1", "node0", "state"))
		if seen := claimAtOnce(t, []proxy{whole, half}, k, 2); len(seen) != 4 {
			t.Fatalf("round %d: %d generations for 4 claims: %v", round, len(seen), seen)
		}
	}
}

// TestAcknowledgedSavesSurviveClaims: an owner saves one version after the other while another proxy claims the session. Whatever
// was acknowledged before must be in what the claim got.
func TestAcknowledgedSavesSurviveClaims(t *testing.T) {
	t.Parallel()
	servers := startServers(t, 2)
	slow := func(c *Config) { c.Timeout = 2 * time.Second }
	owner, other := openTier(t, servers, slow), openTier(t, servers, slow)
	fenced := 0
	for round := range 200 {
		k := key(fmt.Sprintf("fenced%d", round))
		owner.mustSave(t, k, rec("1.1", "node1", "1"))
		claimed := make(chan Record, 1)
		go func() {
			r, err := other.Claim(t.Context(), k, "node2")
			if err != nil {
				t.Error(err)
			}
			claimed <- r
		}()
		acknowledged := uint64(1)
		var err error
		for c := uint64(2); c < 20_000; c++ {
			err = owner.Save(t.Context(), k, Record{Version: Version{1, c}, Owner: "node1", State: fmt.Append(nil, c)})
			if err != nil {
				break
			}
			acknowledged = c
		}
		if !errors.Is(err, ErrFenced) {
			t.Fatalf("round %d: the owner's save ended with %v, want %v", round, err, ErrFenced)
		}
		fenced++
		r := <-claimed
		var got uint64
		if _, err := fmt.Sscan(string(r.State), &got); err != nil || got < acknowledged {
			t.Fatalf("round %d: acknowledged %d, the claim got state %q", round, acknowledged, r.State)
		}
		other.wantRecord(t, k, r.Version.String(), "node2", string(r.State))
	}
	t.Logf("fenced %d late saves; conflicts met by the claims: %d", fenced, other.Stats().Conflicts)
}

// TestSavesOfOneSessionFromBothProxies: the owner's answers come through two proxies, out of order. The newest stays.
func TestSavesOfOneSessionFromBothProxies(t *testing.T) {
	t.Parallel()
	servers := startServers(t, 2)
	slow := func(c *Config) { c.Timeout = 2 * time.Second }
	proxies := []proxy{openTier(t, servers, slow), openTier(t, servers, slow)}
	for round := range 50 {
		k := key(fmt.Sprintf("both%d", round))
		const versions = 20
		var all sync.WaitGroup
		for c := 1; c <= versions; c++ {
			all.Go(func() {
				r := Record{Version: Version{1, uint64(c)}, Owner: "node1", State: fmt.Append(nil, c)}
				if err := proxies[c%2].Save(t.Context(), k, r); err != nil {
					t.Errorf("round %d: %v", round, err)
				}
			})
		}
		all.Wait()
		want := map[string]string{"n1": "1.20", "n2": "1.20"}
		if held := proxies[0].held(t, k); fmt.Sprint(held) != fmt.Sprint(want) {
			t.Fatalf("round %d: nodes hold %v, want %v", round, held, want)
		}
	}
}

// TestEndAgainstSavesAndClaims: whatever races with it, an end is final.
func TestEndAgainstSavesAndClaims(t *testing.T) {
	t.Parallel()
	servers := startServers(t, 2)
	slow := func(c *Config) { c.Timeout = 2 * time.Second }
	a, b := openTier(t, servers, slow), openTier(t, servers, slow)
	for round := range 100 {
		k := key(fmt.Sprintf("ended%d", round))
		a.mustSave(t, k, rec("1.1", "node1", "x"))
		var all sync.WaitGroup
		all.Go(func() {
			if err := a.End(t.Context(), k, time.Minute); err != nil {
				t.Error(err)
			}
		})
		all.Go(func() {
			for c := uint64(2); c < 6; c++ {
				err := a.Save(t.Context(), k, Record{Version: Version{1, c}, Owner: "node1", State: []byte("x")})
				if err != nil && !errors.Is(err, ErrEnded) && !errors.Is(err, ErrFenced) {
					t.Error(err)
				}
			}
		})
		all.Go(func() {
			if _, err := b.Claim(t.Context(), k, "node2"); err != nil && !errors.Is(err, ErrEnded) {
				t.Error(err)
			}
		})
		all.Go(func() {
			if err := b.Touch(t.Context(), k); err != nil && !errors.Is(err, ErrEnded) {
				t.Error(err)
			}
		})
		all.Wait()
		a.wantLookup(t, k, ErrEnded)
		b.wantLookup(t, k, ErrEnded)
	}
}
