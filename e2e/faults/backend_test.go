package faults

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"rehydra/e2e/harness"
)

func TestBackendKilled(t *testing.T) {
	const users = 500
	s := calmShop(t, 2)
	us := s.login(users)
	dead := owned(us, "node1")
	s.backends[0].Kill(t)
	c := all(us, 32, (*user).increment)
	c.check(t, fmt.Sprintf("after the kill of the owner of %d of %d sessions", dead, users), false)
	if dead < users/4 || c.right != users {
		t.Errorf("%d sessions lost their owner and %d of %d next requests were right, wanted a quarter at least, and all", dead, c.right, users)
	}
	if left := owned(us, "node1"); left > 0 {
		t.Errorf("%d cookies still name the dead backend", left)
	}
	t.Logf("restored: %.0f", s.proxy.Metric(t, "rehydra_session_restores_total"))
}

func TestBackendPaused(t *testing.T) {
	s := newShop(t, 2)
	us := s.login(60)
	s.client.Timeout = 500 * time.Millisecond // users do not wait: they try again, and the session goes on elsewhere
	c := during(us, func() {
		harness.Eventually(t, "users work", func() bool { return s.proxy.Metric(t, "rehydra_session_saves_total") > 4*60 })
		s.backends[0].Freeze(t)
		pause(pauseFor)
		harness.Eventually(t, "a session goes elsewhere", func() bool { return s.proxy.Metric(t, "rehydra_session_restores_total") > 0 })
		s.backends[0].Thaw(t)
		pause(time.Second)
	})
	s.client.Timeout = patience
	c.check(t, fmt.Sprintf("a backend was paused for %v", pauseFor), true)
	all(us, 32, (*user).read).check(t, "afterwards, all read", false)
	all(us, 32, (*user).increment).check(t, "afterwards, all increment", false)
	if c.right < 60 {
		t.Errorf("%d requests were right, wanted as many as there are users at least", c.right)
	}
	t.Logf("restored: %.0f; late saves refused: %.0f", s.proxy.Metric(t, "rehydra_session_restores_total"), s.proxy.Metric(t, "rehydra_session_fenced_total"))
}

func TestHerd(t *testing.T) {
	const users = 2000
	s := calmShop(t, 2)
	s.backends[1].Kill(t)
	dead := s.login(users) // all at node1
	s.backends[1].Restart(t)
	s.proxy.WaitEvent(t, "node2 is back", harness.Message("backend up"))
	before := memory(t, s.proxy.PID())
	s.backends[0].Kill(t)
	most := 0
	done := make(chan struct{})
	var c *tally
	began := time.Now()
	go func() {
		defer close(done)
		c = all(dead, len(dead), (*user).increment)
	}()
	for running := true; running; {
		for _, n := range s.nodes {
			most = max(most, n.Stat(t, "curr_connections"))
		}
		select {
		case <-done:
			running = false
		case <-time.After(20 * time.Millisecond):
		}
	}
	took := time.Since(began)
	after := memory(t, s.proxy.PID())
	c.check(t, fmt.Sprintf("%d sessions of a dead backend at once, in %v", len(dead), took.Round(time.Millisecond)), false)
	t.Logf("connections at a memcached: %d at most; peak memory of the proxy: %d MiB before, %d MiB after", most, before>>20, after>>20)
	if most > mostConnections {
		t.Errorf("%d connections at a memcached, wanted %d at most", most, mostConnections)
	}
	if grown := after - before; grown > mostGrowth {
		t.Errorf("the proxy's memory grew by %d MiB, wanted %d at most", grown>>20, mostGrowth>>20)
	}
}

func TestOneSessionManyRequests(t *testing.T) {
	const requests = 50
	s := calmShop(t, 2)
	u := s.login(1)[0]
	tabs := make([]*user, requests)
	for i := range tabs {
		tabs[i] = &user{shop: s, cookie: u.cookie, last: u.last, open: requests}
	}
	owner := 0
	if u.route() == "node2" {
		owner = 1
	}
	s.backends[owner].Kill(t)
	c := all(tabs, requests, (*user).increment)
	c.check(t, fmt.Sprintf("%d requests of one session whose owner is dead", requests), false)
	var values []int
	for _, tab := range tabs {
		values = append(values, tab.last)
	}
	slices.Sort(values)
	for i, v := range values {
		if v != u.last+1+i {
			t.Fatalf("the increments were answered %v, wanted each number from %d on once", values, u.last+1)
		}
	}
	if n := s.proxy.Metric(t, "rehydra_session_restores_total"); n != 1 {
		t.Errorf("the session was restored %.0f times, wanted once", n)
	}
}

func pause(d time.Duration) { <-time.After(d) }
