package sessiontier

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"
)

// heldQueue is a queue with one worker that saves only when it is let.
func heldQueue(t *testing.T, limit int) (q *queue, started chan *queued, let chan struct{}) {
	q = newQueue(limit)
	started, let = make(chan *queued, 100), make(chan struct{})
	var worker sync.WaitGroup
	worker.Go(func() {
		q.work(func(n *queued) {
			started <- n
			<-let
			n.tell(nil)
		})
	})
	t.Cleanup(func() { q.close(); worker.Wait() })
	return q, started, let
}

func queuedOf(id, version string, done func(error)) *queued {
	n := &queued{key: key(id), storeKey: key(id).storeKey(), rec: rec(version, "node1", version), finished: make(chan struct{})}
	n.startsOver = n.rec.Version == firstVersion
	if done != nil {
		n.done = []func(error){done}
	}
	return n
}

func TestQueueKeepsTheNewestVersion(t *testing.T) {
	t.Parallel()
	q, started, let := heldQueue(t, 10)
	var told []string
	tell := func(what string) func(error) {
		return func(err error) { told = append(told, fmt.Sprint(what, " ", err)) }
	}
	q.add(queuedOf("a", "1.1", tell("a1.1")))
	if n := <-started; n.rec.Version.String() != "1.1" {
		t.Fatalf("started with %s", n.rec.Version)
	}
	for _, v := range []string{"1.3", "1.2", "1.5", "1.4"} { // while 1.1 is being saved
		q.add(queuedOf("a", v, tell("a"+v)))
	}
	q.add(queuedOf("b", "1.2", tell("b1.2")))
	q.add(queuedOf("b", "1.1", tell("b1.1"))) // late: yet 1.2 starts over
	if n := q.len(); n != 3 {
		t.Errorf("%d in the queue, want 3: a twice, b once", n)
	}
	for _, want := range []string{"1.2", "1.5"} { // b came to its turn first: a was being saved
		let <- struct{}{}
		n := <-started
		if n.rec.Version.String() != want || string(n.rec.State) != want {
			t.Errorf("saves %s, want %s", n.rec.Version, want)
		}
		if wantStart := want == "1.2"; n.startsOver != wantStart {
			t.Errorf("%s starts over: %t, want %t", want, n.startsOver, wantStart)
		}
	}
	let <- struct{}{}
	if err := q.drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	want := "[a1.1 <nil> b1.2 <nil> b1.1 <nil> a1.3 <nil> a1.2 <nil> a1.5 <nil> a1.4 <nil>]"
	if fmt.Sprint(told) != want {
		t.Errorf("told %v, want %v", told, want)
	}
}

