package sessiontier

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"rehydra/e2e/harness"
)

// lateClaim is a claim whose first node stands still when it is written there, and stores it when nobody waits any more. Meanwhile the owner saves
// through a proxy for which that node is down.
type lateClaim struct {
	k       Key
	order   []*memcachedServer // in rank
	claimer proxy
	done    chan claimed
}

type claimed struct {
	Record
	err error
}

// startLateClaim lets one of the nodes in rank stand still as the claim is written. It returns when the owner's save is stored and the claim is under way; also is called before. The first in rank is the first node too, so that
// of two copies of one version its own is found first.
func startLateClaim(t *testing.T, still int, also func(order []*memcachedServer)) *lateClaim {
	t.Helper()
	servers := startBehindDoors(t, 3)
	l := &lateClaim{done: make(chan claimed, 1)}
	var armed sync.Once
	ready, reached, goOn := make(chan bool), make(chan bool), make(chan bool)
	l.claimer = late(t, servers, func(c *Config) {
		c.Now = func() time.Time {
			select {
			case <-ready: // what is now looked at is about to be written
				armed.Do(func() { close(reached); <-goOn })
			default:
			}
			return time.Now()
		}
	})
	for i := 0; ; i++ {
		l.k = key(fmt.Sprint("late", i))
		if l.claimer.rank(l.k.storeKey())[0] == 0 {
			break
		}
	}
	l.order = l.claimer.inRank(l.k, servers)
	l.claimer.mustSave(t, l.k, rec("1.1", "node1", "old"))
	close(ready)
	ctx, cut := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cut)
	go func() {
		r, err := l.claimer.Claim(ctx, l.k, "node2")
		l.done <- claimed{r, err}
	}()
	<-reached
	l.order[still].door.hold()
	l.saveWithout(t, servers)
	also(l.order)
	close(goOn)
	return l
}

// saveWithout lets the owner save through a proxy that cannot reach the first node.
func (l *lateClaim) saveWithout(t *testing.T, servers []*memcachedServer) {
	t.Helper()
	owner := openTier(t, servers, func(c *Config) {
		for i, s := range servers {
			c.Nodes[i].Address = s.own()
		}
		c.Nodes[0].Address = harness.FreeAddress(t)
	})
	owner.waitNode(t, 0, false)
	owner.mustSave(t, l.k, rec("1.2", "node1", "new"))
}

// land lets the first node go on, and waits until it has stored what it was sent first.
func (l *lateClaim) land(t *testing.T) {
	t.Helper()
	l.order[0].door.let()
	c := l.order[0].raw(t)
	eventually(t, "the late claim is stored", func() bool {
		item, err := c.Get(l.k.storeKey())
		if err != nil {
			t.Fatal(err)
		}
		env, err := l.claimer.codec.decode(item.Value, l.k, l.k.storeKey())
		return err == nil && env.version == Version{Generation: 2}
	})
}

// TestLateClaimIsOlder: the claim goes on without the node, from what the owner has saved. What that node stores in the end has another version, and does not win.
func TestLateClaimIsOlder(t *testing.T) {
	t.Parallel()
	l := startLateClaim(t, 0, func([]*memcachedServer) {})
	l.wantClaimed(t)
	l.land(t)
	if r, err := openTier(t, l.order, nil).Lookup(ctxFor(t, 30*time.Second), l.k); err != nil || string(r.State) != "new" {
		t.Errorf("version %s, state %q, error %v; want what was saved last", r.Version, r.State, err)
	}
}

func (l *lateClaim) wantClaimed(t *testing.T) {
	t.Helper()
	if r := <-l.done; r.err != nil || string(r.State) != "new" {
		t.Errorf("the claim got version %s, state %q, error %v; want what was saved last", r.Version, r.State, r.err)
	}
}

// TestLateClaimIsNoBase: the claim meets what it wrote itself, and does not take that for the newest.
func TestLateClaimIsNoBase(t *testing.T) {
	t.Parallel()
	l := startLateClaim(t, 0, func(order []*memcachedServer) {
		order[1].door.hold()
		order[2].door.hold()
	})
	rank := l.claimer.rank(l.k.storeKey())
	l.claimer.waitLate(t, int(rank[1]), int(rank[2]))
	l.land(t)
	l.order[1].door.let()
	l.order[2].door.let()
	l.wantClaimed(t)
}

// TestClaimReachesWhereSavesAre: the first node takes the claim, the second one stands still. What the owner saved meanwhile is there and on the third,
// which the claim must not leave out.
func TestClaimReachesWhereSavesAre(t *testing.T) {
	t.Parallel()
	l := startLateClaim(t, 1, func([]*memcachedServer) {})
	l.wantClaimed(t)
}
