package nonsticky

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"rehydra/e2e/harness"
)

func (c *cluster) anyBackend(t *testing.T) {
	p := c.proxy(t, nil)
	for _, size := range []int{10, 20000} { // in a header, and with an install
		u := newUser(t)
		u.want(p, http.MethodPost, fmt.Sprintf("%s?op=big&k=big&n=%d", writer, size))
		served := map[string]int{}
		values := numbered("v", 12)
		for i, v := range values {
			got := u.add(p, v, 0)
			served[got.line("node")]++
			u.wantList(got, false, values[:i+1]...)
			u.wantList(u.read(p), false, values[:i+1]...)
			u.read(p) // an odd number of requests a round: else each page had its own node
		}
		if served["node1"] == 0 || served["node2"] == 0 {
			t.Errorf("the changes were made at %v, wanted both nodes", served)
		}
	}
	for _, name := range []string{"lost", "fenced", "conflicts", "unprotected"} {
		wantCounter(t, p, name, 0)
	}
}

// afterTheHead changes the session when the head is out: what the backend says of it comes in trailers, or must be asked for.
func (c *cluster) afterTheHead(t *testing.T) {
	p := c.proxy(t, nil)
	u := begin(t, p, "a")
	for _, op := range []string{"late", "fixed"} {
		served := map[string]bool{}
		for _, v := range numbered(op, 6) {
			u.want(p, http.MethodPost, fmt.Sprintf("%s?op=%s&k=k&v=%s", writer, op, v))
			for range 2 {
				got := u.read(p)
				served[got.line("node")] = true
				if got.line("value k") != v {
					t.Errorf("after %s the value is %q, wanted %q", op, got.line("value k"), v)
				}
			}
		}
		if len(served) != 2 {
			t.Errorf("read at %v, wanted both nodes", served)
		}
	}
	for _, name := range []string{"lost", "fenced", "conflicts", "unprotected"} {
		wantCounter(t, p, name, 0)
	}
}

func (c *cluster) twoProxies(t *testing.T) {
	p1, p2 := c.proxy(t, nil, "node1"), c.proxy(t, nil, "node2")
	u := begin(t, p1, "v1")
	values := numbered("v", 9)
	for i, v := range values[1:] {
		p := p2
		if i%2 == 1 {
			p = p1
		}
		u.wantList(u.add(p, v, 0), false, values[:i+2]...)
		u.wantList(u.read(p1), false, values[:i+2]...)
		u.wantList(u.read(p2), false, values[:i+2]...)
	}
}

func (c *cluster) nothingTwice(t *testing.T) {
	p1, p2 := c.proxy(t, nil, "node1"), c.proxy(t, nil, "node2")
	u := begin(t, p1, "a")
	for range 5 {
		u.read(p1)
	}
	u.add(p1, "b", 0)
	u.read(p1)
	wantCounter(t, p1, "restores", 0)
	for range 5 {
		u.wantList(u.read(p2), false, "a", "b")
	}
	wantCounter(t, p2, "restores", 1)
	u.add(p2, "c", 0)
	u.wantList(u.read(p2), false, "a", "b", "c")
	wantCounter(t, p2, "restores", 1)
	u.wantList(u.read(p1), false, "a", "b", "c")
	wantCounter(t, p1, "restores", 1)
}

func (c *cluster) oneMemory(t *testing.T) {
	p := c.proxy(t, nil)
	u := begin(t, p, "a")
	seen := map[string]bool{}
	for range 4 { // both nodes have it, in turn
		node, other := u.read(p).line("node"), "node1"
		if node == other {
			other = "node2"
		}
		seen[node] = true
		harness.Eventually(t, "the copy at "+other+" is dropped", func() bool { return !c.holds(t, other, u.base()) })
		if !c.holds(t, node, u.base()) {
			t.Errorf("%s does not hold the session that it has just read", node)
		}
	}
	if len(seen) != 2 {
		t.Errorf("all pages came from %v, wanted both nodes", seen)
	}
	// An end takes it from all of them.
	u.want(p, http.MethodPost, writer+"?op=invalidate")
	for _, route := range []string{"node1", "node2"} {
		harness.Eventually(t, "no copy at "+route, func() bool { return !c.holds(t, route, u.base()) })
	}
}

func (c *cluster) bothCopies(t *testing.T) {
	p := c.proxy(t, nil)
	u := begin(t, p, "a")
	for _, v := range []string{"b", "c"} {
		var copies [][]byte
		for _, m := range c.mem {
			for _, key := range keys(t, []*harness.Memcached{m}, "r1:", u.base()) {
				value, _ := m.Get(t, key)
				copies = append(copies, value)
			}
		}
		if len(copies) != 2 || len(copies[0]) == 0 || string(copies[0]) != string(copies[1]) {
			t.Errorf("%d copies, wanted two of the same state: %q", len(copies), copies)
		}
		u.add(p, v, 0)
	}
	wantCounter(t, p, "unprotected", 0)
}

func (c *cluster) oneCopy(t *testing.T) {
	mem := []*harness.Memcached{harness.StartMemcached(t)}
	p := c.proxyOn(t, mem, nil)
	u := begin(t, p, "a")
	u.wantList(u.add(p, "b", 0), false, "a", "b")
	u.wantList(u.read(p), false, "a", "b")
	if found := keys(t, mem, "r1:", u.base()); len(found) != 1 {
		t.Errorf("the keys %q, wanted one", found)
	}
	if left := keys(t, mem, "l1:", u.base()); len(left) != 0 {
		t.Errorf("locks are left: %q", left)
	}
	wantCounter(t, p, "unprotected", 0)
}

// readLivesOn reads a session for twice its time to live, then waits until it is over.
func (c *cluster) readLivesOn(t *testing.T) {
	p := c.proxy(t, nil)
	u := begin(t, p, "a")
	u.want(p, http.MethodPost, writer+"?op=ttl&v=4")
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	var last time.Time
	for end := time.Now().Add(8 * time.Second); time.Now().Before(end); {
		<-tick.C
		u.wantList(u.read(p), false, "a")
		last = time.Now()
	}
	wantCounter(t, p, "lost", 0)
	// Copies are renewed when a quarter of the time has passed, so they may end that much before the session in a Tomcat's memory does.
	harness.Eventually(t, "its time is over, and its copies end with it", func() bool {
		return time.Since(last) > 6*time.Second && len(keys(t, c.mem, "r1:", u.base())) == 0
	})
	if got := u.read(p).line("value list"); got != "" {
		t.Errorf("the session is back after its end: %q", got)
	}
}