func TestQueueIsBounded(t *testing.T) {
	t.Parallel()
	q, started, let := heldQueue(t, 2)
	q.add(queuedOf("a", "1.1", nil))
	<-started
	for i, id := range []string{"b", "c", "d", "b"} {
		if _, added := q.add(queuedOf(id, "1.2", nil)); added != (i != 2) {
			t.Errorf("session %s: added %t", id, added)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := q.drain(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("drain: %v, want %v", err, context.Canceled)
	}
	if dropped := q.close(); dropped != 2 {
		t.Errorf("close dropped %d, want 2", dropped)
	}
	close(let)
}

func TestQueueCancel(t *testing.T) {
	t.Parallel()
	q, started, let := heldQueue(t, 10)
	q.add(queuedOf("a", "1.1", nil))
	<-started
	told := make(chan error, 1)
	q.add(queuedOf("a", "1.2", func(err error) { told <- err }))
	cancelled := make(chan struct{})
	go func() { q.cancel(t.Context(), key("a").storeKey()); close(cancelled) }()
	if err := <-told; !errors.Is(err, ErrEnded) {
		t.Errorf("told %v, want %v", err, ErrEnded)
	}
	select {
	case <-cancelled:
		t.Error("cancel returned while a save runs")
	default:
	}
	let <- struct{}{}
	<-cancelled
	if err := q.drain(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestSaveAsync(t *testing.T) {
	t.Parallel()
	forEachKind(t, func(t *testing.T, open func(func(*Config)) proxy) {
		p := open(nil)
		const sessions, versions = 50, 20
		var told sync.WaitGroup
		told.Add(sessions * versions)
		state := make([]byte, 2)
		for v := 1; v <= versions; v++ {
			for s := range sessions {
				state[0], state[1] = byte(v), byte(s) // reused: SaveAsync must have its own
				p.SaveAsync(key(fmt.Sprint("s", s)), Record{Version: Version{1, uint64(v)}, Owner: "node1", State: state}, func(err error) {
					if err != nil {
						t.Error(err)
					}
					told.Done()
				})
			}
		}
		if err := p.Drain(ctxFor(t, patience)); err != nil {
			t.Fatal(err)
		}
		told.Wait()
		for s := range sessions {
			p.wantRecord(t, key(fmt.Sprint("s", s)), fmt.Sprint("1.", versions), "node1", string([]byte{versions, byte(s)}))
		}
		if n := p.Stats().Queued; n != 0 {
			t.Errorf("%d queued after a drain", n)
		}
	})
}

// TestSaveAsyncDropsAreCounted: more sessions than the queue holds, and nodes that do not answer.
func TestSaveAsyncDropsAreCounted(t *testing.T) {
	t.Parallel()
	servers := startServers(t, 1)
	p := openTier(t, servers, func(c *Config) { c.QueueLength, c.QueueWorkers = 5, 1 })
	results := make(chan error, 1000)
	for i := range 1000 {
		p.SaveAsync(key(fmt.Sprint("s", i)), rec("1.1", "node1", "a"), func(err error) { results <- err })
	}
	stored, dropped := uint64(0), uint64(0)
	for range 1000 {
		switch err := <-results; {
		case err == nil:
			stored++
		case errors.Is(err, ErrDropped):
			dropped++
		default:
			t.Error(err)
		}
	}
	if s := p.Stats(); dropped == 0 || s.Dropped != dropped || s.Saves != stored {
		t.Errorf("told of %d stored and %d dropped, counted %d and %d", stored, dropped, s.Saves, s.Dropped)
	}
}

// TestEndGoesBeforeQueuedSaves: a first version in the queue must not start over what ends now.
func TestEndGoesBeforeQueuedSaves(t *testing.T) {
	t.Parallel()
	servers := startServers(t, 2)
	p := openTier(t, servers, nil)
	for i := range 200 {
		k := key(fmt.Sprint("s", i))
		p.SaveAsync(k, rec("1.1", "node1", "a"), nil)
		if i%2 == 0 {
			p.SaveAsync(k, rec("1.2", "node1", "b"), nil)
		}
		if err := p.End(t.Context(), k, time.Minute); err != nil {
			t.Fatal(err)
		}
		p.wantLookup(t, k, ErrEnded)
	}
	if err := p.Drain(ctxFor(t, patience)); err != nil {
		t.Fatal(err)
	}
	for i := range 200 {
		p.wantLookup(t, key(fmt.Sprint("s", i)), ErrEnded)
	}
}

// TestQueuedNewerVersionStartsOver: the queue keeps only 1.2 of an id that starts over with 1.1.
func TestQueuedNewerVersionStartsOver(t *testing.T) {
	t.Parallel()
	p := openTier(t, startServers(t, 2), func(c *Config) { c.QueueWorkers = 1 })
	k := key("again")
	p.mustSave(t, k, rec("1.5", "node1", "old"))
	if err := p.End(t.Context(), k, time.Minute); err != nil {
		t.Fatal(err)
	}
	for i := range 20 { // keep the only worker busy
		p.SaveAsync(key(fmt.Sprint("other", i)), rec("1.1", "node1", "a"), nil)
	}
	p.SaveAsync(k, rec("1.1", "node1", "new"), nil)
	p.SaveAsync(k, rec("1.2", "node1", "newer"), nil)
	if err := p.Drain(ctxFor(t, patience)); err != nil {
		t.Fatal(err)
	}
	p.wantRecord(t, k, "1.2", "node1", "newer")
}
