package eventloop

import (
	"testing"
	"time"
)

// TestBell: a worker that waits for a Bell leaves its loop to others, goes on once for each ring, whenever it comes, and may wait for its connection again.
func TestBell(t *testing.T) {
	g := newGroup(t, 1)
	c, far := pair(t, g)
	other, otherFar := pair(t, g)
	rest(t, other, &echo{c: other})
	const rounds = 2000
	var bell Bell
	calls, over := make(chan struct{}, 1), make(chan struct{})
	rest(t, c, task(func(w *Worker) {
		defer close(over)
		for range rounds {
			c.Use(w)
			if _, err := c.Read(make([]byte, 1)); err != nil {
				t.Error(err)
				return
			}
			calls <- struct{}{}
			bell.Wait(w)
			if _, err := c.Write([]byte("!")); err != nil {
				t.Error(err)
				return
			}
		}
	}))
	for i := range rounds {
		say(t, far, "x")
		<-calls // the worker waits, or is about to
		if i%100 == 0 {
			say(t, otherFar, "hello")
			hear(t, otherFar, "hello")
		}
		if i%3 == 0 {
			go bell.Ring()
		} else {
			bell.Ring()
		}
		hear(t, far, "!")
	}
	within(t, "the job is not over", over)
}

// TestRingerRunsWorker: what waited goes on in the goroutine that rings, and no ring is lost or kept twice.
func TestRingerRunsWorker(t *testing.T) {
	g := newGroup(t, 1)
	var bell Bell
	bell.Ring()
	bell.Ring() // before anybody waits both are one
	steps := make(chan int, 3)
	begun := make(chan struct{})
	g.Go(func(w *Worker) {
		bell.Wait(w)
		steps <- 1
		close(begun)
		bell.Wait(w)
		steps <- 2
	})
	within(t, "the first ring is lost", begun)
	if <-steps != 1 {
		t.Fatal("out of order")
	}
	for end := time.Now().Add(patience); bell.side.state.Load() != sideWaiting; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it does not wait again")
		}
	}
	select {
	case <-steps:
		t.Fatal("two rings before anybody waited were two")
	default:
	}
	bell.Ring()
	select {
	case <-steps: // it went on before Ring returned
	default:
		t.Error("the ringer did not run it")
	}
}

// TestLetOthers: the loop is told, and forgets it once it has yielded.
func TestLetOthers(t *testing.T) {
	g := newGroup(t, 1)
	c, far := pair(t, g)
	told := make(chan bool, 1)
	rest(t, c, task(func(w *Worker) {
		w.LetOthers()
		told <- w.loop.yield.Load()
	}))
	say(t, far, "x")
	if !<-told {
		t.Error("the loop is not told")
	}
	for end := time.Now().Add(patience); c.loop.yield.Load(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it does not yield")
		}
	}
}
