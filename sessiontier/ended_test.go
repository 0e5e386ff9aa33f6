package sessiontier

import (
	"errors"
	"testing"
	"time"
)

// TestEndsOutliveEveryProxy: a node is cut off when a session ends, and every proxy is restarted before it returns. Until it is healed the newest of all
// nodes wins; then the tombstone is there too, and the session stays ended when nothing else is left. With one copy its only copy is on that node.
func TestEndsOutliveEveryProxy(t *testing.T) {
	for name, copies := range map[string]int{"two copies": 2, "one copy": 1} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			servers := startBehindDoors(t, 2)
			with := func(c *Config) { c.Copies = copies }
			p := openTier(t, servers, with)
			k := key("ended")
			r := rec("1.1", "node1", "a")
			r.TTL = 0 // no end of its own
			p.mustSave(t, k, r)
			away := int(p.rank(k.storeKey())[0])
			servers[away].cutOff()
			p.waitNode(t, away, false)
			if err := p.End(t.Context(), k, time.Hour); err != nil {
				t.Fatal(err)
			}
			p.Close() // with what it remembered

			fresh := openHealing(t, servers, with)
			before := fresh.heals(away)
			fresh.wantLookup(t, k, ErrEnded)
			servers[away].rejoin()
			fresh.wantLookup(t, k, ErrEnded)
			fresh.waitHealed(t, away, before)
			fresh.Close()
			servers[1-away].cutOff()
			last := openTier(t, servers, with)
			last.wantLookup(t, k, ErrEnded)
			last.wantSave(t, k, rec("1.2", "node1", "late"), ErrEnded)
		})
	}
}

// TestEndReachesACopyOutOfPlace: the session's copy is on a node that only stood in for another, and is cut off when the session ends; every proxy is restarted before
// it returns. Healing puts the tombstone there too, though no copies belong there any more.
func TestEndReachesACopyOutOfPlace(t *testing.T) {
	t.Parallel()
	servers := startBehindDoors(t, 2)
	with := func(c *Config) { c.Copies = 1 }
	p := openTier(t, servers, with)
	k := key("ended")
	home := int(p.rank(k.storeKey())[0])
	standIn := 1 - home
	servers[home].cutOff()
	p.waitNode(t, home, false)
	r := rec("1.1", "node1", "a")
	r.TTL = 0 // no end of its own
	p.mustSave(t, k, r)
	servers[home].rejoin()
	p.waitNode(t, home, true)
	servers[standIn].cutOff()
	p.waitNode(t, standIn, false)
	if err := p.End(t.Context(), k, time.Hour); err != nil {
		t.Fatal(err)
	}
	p.Close() // with what it remembered

	fresh := openHealing(t, servers, with)
	before := fresh.heals(standIn)
	servers[standIn].rejoin()
	fresh.wantLookup(t, k, ErrEnded)
	fresh.waitHealed(t, standIn, before)
	fresh.Close()
	servers[home].cutOff()
	openTier(t, servers, with).wantLookup(t, k, ErrEnded)
}

// TestEndOfASessionThatNobodySees: its only copy is on a node that is cut off, and the proxy that ends it never knew when it began. The end wins all the same when the
// node returns.
func TestEndOfASessionThatNobodySees(t *testing.T) {
	t.Parallel()
	servers := startBehindDoors(t, 2)
	with := func(c *Config) { c.Copies = 1 }
	p := openTier(t, servers, with)
	k := key("ended")
	p.mustSave(t, k, rec("1.1", "node1", "a"))
	away := int(p.rank(k.storeKey())[0])
	p.Close()
	servers[away].cutOff()
	ender := openTier(t, servers, with)
	ender.waitNode(t, away, false)
	if err := ender.End(t.Context(), k, time.Hour); err != nil {
		t.Fatal(err)
	}
	ender.Close() // with what it remembered
	fresh := openTier(t, servers, with)
	servers[away].rejoin()
	fresh.waitNode(t, away, true)
	fresh.wantLookup(t, k, ErrEnded)
}

// TestEndForgottenByAll: no node took the tombstone, and no proxy is left that remembers it: the session is back.
func TestEndForgottenByAll(t *testing.T) {
	t.Parallel()
	servers := startBehindDoors(t, 1)
	p := openTier(t, servers, nil)
	k := key("ended")
	p.mustSave(t, k, rec("1.1", "node1", "a"))
	servers[0].cutOff()
	p.waitNode(t, 0, false)
	if err := p.End(t.Context(), k, time.Minute); !errors.Is(err, ErrUnavailable) {
		t.Fatalf("End: %v, want %v", err, ErrUnavailable)
	}
	p.Close()
	servers[0].rejoin()
	openTier(t, servers, nil).wantRecord(t, k, "1.1", "node1", "a")
}
