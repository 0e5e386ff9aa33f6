package proxy

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

// restless are clients of which nobody has a connection. Each wait begins later than the one before.
type restless struct {
	Server
	all  []*client
	last int64
	rnd  *rand.Rand
}

func newRestless(n int) *restless {
	r := &restless{last: time.Now().Add(-time.Hour).UnixNano(), rnd: rand.New(rand.NewPCG(1, uint64(n)))}
	r.clients = make(map[*client]struct{})
	for range n {
		r.come()
	}
	return r
}

func (r *restless) come() {
	c := &client{addr: fmt.Sprint(len(r.all))}
	r.all = append(r.all, c)
	r.clients[c] = struct{}{}
	r.wait(c)
}

func (r *restless) wait(c *client) {
	r.last++
	c.used.Store(r.last)
	c.state.Store([]int32{stateIdle, stateQuiet}[r.rnd.IntN(2)])
}

// leave ends a connection.
func (r *restless) leave(c *client) {
	c.state.Store(stateClosed)
	r.remove(c)
}

// surely is oldest, also where nobody was there a moment ago.
func (r *restless) surely(states ...int32) *client {
	c := r.oldest(states...)
	if c == nil {
		r.resting.walked = time.Time{}
		c = r.oldest(states...)
	}
	return c
}

// slowly finds the oldest one by looking at all.
func (r *restless) slowly(states ...int32) (oldest *client) {
	for c := range r.clients {
		for _, state := range states {
			if c.state.Load() == state && (oldest == nil || c.used.Load() < oldest.used.Load()) {
				oldest = c
			}
		}
	}
	return oldest
}

// TestOldestOfMany: whatever the connections do between, the one found is the one that has waited for longest.
func TestOldestOfMany(t *testing.T) {
	r := newRestless(6 * mostWaiters)
	for step := range 20 * mostWaiters {
		c := r.all[r.rnd.IntN(len(r.all))]
		if _, there := r.clients[c]; there {
			switch r.rnd.IntN(8) {
			case 0:
				r.wait(c)
			case 1:
				c.state.Store(stateActive)
			case 2:
				r.leave(c)
			case 3:
				r.come()
			}
		}
		states := [][]int32{{stateIdle, stateQuiet}, {stateIdle}, {stateQuiet}}[r.rnd.IntN(3)]
		if step%8 != 0 {
			continue
		}
		got := r.surely(states...)
		if want := r.slowly(states...); got != want {
			t.Fatalf("step %d: of states %v among %d it is %s, wanted %s", step, states, len(r.clients), name(got), name(want))
		}
		if got != nil {
			r.leave(got)
		}
	}
}

func name(c *client) string {
	if c == nil {
		return "nobody"
	}
	return c.addr
}

// TestOneLookFindsMany: not every client that needs room has all the others looked at.
func TestOneLookFindsMany(t *testing.T) {
	const n = 10 * mostWaiters
	r := newRestless(n)
	looks := 0
	var walked time.Time
	for range n {
		c := r.oldest(stateIdle, stateQuiet)
		if c == nil {
			t.Fatalf("nobody is found any more, and %d are there", len(r.clients))
		}
		if r.resting.walked != walked {
			looks, walked = looks+1, r.resting.walked
		}
		r.leave(c)
	}
	if most := n/mostWaiters + 2; looks > most {
		t.Errorf("all were looked at %d times for %d, wanted at most %d", looks, n, most)
	}
	if c := r.oldest(stateIdle, stateQuiet); c != nil {
		t.Errorf("one is found where all have gone")
	}
}

// TestNobodyIsKept: what is listed does not keep a connection that has gone.
func TestNobodyIsKept(t *testing.T) {
	r := newRestless(100)
	r.oldest(stateIdle, stateQuiet)
	for _, c := range r.all {
		c.state.Store(stateActive) // a request was its last
		r.remove(c)
	}
	if n := len(r.resting.idle.list) + len(r.resting.quiet.list); n != 0 {
		t.Errorf("%d are listed", n)
	}
}

func BenchmarkOldest(b *testing.B) {
	for _, n := range []int{1_000, 10_000, 100_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			r := newRestless(n)
			b.ReportAllocs()
			for b.Loop() {
				r.wait(r.surely(stateIdle, stateQuiet))
			}
		})
	}
}
