package eventloop

import (
	"errors"
	"syscall"
	"testing"
	"time"
)

// parking returns a group of one loop, which nobody leads, and the end of its watch's parking.
func parking(t *testing.T) (g *Group, awake <-chan struct{}) {
	t.Helper()
	g = &Group{unpark: make(chan struct{}, 1)}
	g.loops = []*loop{{group: g}}
	over := make(chan struct{})
	go func() {
		defer close(over)
		tick := time.NewTicker(stuck)
		defer tick.Stop()
		g.park(tick, make([]uint64, 1))
	}()
	return g, over
}

// TestParkingBesideClose: watch is about to park when the group is closed, and everybody else has gone.
func TestParkingBesideClose(t *testing.T) {
	g := &Group{unpark: make(chan struct{}, 1)}
	g.closed.Store(true)
	over := make(chan struct{})
	go func() {
		defer close(over)
		tick := time.NewTicker(stuck)
		defer tick.Stop()
		g.park(tick, nil)
	}()
	select {
	case <-over:
	case <-time.After(patience):
		g.unpark <- struct{}{} // for the other tests
		t.Error("it sleeps although the group is closed")
	}
}

// TestParkingBesideWorker: watch parks between a loop's wait and the worker that it runs then. That worker may be stuck, so watch is to look again.
func TestParkingBesideWorker(t *testing.T) {
	g, awake := parking(t)
	defer g.spare.close()
	soon(t, "it does not park", g.parked.Load)
	time.Sleep(10 * stuck) // for it to have looked, as a rule; where it has not it sees the worker
	g.loops[0].goOn(waiter{job: task(func(*Worker) {})})
	select {
	case <-awake:
	case <-time.After(patience):
		g.unpark <- struct{}{} // for the other tests
		t.Error("nobody looks after a worker that runs")
	}
}

// TestIdleGroupParks: a group for which there is nothing to do looks for nothing, and has no workers; a worker that is stuck then is found all the same.
func TestIdleGroupParks(t *testing.T) {
	g := newGroup(t, 1)
	c, far := pair(t, g)
	other, otherFar := pair(t, g)
	rest(t, other, &echo{c: other})
	for range 2 {
		soon(t, "it does not park", g.parked.Load)
		soon(t, "workers are kept", func() bool { return spares(g) == 0 })
		begun, end, over := make(chan struct{}), make(chan struct{}), make(chan struct{})
		rest(t, c, task(func(w *Worker) {
			c.Use(w)
			if _, err := c.Read(make([]byte, 1)); err != nil {
				t.Error(err)
			}
			close(begun)
			<-end
			close(over)
		}))
		say(t, far, "x")
		within(t, "the job is not begun", begun)
		say(t, otherFar, "hello")
		hear(t, otherFar, "hello")
		close(end)
		within(t, "the job does not end", over)
	}
}

// TestParkedGroupKeepsNoWorker: a job that no loop runs ends while nobody looks, as that of a request whose client has gone does.
func TestParkedGroupKeepsNoWorker(t *testing.T) {
	g := newGroup(t, 1)
	for range 2 {
		soon(t, "it does not park", g.parked.Load)
		over := make(chan struct{})
		g.Go(func(*Worker) { close(over) })
		within(t, "the job does not end", over)
		soon(t, "it does not park again", g.parked.Load)
		soon(t, "workers are kept", func() bool { return spares(g) == 0 })
	}
}

// TestLastTrimTakesAll: a worker that came since the last trim, before watch parked, is not kept either.
func TestLastTrimTakesAll(t *testing.T) {
	g := &Group{unpark: make(chan struct{}, 1)}
	g.spare.put(newWorker(g))
	over := make(chan struct{})
	go func() {
		defer close(over)
		tick := time.NewTicker(stuck)
		defer tick.Stop()
		g.park(tick, nil)
	}()
	soon(t, "it does not park", g.parked.Load)
	soon(t, "a worker is kept", func() bool { return spares(g) == 0 })
	g.unpark <- struct{}{}
	<-over
}

// rest lets a job rest on a connection that is silent.
func rest(t testing.TB, c *Conn, j Job) {
	t.Helper()
	soon(t, "it does not rest", func() bool {
		_, err := c.TryRead(make([]byte, 1)) // there may be something that was told before
		return errors.Is(err, syscall.EAGAIN) && c.Rest(j)
	})
}

// spares is how many workers a group keeps.
func spares(g *Group) int {
	g.spare.mu.Lock()
	defer g.spare.mu.Unlock()
	return len(g.spare.workers)
}

// TestCloseOfIdleGroup closes groups that park, or are about to.
func TestCloseOfIdleGroup(t *testing.T) {
	g, err := New(2)
	if err != nil {
		t.Fatal(err)
	}
	soon(t, "it does not park", g.parked.Load)
	over := make(chan struct{})
	go func() {
		defer close(over)
		g.Close()
		g.Close() // does nothing
	}()
	within(t, "it is not closed", over)
}

// TestWatchAfterClose: a closed group takes no connection.
func TestWatchAfterClose(t *testing.T) {
	g := newGroup(t, 1)
	c, far := unwatched(t, g)
	g.Close()
	if err := c.Watch(); err == nil {
		t.Error("watched by nobody")
	}
	if conn, err := g.Adopt(far); err == nil {
		t.Error("adopted by nobody")
		conn.Close()
	}
}
