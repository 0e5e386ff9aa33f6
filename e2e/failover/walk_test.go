package failover

import (
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"rehydra/e2e/harness"
	"rehydra/e2e/tomcat"
)

// TestFailOver is the main job, on every Tomcat: a user fills a session on one
// node, the node is killed, and the next request is answered by the other with
// the same contents under the same base id.
func TestFailOver(t *testing.T) {
	for _, release := range tomcat.Releases() {
		t.Run(release.Version, func(t *testing.T) {
			c := start(t, release)
			u := c.user(t)
			before := u.get("/shop/session?op=set&k=color&v=green")
			first := before.Values["node"]
			u.at(before, first)

			c.nodes[first].Kill9()
			after := u.get("/shop/session?op=touch")
			u.same(after, before, "color")
			u.at(after, harness.OtherOf(first))
			if restores := c.proxy.Metric(t, "rehydra_session_restores_total"); restores != 1 {
				t.Errorf("%v sessions were restored, wanted 1", restores)
			}

			// The node comes back, and nothing old with it.
			u.get("/shop/session?op=set&k=color&v=blue")
			c.nodes[first].Start()
			c.proxy.WaitUp(t, "shop", first)
			again := u.get("/shop/session?op=touch")
			u.at(again, harness.OtherOf(first))
			c.nodes[harness.OtherOf(first)].Kill9()
			back := u.get("/shop/session?op=touch")
			u.at(back, first)
			u.same(back, before)
			if back.Values["color"] != "blue" {
				t.Errorf("color is %q after two fail-overs, wanted blue", back.Values["color"])
			}
			c.nodes[first].Stop()
			c.noBadLines(t)
		})
	}
}

// inFull are the releases that are walked in full.
func inFull() []tomcat.Release {
	return []tomcat.Release{tomcat.Tomcat9, tomcat.Tomcat10, tomcat.Tomcat11}
}

// TestWalk walks through what users do to their sessions, and kills the node
// under them each time.
func TestWalk(t *testing.T) {
	for _, release := range inFull() {
		t.Run(release.Version, func(t *testing.T) {
			c := start(t, release)
			for _, walk := range []struct {
				name string
				walk func(*testing.T, *cluster)
			}{
				{"PausedNodeReturnsWithAnOldCopy", walkPaused},
				{"MemcachedThenTomcat", walkMemcached},
				{"AnswerWaitsForTheCopies", walkWaits},
				{"LateAndLarge", walkLate},
				{"CartChangedInPlace", walkCart},
				{"Logout", walkLogout},
				{"RenewedID", walkRenewed},
				{"PathParameter", walkPathParameter},
				{"LoginBasic", walkBasic},
				{"LoginForm", walkForm},
			} {
				t.Run(walk.name, func(t *testing.T) { walk.walk(t, c) })
			}
			for _, s := range c.nodes {
				s.Stop()
			}
			c.noBadLines(t)
		})
	}
}

// kill kills the node of route and starts it again after do.
func (c *cluster) kill(t *testing.T, route string, do func()) {
	t.Helper()
	c.nodes[route].Kill9()
	do()
	c.nodes[route].Start()
	c.proxy.WaitUp(t, "shop", route)
}

// A node that was only paused still holds the session as it was. It must not
// serve it, nor may what it writes late be kept.
func walkPaused(t *testing.T, c *cluster) {
	u := c.user(t)
	before := u.get("/shop/session?op=set&k=color&v=old")
	first := before.Values["node"]
	c.nodes[first].Kill9() // the session moves to the other node ...
	moved := u.get("/shop/session?op=set&k=color&v=new")
	c.nodes[first].Start()
	c.proxy.WaitUp(t, "shop", first)
	second := harness.OtherOf(first)
	c.nodes[second].Pause() // ... which is then paused, holding color=new
	resume := sync.OnceFunc(c.nodes[second].Resume)
	defer resume()
	harness.Eventually(t, second+" to be out", func() bool {
		return c.proxy.Metric(t, `rehydra_backend_up{backend="`+second+`",pool="shop"}`) == 0
	})
	third := u.get("/shop/session?op=set&k=color&v=newest")
	u.at(third, first)
	resume()
	c.proxy.WaitUp(t, "shop", second)
	// The old id, as a second tab of the browser may still send it.
	stale := c.user(t)
	p := stale.get("/shop/session;jsessionid=" + moved.Session + "?op=touch")
	if p.Values["color"] != "newest" {
		t.Errorf("the old id shows color %q at %s, wanted newest", p.Values["color"], p.Values["node"])
	}
	if p.BaseID() != before.BaseID() {
		t.Errorf("the old id shows the session %q, wanted the base id of %q", p.Session, before.Session)
	}
}

// One memcached is lost, then a Tomcat: the other copy serves.
func walkMemcached(t *testing.T, c *cluster) {
	for _, m := range c.mem {
		u := c.user(t)
		before := u.get("/shop/session?op=set&k=color&v=green")
		m.Kill(t)
		route := before.Values["node"]
		c.kill(t, route, func() {
			after := u.get("/shop/session?op=touch")
			u.same(after, before, "color")
			u.at(after, harness.OtherOf(route))
		})
		m.Restart(c.t) // it outlives this walk
		c.waitNodesUp(t)
	}
}

