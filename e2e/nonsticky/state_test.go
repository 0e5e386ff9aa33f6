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
			got := u.add(p, v)
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
		u.wantList(u.add(p, v), false, values[:i+2]...)
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
	u.add(p1, "b")
	u.read(p1)
	wantCounter(t, p1, "restores", 0)
	for range 5 {
		u.wantList(u.read(p2), false, "a", "b")
	}
	wantCounter(t, p2, "restores", 1)
	u.add(p2, "c")
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
		u.add(p, v)
	}
	wantCounter(t, p, "unprotected", 0)
}

func (c *cluster) oneCopy(t *testing.T) {
	mem := []*harness.Memcached{harness.StartMemcached(t)}
	p := c.proxyOn(t, mem, nil)
	u := begin(t, p, "a")
	u.wantList(u.add(p, "b"), false, "a", "b")
	u.wantList(u.read(p), false, "a", "b")
	if found := keys(t, mem, "r1:", u.base()); len(found) != 1 {
		t.Errorf("the keys %q, wanted one", found)
	}
	if left := keys(t, mem, "l1:", u.base()); len(left) != 0 {
		t.Errorf("locks are left: %q", left)
	}
	wantCounter(t, p, "unprotected", 0)
}

// readLivesOn reads a session for twice its time to live, then waits until it is over. On a machine that stands still for as long as
// sessions live nothing can be said: then it begins anew.
func (c *cluster) readLivesOn(t *testing.T) {
	const ttl, tries = 6 * time.Second, 5
	p := c.proxy(t, nil)
	var u *user
	var last time.Time
	for try := 1; ; try++ {
		u = begin(t, p, "a")
		u.want(p, http.MethodPost, fmt.Sprintf("%s?op=ttl&v=%d", writer, int(ttl.Seconds())))
		var steady bool
		if last, steady = u.readFor(p, 2*ttl, ttl/2); steady {
			break
		}
		if try == tries {
			t.Fatalf("%d times there was a pause of %v between two requests", tries, ttl/2)
		}
	}
	// Copies are renewed when a quarter of the time has passed, so they may end that much before the session in a Tomcat's memory does.
	harness.Eventually(t, "its time is over, and its copies end with it", func() bool {
		return time.Since(last) > ttl*3/2 && len(keys(t, c.mem, "r1:", u.base())) == 0
	})
	if got := u.read(p).line("value list"); got != "" {
		t.Errorf("the session is back after its end: %q", got)
	}
}

// readFor reads the session again and again for a while, which must find it each time. last is when it did last; steady is false if there was a
// pause of more than most between two requests: then the session may have ended.
func (u *user) readFor(p *harness.Proxy, d, most time.Duration) (last time.Time, steady bool) {
	u.t.Helper()
	tick := time.NewTicker(300 * time.Millisecond)
	defer tick.Stop()
	last = time.Now()
	for end := last.Add(d); time.Now().Before(end); {
		<-tick.C
		begun := last
		got := u.read(p)
		last = time.Now()
		if last.Sub(begun) > most {
			return last, false
		}
		u.wantList(got, false, "a")
	}
	return last, true
}

// dropUnderRequest moves a session away by another proxy while a request of it runs. That proxy drops the copy which the session left behind, but
// not before the request has ended: what it changes is told after the head, so the proxy must be able to ask for it.
func (c *cluster) dropUnderRequest(t *testing.T) {
	p1 := c.proxy(t, []string{`lock = "none"`}, "node1")
	p2 := c.proxyWith(t, c.mem, []string{`level = "debug"`}, []string{`lock = "none"`}, "node1", "node2")
	u := begin(t, p1, "a")
	running := u.hold(p1, writer+"?op=fixed&k=late&v=yes")
	c.waitHeld(t, running)
	for u.read(p2).line("node") != "node2" {
	}
	harness.Eventually(t, "the other proxy drops the session at node1, or is told not to", func() bool {
		return len(p2.Events(harness.Message("session not dropped yet"))) > 0 || !c.holds(t, "node1", u.base())
	})
	if got := running.wait(); got.status != http.StatusOK {
		t.Fatalf("status %d\n%s", got.status, got.text)
	}
	for _, p := range []*harness.Proxy{p2, p1} {
		got := u.read(p)
		if u.wantList(got, false, "a"); got.line("value late") != "yes" {
			t.Errorf("what the request changed is lost:\n%s", got.text)
		}
	}
	for _, p := range []*harness.Proxy{p1, p2} {
		for _, name := range []string{"lost", "fenced", "conflicts"} {
			wantCounter(t, p, name, 0)
		}
	}
}
