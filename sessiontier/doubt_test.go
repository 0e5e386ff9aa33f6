package sessiontier

import (
	"context"
	"errors"
	"testing"
	"time"
)

// late opens a tier whose exchanges time out soon, for tests that keep back what a server is asked.
func late(t *testing.T, servers []*memcachedServer, change func(*Config)) proxy {
	return openTier(t, servers, func(c *Config) {
		c.Timeout, c.Retry = 2*time.Second, time.Hour
		if change != nil {
			change(c)
		}
	})
}

// inRank returns the servers in the order in which they are used for k.
func (p proxy) inRank(k Key, servers []*memcachedServer) []*memcachedServer {
	ordered := make([]*memcachedServer, 0, len(servers))
	for _, i := range p.rank(k.storeKey()) {
		ordered = append(ordered, servers[i])
	}
	return ordered
}

// waitLate waits until an exchange with each of the servers has timed out.
func (p proxy) waitLate(t *testing.T, nodes ...int) {
	t.Helper()
	eventually(t, "exchanges timed out", func() bool {
		for _, i := range nodes {
			if p.Stats().Nodes[i].Errors == 0 {
				return false
			}
		}
		return true
	})
}

// TestOldCopyAmongLateNodes: a node that was out kept an older copy, and those that have the newest are late for once, as all are when this process
// stood still. What the one says must not be taken for the newest.
func TestOldCopyAmongLateNodes(t *testing.T) {
	t.Parallel()
	for name, ask := range map[string]func(context.Context, proxy, Key) (Record, error){
		"look-up": func(ctx context.Context, p proxy, k Key) (Record, error) { return p.Lookup(ctx, k) },
		"claim":   func(ctx context.Context, p proxy, k Key) (Record, error) { return p.Claim(ctx, k, "node2") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			servers := startBehindDoors(t, 3)
			k := key("doubtful")
			writer := late(t, servers, func(c *Config) { c.Retry = 20 * time.Millisecond })
			order := writer.inRank(k, servers)
			first := int(writer.rank(k.storeKey())[0])
			writer.mustSave(t, k, rec("1.1", "node1", "old"))
			order[0].cutOff()
			writer.waitNode(t, first, false)
			writer.mustSave(t, k, rec("1.2", "node1", "new"))
			writer.Close()
			order[0].rejoin()

			p := late(t, servers, nil)
			order[1].door.hold()
			order[2].door.hold()
			type answer struct {
				rec Record
				err error
			}
			done := make(chan answer, 1)
			go func() {
				r, err := ask(ctxFor(t, time.Minute), p, k)
				done <- answer{r, err}
			}()
			p.waitLate(t, int(p.rank(k.storeKey())[1]), int(p.rank(k.storeKey())[2]))
			order[1].door.let()
			order[2].door.let()
			if a := <-done; a.err != nil || string(a.rec.State) != "new" {
				t.Errorf("version %s, state %q, error %v; want the state that was saved last", a.rec.Version, a.rec.State, a.err)
			}
		})
	}
}

// TestOldCopyOnlyWhenOthersAreDown: a look-up whose time is over while those that may have a newer version are thought to be alive says so. Where
// they are known to be down what there is must do.
func TestOldCopyOnlyWhenOthersAreDown(t *testing.T) {
	t.Parallel()
	servers := startBehindDoors(t, 3)
	k := key("doubtful")
	p := late(t, servers, func(c *Config) { c.Timeout = time.Second })
	p.mustSave(t, k, rec("1.1", "node1", "a"))
	order := p.inRank(k, servers)
	order[1].door.hold()
	order[2].door.hold()
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	if r, err := p.Lookup(ctx, k); !errors.Is(err, ErrUnavailable) {
		t.Errorf("version %s, error %v; want %v", r.Version, err, ErrUnavailable)
	}
	if r, err := p.Lookup(ctxFor(t, time.Minute), k); err != nil || string(r.State) != "a" { // as soon as they are down
		t.Errorf("state %q, error %v; want a and none", r.State, err)
	}
}

