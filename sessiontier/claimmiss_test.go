package sessiontier

import (
	"context"
	"sync"
	"testing"
	"time"

	"rehydra/e2e/harness"
)

// stepper is a clock that does something at moments of a claim: a claim reads the clock when it has looked and is about to write.
type stepper struct {
	mu    sync.Mutex
	steps []func() (done bool)
}

func (s *stepper) now() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.steps) > 0 && s.steps[0]() {
		s.steps = s.steps[1:]
	}
	return time.Now()
}

// then sets what is to be done, each step when the one before has said that it is done.
func (s *stepper) then(steps ...func() (done bool)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.steps = steps
}

// openWithout opens a tier that reaches the servers past their doors, and one of them not at all.
func openWithout(t *testing.T, servers []*memcachedServer, without int) proxy {
	t.Helper()
	p := openTier(t, servers, func(c *Config) {
		for i, s := range servers {
			c.Nodes[i].Address = s.own()
		}
		c.Nodes[without].Address = harness.FreeAddress(t)
	})
	p.waitNode(t, without, false)
	return p
}

// TestClaimMissesNoSaveOnLateNodes: the first node takes the claim. The second one stands still when it is written there, and the third one, which is taken
// in its place, when it has answered the look. A save on those two is not missed.
func TestClaimMissesNoSaveOnLateNodes(t *testing.T) {
	t.Parallel()
	servers := startBehindDoors(t, 3)
	clock := &stepper{}
	claimer := late(t, servers, func(c *Config) { c.Now = clock.now })
	k := key("missed")
	order, nodes := claimer.inRank(k, servers), claimer.rank(k.storeKey())
	second, third := int(nodes[1]), int(nodes[2])
	claimer.mustSave(t, k, rec("1.1", "node1", "old"))
	owner := openWithout(t, servers, int(nodes[0]))

	failed := func(i int) bool { return claimer.Stats().Nodes[i].Errors > 0 }
	clock.then(
		func() bool { order[1].door.hold(); return true },
		func() bool {
			if !failed(second) {
				return false
			}
			order[2].door.hold()
			if err := owner.Save(context.Background(), k, rec("1.2", "node1", "new")); err != nil {
				t.Error(err)
			}
			return true
		})
	done := make(chan claimed, 1)
	go func() {
		r, err := claimer.Claim(ctxFor(t, time.Minute), k, "node2")
		done <- claimed{r, err}
	}()
	claimer.waitLate(t, second, third)
	order[1].door.let()
	order[2].door.let()
	if r := <-done; r.err != nil || string(r.State) != "new" {
		t.Errorf("the claim got version %s, state %q, error %v; want what was saved last", r.Version, r.State, r.err)
	}
}
