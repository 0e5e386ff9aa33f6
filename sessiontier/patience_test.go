package sessiontier

import (
	"context"
	"errors"
	"testing"
	"time"
)

// TestLateNodeIsAskedAgain: a node that did not answer in time, and is not down, is asked again while there is time: nobody is told that the store
// does not answer since a machine was busy for a moment.
func TestLateNodeIsAskedAgain(t *testing.T) {
	for name, ask := range map[string]func(ctx context.Context, p proxy, k Key) (Record, error){
		"look-up": func(ctx context.Context, p proxy, k Key) (Record, error) { return p.Lookup(ctx, k) },
		"claim":   func(ctx context.Context, p proxy, k Key) (Record, error) { return p.Claim(ctx, k, "node2") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			servers := startBehindDoors(t, 1)
			p := openTier(t, servers, func(c *Config) { c.Timeout, c.Retry = 2*time.Second, time.Hour })
			k := key("late")
			p.mustSave(t, k, rec("1.1", "node1", "a"))
			servers[0].door.hold()
			type answer struct {
				rec Record
				err error
			}
			done := make(chan answer, 1)
			go func() {
				r, err := ask(ctxFor(t, time.Minute), p, k)
				done <- answer{r, err}
			}()
			eventually(t, "an exchange timed out", func() bool { return p.Stats().Nodes[0].Errors > 0 })
			servers[0].door.let()
			if a := <-done; a.err != nil || string(a.rec.State) != "a" {
				t.Errorf("state %q, error %v, want a and none", a.rec.State, a.err)
			}
		})
	}
}

// TestPatienceEnds: with its time a caller's patience ends, and where a node is known to be down there is none.
func TestPatienceEnds(t *testing.T) {
	t.Parallel()
	servers := startBehindDoors(t, 1)
	p := openTier(t, servers, func(c *Config) { c.Timeout, c.Retry = 100*time.Millisecond, time.Hour })
	servers[0].door.hold()
	eventually(t, "the node is down after a few time-outs", func() bool {
		p.wantLookup(t, key("any"), ErrUnavailable)
		return !p.Stats().Nodes[0].Up
	})
	asked := p.Stats().Nodes[0].Errors
	if _, err := p.Claim(t.Context(), key("any"), "node2"); !errors.Is(err, ErrUnavailable) {
		t.Errorf("Claim: %v, want %v", err, ErrUnavailable)
	}
	p.wantLookup(t, key("other"), ErrUnavailable)
	if now := p.Stats().Nodes[0].Errors; now != asked {
		t.Errorf("a node that is down was asked %d times more", now-asked)
	}
}