// TestNoCopyWhileOneIsLate: the other copy went with a restart, and the node that has the only one is late for once.
func TestNoCopyWhileOneIsLate(t *testing.T) {
	t.Parallel()
	servers := startBehindDoors(t, 2)
	k := key("only")
	writer := late(t, servers, nil)
	writer.mustSave(t, k, rec("1.1", "node1", "a"))
	writer.Close()
	servers[0].kill()
	servers[0].start()
	p := late(t, servers, nil)
	servers[1].door.hold()
	done := make(chan error, 1)
	go func() {
		_, err := p.Lookup(ctxFor(t, time.Minute), k)
		done <- err
	}()
	p.waitLate(t, 1)
	servers[1].door.let()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// TestNoCopyWhenTimeIsOver: as before, and the caller's time is over before that node has answered.
func TestNoCopyWhenTimeIsOver(t *testing.T) {
	t.Parallel()
	servers := startBehindDoors(t, 2)
	p := late(t, servers, nil)
	servers[1].door.hold()
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	if _, err := p.Lookup(ctx, key("only")); !errors.Is(err, ErrUnavailable) {
		t.Errorf("error %v, want %v", err, ErrUnavailable)
	}
}

// TestUnstoredSaveKnowsNoBeginning: a process stands still while it stores the first version of a session once more, which it has not stored itself. What it could not
// see, and could not store, is no session that began just now, and newer than what others have done since.
func TestUnstoredSaveKnowsNoBeginning(t *testing.T) {
	t.Parallel()
	servers := startBehindDoors(t, 2)
	k := key("first")
	p := late(t, servers, nil)
	other := openTier(t, servers, func(c *Config) {
		for i, s := range servers {
			c.Nodes[i].Address = s.own()
		}
	})
	other.mustSave(t, k, rec("1.1", "node1", "a"))
	for _, s := range servers {
		s.door.hold()
	}
	again := rec("1.1", "node1", "a")
	again.Continued = true
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	if err := p.Save(ctx, k, again); !errors.Is(err, ErrUnavailable) {
		t.Fatalf("error %v, want %v", err, ErrUnavailable)
	}
	for _, s := range servers {
		s.door.let()
	}
	other.mustClaim(t, k, "node2", "2.0")
	other.mustSave(t, k, rec("2.1", "node2", "b"))
	p.wantSave(t, k, rec("1.2", "node1", "late"), ErrFenced)
	other.wantRecord(t, k, "2.1", "node2", "b")
}

// TestLateSaveDoesNotStandIn: a process stands still while it saves, and another one claims the session meanwhile. When it goes on, its
// exchanges seem to have timed out: it must not take that for a reason to store what it has elsewhere.
func TestLateSaveDoesNotStandIn(t *testing.T) {
	t.Parallel()
	for name, copies := range map[string]int{"one copy": 1, "two copies": 2} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			servers := startBehindDoors(t, 2*copies)
			k := key("fenced")
			p := late(t, servers, func(c *Config) { c.Copies = copies })
			other := openTier(t, servers, func(c *Config) {
				c.Copies = copies
				for i, s := range servers {
					c.Nodes[i].Address = s.own()
				}
			})
			p.mustSave(t, k, rec("1.1", "node1", "a"))
			order := p.inRank(k, servers)
			held := p.rank(k.storeKey())[:copies]
			for _, s := range order[:copies] {
				s.door.hold()
			}
			done := make(chan error, 1)
			go func() { done <- p.Save(ctxFor(t, time.Minute), k, rec("1.2", "node1", "late")) }()
			other.mustClaim(t, k, "node2", "2.0")
			var late []int
			for _, i := range held {
				late = append(late, int(i))
			}
			p.waitLate(t, late...)
			for _, s := range order[:copies] {
				s.door.let()
			}
			if err := <-done; !errors.Is(err, ErrFenced) {
				t.Errorf("error %v, want %v", err, ErrFenced)
			}
			other.wantRecord(t, k, "2.0", "node2", "a")
		})
	}
}