// While no memcached answers, what the Tomcat has done is not acknowledged. Once it is, the Tomcat may die.
func walkWaits(t *testing.T, c *cluster) {
	u := c.user(t)
	node := u.get("/shop/session?op=set&k=color&v=green").Values["node"]
	thaw := sync.OnceFunc(func() {
		for _, m := range c.mem {
			m.Thaw(t)
		}
	})
	defer thaw()
	for _, m := range c.mem {
		m.Freeze(t)
	}
	request := "held-" + node
	answered := make(chan page, 1)
	go func() {
		p, err := u.try("POST", "/shop/session?op=count&request="+request, nil)
		if err != nil {
			t.Error(err)
		}
		answered <- p
	}()
	harness.Eventually(t, "the Tomcat has the request", func() bool { return slices.Contains(c.nodes[node].Executed(), request) })
	select {
	case p := <-answered:
		t.Fatalf("answered %d while no copy could be stored", p.status)
	case <-time.After(500 * time.Millisecond): // the copies have twenty times as long
	}
	thaw()
	before := <-answered
	if before.status != 200 || before.Values["count"] != "1" {
		t.Fatalf("answered %d, count %q, wanted 200 and 1", before.status, before.Values["count"])
	}
	c.kill(t, node, func() {
		after := u.get("/shop/session?op=touch")
		u.same(after, before, "count", "color")
		u.at(after, harness.OtherOf(node))
	})
}

// A session of 200 KB, and one that changes after the answer has begun.
func walkLate(t *testing.T, c *cluster) {
	u := c.user(t)
	u.get("/shop/session?op=big&k=heap&n=200000")
	before := u.get("/shop/session?op=late&k=color&v=green")
	if before.Values["heap"] != "200000" {
		t.Fatalf("the large value is %q", before.Values["heap"])
	}
	c.kill(t, before.Values["node"], func() {
		after := u.get("/shop/session?op=touch")
		u.same(after, before, "heap", "color")
	})
	u.get("/shop/session?op=fixed&k=color&v=red") // a Content-Length that was sent before
	before = u.get("/shop/session?op=touch")
	c.kill(t, before.Values["node"], func() {
		after := u.get("/shop/session?op=touch")
		u.same(after, before, "heap", "color")
	})
}

// A list in the session is changed without setAttribute.
func walkCart(t *testing.T, c *cluster) {
	u := c.user(t)
	var before page
	for _, item := range []string{"apples", "pears", "plums"} {
		before = u.get("/shop/session?op=append&k=cart&v=" + item)
	}
	if before.Values["cart"] != "apples,pears,plums" {
		t.Fatalf("the cart is %q", before.Values["cart"])
	}
	c.kill(t, before.Values["node"], func() {
		after := u.get("/shop/session?op=append&k=cart&v=figs")
		if after.Values["cart"] != "apples,pears,plums,figs" || after.BaseID() != before.BaseID() {
			t.Errorf("the cart is %q in session %q", after.Values["cart"], after.Session)
		}
	})
}

// Who logged out stays logged out, whoever dies.
func walkLogout(t *testing.T, c *cluster) {
	u := c.user(t)
	before := u.get("/shop/session?op=set&k=color&v=secret")
	u.get("/shop/session?op=invalidate")
	c.kill(t, before.Values["node"], func() {
		for _, id := range []string{before.Session, before.BaseID() + "." + harness.OtherOf(before.Route())} {
			stale := c.user(t)
			p := stale.get("/shop/session;jsessionid=" + id + "?op=show")
			if p.Session != "none" || strings.Contains(p.text, "secret") {
				t.Errorf("the ended session is back under %q:\n%s", id, p.text)
			}
		}
	})
}

// A login renews the id: the new one lives, the old one is gone.
func walkRenewed(t *testing.T, c *cluster) {
	u := c.user(t)
	before := u.get("/shop/session?op=set&k=color&v=green")
	renewed := u.get("/shop/session?op=renew")
	if renewed.BaseID() == before.BaseID() {
		t.Fatal("the id was not renewed")
	}
	c.kill(t, before.Values["node"], func() {
		after := u.get("/shop/session?op=touch")
		u.same(after, renewed, "color")
		stale := c.user(t)
		if p := stale.get("/shop/session;jsessionid=" + before.Session + "?op=show"); p.Session != "none" {
			t.Errorf("the old id shows the session %q", p.Session)
		}
	})
}

// A client without cookies keeps its id in the path, and changes to the new route.
func walkPathParameter(t *testing.T, c *cluster) {
	u := c.user(t)
	before := u.get("/shop/session?op=set&k=color&v=green")
	c.kill(t, before.Values["node"], func() {
		u := c.user(t)
		u.client.Jar = nil
		after := u.get("/shop/session;jsessionid=" + before.Session + "?op=touch")
		u.same(after, before, "color")
		u.at(after, harness.OtherOf(before.Values["node"]))
		again := u.get("/shop/session;jsessionid=" + after.Session + "?op=touch")
		u.same(again, before, "color")
	})
}
