package eventloop

import (
	"sync"
	"testing"
	"time"
)

// TestStuckWorker: while a worker waits for something else, whether it says so or not, the connections of its loop are served.
func TestStuckWorker(t *testing.T) {
	for name, wait := range map[string]func(w *Worker, c *Conn, until chan struct{}){
		"unsaid": func(_ *Worker, _ *Conn, until chan struct{}) { <-until },
		"said": func(w *Worker, _ *Conn, until chan struct{}) {
			w.Leave()
			w.Leave() // again: nothing
			<-until
		},
		"busy": func(_ *Worker, _ *Conn, until chan struct{}) {
			for !closed(until) { // nothing else
			}
		},
		"by channel for the connection": func(_ *Worker, c *Conn, until chan struct{}) {
			c.Use(nil)
			if _, err := c.Read(make([]byte, 1)); err != nil {
				return
			}
			<-until
		},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGroup(t, 1)
			c, far := pair(t, g)
			other, otherFar := pair(t, g)
			rest(t, other, &echo{c: other})
			begun, until, over := make(chan struct{}), make(chan struct{}), make(chan struct{})
			rest(t, c, task(func(w *Worker) {
				defer close(over)
				c.Use(w)
				if _, err := c.Read(make([]byte, 1)); err != nil {
					t.Error(err)
				}
				close(begun)
				wait(w, c, until)
				c.Use(w)
				for range 3 { // it is the loop's again, as others are
					if _, err := c.Read(make([]byte, 1)); err != nil {
						t.Error(err)
					}
					w.Leave()
				}
			}))
			say(t, far, "x")
			within(t, "the job is not begun", begun)
			for range 5 {
				say(t, otherFar, "hello")
				hear(t, otherFar, "hello")
			}
			say(t, far, "y") // for who reads by channel, or later
			close(until)
			for range 3 {
				say(t, far, "z")
			}
			within(t, "the job does not end", over)
		})
	}
}

// closed reports whether a channel that nothing is sent on is closed.
func closed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// TestLeaveOutsideLoop: a worker that no loop runs, or none at all, may say that it leaves.
func TestLeaveOutsideLoop(t *testing.T) {
	g := newGroup(t, 1)
	over := make(chan struct{})
	g.Go(func(w *Worker) {
		w.Leave()
		close(over)
	})
	within(t, "the job does not end", over)
	var none *Worker
	none.Leave()
	if turn := g.loops[0].turn.Load(); turn != 0 {
		t.Errorf("the loop has another leader at turn %d", turn)
	}
}

// TestGreedyConnection: a job that is never without work keeps nobody from being served on its loop.
func TestGreedyConnection(t *testing.T) {
	g := newGroup(t, 1)
	c, far := pair(t, g)
	other, otherFar := pair(t, g)
	rest(t, other, &echo{c: other})
	over := make(chan struct{})
	rest(t, c, task(func(w *Worker) {
		defer close(over)
		c.Use(w)
		drain(c)
	}))
	end := make(chan struct{})
	var flood sync.WaitGroup
	flood.Go(func() {
		for piece := make([]byte, 64<<10); ; {
			select {
			case <-end:
				_ = far.CloseWrite()
				return
			default:
			}
			if _, err := far.Write(piece); err != nil {
				t.Error(err)
				return
			}
		}
	})
	for range 50 {
		say(t, otherFar, "hello")
		hear(t, otherFar, "hello")
	}
	close(end)
	flood.Wait()
	within(t, "the job does not end", over)
}

// TestOneLeader: however often workers leave, get stuck and come back, each loop is led by one goroutine: when all is over each turn is even, and
// the group can be closed.
func TestOneLeader(t *testing.T) {
	const rounds = 200
	g := newGroup(t, 2)
	var all sync.WaitGroup
	for i := range 20 {
		c, far := pair(t, g)
		all.Add(1)
		rest(t, c, task(func(w *Worker) {
			defer all.Done()
			c.Use(w)
			p := make([]byte, 1)
			for n := range rounds {
				if _, err := c.Read(p); err != nil {
					t.Error(err)
					return
				}
				switch {
				case n%3 == 0:
					w.Leave()
				case (n+i)%50 == 0:
					time.Sleep(3 * stuck)
				}
				if _, err := c.Write(p); err != nil {
					t.Error(err)
					return
				}
			}
		}))
		all.Go(func() {
			for n := range rounds {
				p := []byte{byte(n)}
				if _, err := far.Write(p); err != nil {
					t.Error(err)
					return
				}
				if _, err := far.Read(p); err != nil || p[0] != byte(n) {
					t.Errorf("%d came back for %d, %v", p[0], byte(n), err)
					return
				}
			}
		})
	}
	all.Wait()
	for _, l := range g.loops {
		soon(t, "a worker is run although there is none", func() bool { return l.turn.Load()%2 == 0 })
	}
}

// TestSpareWorkers: the workers that are kept are bounded, and those go that nobody has needed between two trims.
func TestSpareWorkers(t *testing.T) {
	g := &Group{}
	keeps := func(want int) {
		t.Helper()
		if n := spares(g); n != want {
			t.Errorf("%d workers are kept, wanted %d", n, want)
		}
	}
	for range mostSpare + 50 {
		g.spare.put(newWorker(g))
	}
	keeps(mostSpare)
	g.spare.trim() // there was a time without any
	keeps(mostSpare)
	var used [10]*Worker
	for i := range used {
		used[i] = g.spare.get(g)
	}
	for _, w := range used {
		g.spare.put(w)
	}
	g.spare.trim()
	keeps(len(used))
	g.spare.close()
	keeps(0)
	g.spare.put(g.spare.get(g))
	keeps(0)
}
