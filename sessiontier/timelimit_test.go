package sessiontier

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Who waits is told when the time is over, unless it has said that it no longer waits.
func TestTimeLimitsEnd(t *testing.T) {
	var p Tier
	var told [6]atomic.Int32
	var limits [6]*timeLimit
	for i := range limits {
		ctx, end := p.Within(time.Hour)
		defer end()
		limits[i] = ctx.(*timeLimit)
		if !limits[i].onEnd(func() { told[i].Add(1) }) {
			t.Fatalf("limit %d is new, and takes nobody", i)
		}
		if limits[i].onEnd(func() {}) {
			t.Errorf("limit %d takes two at once", i)
		}
	}
	stopped := []int{0, 3, 5} // the first, one between others, the last
	for _, i := range stopped {
		limits[i].stop()
	}
	q := limits[0].of
	q.expire() // too early
	q.mu.Lock()
	for _, l := range limits[:4] {
		l.at = time.Now() // the hour is over
	}
	q.mu.Unlock()
	q.expire()
	eventually(t, "two are told", func() bool { return told[1].Load()+told[2].Load() >= 2 })
	limits[4].stop()
	for i := range told {
		want := int32(0)
		if i == 1 || i == 2 {
			want = 1
		}
		if got := told[i].Load(); got != want {
			t.Errorf("limit %d was told %d times, wanted %d", i, got, want)
		}
	}
	q.mu.Lock()
	if q.first != nil || q.last != nil {
		t.Error("limits that ended are still in the queue")
	}
	q.mu.Unlock()
	for range 2 { // the second comes when the timer has done its work
		ctx, end := p.Within(time.Millisecond)
		defer end()
		late := make(chan struct{})
		ctx.(*timeLimit).onEnd(func() { close(late) })
		<-late
		if !errors.Is(ctx.Err(), context.DeadlineExceeded) {
			t.Errorf("after its time the limit says %v", ctx.Err())
		}
	}
}

// A limit that is waited for late, or for the second time, ends in time although the timer was set for one that ends after it.
func TestTimeLimitsWaitedForLate(t *testing.T) {
	var p Tier
	first, endFirst := p.Within(time.Hour)
	defer endFirst()
	early := first.(*timeLimit)
	early.at = time.Now().Add(10 * time.Millisecond) // most of the hour has gone by
	second, endSecond := p.Within(time.Hour)
	defer endSecond()
	late := second.(*timeLimit)
	late.onEnd(func() { t.Error("the limit of an hour is over") })
	defer late.stop()
	for _, wait := range []string{"first", "second"} { // the second comes when the time is over
		told := make(chan struct{})
		early.onEnd(func() { close(told) })
		select {
		case <-told:
		case <-time.After(10 * time.Second):
			t.Fatalf("the %s wait is not told that the time is over", wait)
		}
	}
}

// A limit is told of once, or never if it was stopped in time, with many at once.
func TestTimeLimitsAtOnce(t *testing.T) {
	var p Tier
	var all sync.WaitGroup
	var lengths [8]time.Duration
	for i := range lengths {
		lengths[i] = time.Duration(i+1) * time.Millisecond
	}
	for i := range 64 {
		all.Go(func() {
			for n := range 50 {
				ctx, end := p.Within(lengths[(i+n)%len(lengths)])
				l, told := ctx.(*timeLimit), make(chan struct{})
				l.onEnd(func() { close(told) }) // panics when it is called twice
				if (i+n)%3 == 0 {
					<-told
				}
				l.stop()
				end()
			}
		})
	}
	all.Wait()
}

// A limit is a context like any other.
func TestTimeLimitIsAContext(t *testing.T) {
	var p Tier
	ctx, end := p.Within(time.Hour)
	if at, ok := ctx.Deadline(); !ok || time.Until(at) > time.Hour || ctx.Err() != nil {
		t.Errorf("a new limit ends at %v (%v), and says %v", at, ok, ctx.Err())
	}
	child, cancel := context.WithCancel(ctx)
	defer cancel()
	end()
	<-ctx.Done()
	<-child.Done()
	if !errors.Is(ctx.Err(), context.Canceled) || !errors.Is(child.Err(), context.Canceled) {
		t.Errorf("an ended limit says %v, its child %v", ctx.Err(), child.Err())
	}

	ctx, end = p.Within(time.Millisecond)
	<-ctx.Done()
	end()
	if !errors.Is(ctx.Err(), context.DeadlineExceeded) {
		t.Errorf("a limit that has passed says %v", ctx.Err())
	}
	ctx, end = p.Within(time.Hour)
	end()
	<-ctx.Done() // also where it is asked for afterwards
	if !errors.Is(ctx.Err(), context.Canceled) {
		t.Errorf("a limit that was ended says %v", ctx.Err())
	}
}

// Lengths that a configuration no longer has are not kept for ever.
func TestTimeLimitsOfManyLengths(t *testing.T) {
	var p Tier
	for i := range 10 * manyLengths {
		_, end := p.Within(time.Duration(i+1) * time.Hour)
		end()
	}
	if n := len(p.limits.queues); n > manyLengths {
		t.Errorf("%d queues are kept, wanted at most %d", n, manyLengths)
	}
}

// A save is waited for no longer than there is time, by a Waiter or a goroutine, and what it was to store is not overwritten while it may still be sent.
func TestSaveWithin(t *testing.T) {
	for name, by := range map[string]*countingWaiter{"by a Waiter": newCountingWaiter(), "by a goroutine": nil} {
		t.Run(name, func(t *testing.T) {
			servers := startServers(t, 2)
			p := openTier(t, servers, func(c *Config) { c.Timeout = time.Hour })
			k := key("WITHIN")
			p.mustSave(t, k, rec("1.1", "node1", "state of 1.1"))
			for range 64 { // until the pool is sure to be empty
				p.rooms.get()
			}
			servers[1].pause()
			ctx, end := p.Within(20 * time.Millisecond)
			defer end()
			r := rec("1.2", "node1", "state of 1.2")
			if by != nil {
				r.Waiter = by
			}
			if err := p.Save(ctx, k, r); !errors.Is(err, ErrIncomplete) {
				t.Errorf("the save ended with %v, wanted %v", err, ErrIncomplete)
			}
			if room := *p.rooms.get(); room != nil {
				t.Error("the copy that one node has not got yet was given back")
			}
			servers[1].resume()
			p.Close()
		})
	}
}
