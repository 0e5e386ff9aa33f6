package sessiontier

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"
)

// countingWaiter counts what it is called for.
type countingWaiter struct {
	rung                 chan struct{}
	woken                func() // called by Wake, before it ends the Wait
	waits, wakes, blocks atomic.Int32
}

func newCountingWaiter() *countingWaiter {
	return &countingWaiter{rung: make(chan struct{}, 1), woken: func() {}}
}

func (w *countingWaiter) Wait() {
	w.waits.Add(1)
	<-w.rung
}

func (w *countingWaiter) Wake() {
	w.wakes.Add(1)
	w.woken()
	w.rung <- struct{}{}
}

func (w *countingWaiter) Block() { w.blocks.Add(1) }

// want compares the calls since the last look: at most so many waits, since all may be there before anybody waits, and a wake for each. It returns how
// many there were.
func (w *countingWaiter) want(t *testing.T, most int32, blocks bool) (waits int32) {
	t.Helper()
	waits, wakes, gotBlocks := w.waits.Swap(0), w.wakes.Swap(0), w.blocks.Swap(0)
	if waits > most || wakes != waits || gotBlocks > 0 != blocks {
		t.Errorf("%d waits, %d wakes, %d blocks; wanted at most %d, as many, any: %v", waits, wakes, gotBlocks, most, blocks)
	}
	return waits
}

func (w *countingWaiter) save(version string) Record {
	r := rec(version, "node1", "state of "+version)
	r.Waiter = w
	return r
}

// The short way of a save waits by its Waiter, once for all copies, and blocks nobody; any other is announced.
func TestSaveByWaiter(t *testing.T) {
	servers := startServers(t, 3)
	p := openTier(t, servers, nil)
	k, w := key("WAITED"), newCountingWaiter()
	p.mustSave(t, k, w.save("1.1"))
	w.want(t, 0, true) // nothing is known of it yet: it is looked for
	p.mustSave(t, k, w.save("1.2"))
	waits := w.want(t, 1, false)
	p.wantRecord(t, k, "1.2", "node1", "state of 1.2")

	another := openTier(t, servers, nil)
	another.mustClaim(t, k, "node2", "2.0")
	p.wantSave(t, k, w.save("1.3"), ErrFenced)
	w.want(t, 1, true) // the short way found that somebody wrote in between
	p.wantRecord(t, k, "2.0", "node2", "state of 1.2")

	k = key("OFTEN")
	p.mustSave(t, k, w.save("1.1"))
	w.want(t, 0, true)
	for n := 2; waits == 0 && n < 1000; n++ { // nearly always the first one above has waited
		p.mustSave(t, k, w.save(fmt.Sprintf("1.%d", n)))
		waits = w.want(t, 1, false)
	}
	if waits == 0 {
		t.Error("no save has waited by its Waiter")
	}
}

// A node that is gone makes the save look for another one, as without a Waiter.
func TestSaveByWaiterWithoutANode(t *testing.T) {
	servers := startServers(t, 2)
	p := openTier(t, servers, func(c *Config) { c.Retry = time.Hour }) // nobody but the save finds out
	k, w := key("WAITED"), newCountingWaiter()
	p.mustSave(t, k, w.save("1.1"))
	w.want(t, 0, true)
	servers[1].kill()
	err := p.Save(t.Context(), k, w.save("1.2"))
	var incomplete *IncompleteError
	if !errors.As(err, &incomplete) || incomplete.Stored != 1 || incomplete.Want != 2 {
		t.Fatalf("the save ended with %v, wanted one copy of two", err)
	}
	w.want(t, 1, true)
	p.wantRecord(t, k, "1.2", "node1", "state of 1.2")
}

// A node that does not answer is not waited for any longer than there is time, and its late answer wakes nobody.
func TestSaveByWaiterInTime(t *testing.T) {
	servers := startServers(t, 2)
	p := openTier(t, servers, func(c *Config) { c.Timeout = time.Hour })
	k, w := key("WAITED"), newCountingWaiter()
	p.mustSave(t, k, w.save("1.1"))
	w.want(t, 0, true)
	servers[1].pause()
	ctx, cancel := context.WithCancel(t.Context())
	saved := make(chan error, 1)
	go func() { saved <- p.Save(ctx, k, w.save("1.2")) }()
	eventually(t, "the save waits", func() bool { return w.waits.Load() == 1 })
	cancel()
	if err := <-saved; !errors.Is(err, ErrIncomplete) {
		t.Errorf("the save ended with %v, wanted %v", err, ErrIncomplete)
	}
	w.want(t, 1, true)
	servers[1].resume()
	p.Close() // which waits for the late answer
	w.want(t, 0, false)
}

// Wake may go on with anything: who calls it holds no lock, and nothing that closing the tier waits for.
func TestWakeMayCloseTheTier(t *testing.T) {
	servers := startServers(t, 2)
	p := openTier(t, servers, nil)
	k, w := key("WAITED"), newCountingWaiter()
	p.mustSave(t, k, w.save("1.1"))
	w.woken = func() {
		p.wantRecord(t, k, "1.2", "node1", "state of 1.2")
		p.Close()
	}
	p.mustSave(t, k, w.save("1.2"))
	openTier(t, servers, nil).wantRecord(t, k, "1.2", "node1", "state of 1.2")
}
