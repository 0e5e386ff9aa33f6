package msm

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"rehydra/e2e/harness"
)

// TestFailOver kills a Tomcat under a user: the other one continues the session from memcached under the same id, the name of the
// memcached in it included, and the route in the cookie is the new one. Sticky is MSM's default, sync saves its safer choice.
func TestFailOver(t *testing.T) {
	c := start(t, `sticky="true" sessionBackupAsync="false" requestUriIgnorePattern=".*\.txt$"`)
	u := c.user(t)
	before := u.get("/shop/session?op=set&k=color&v=green")
	session, memcached, first := before.id()
	if session == "" || !slices.Contains([]string{"n1", "n2"}, memcached) || first != before.Values["node"] {
		t.Fatalf("the session is %q at %s, wanted an id like ABC-n1.node1", before.Session, before.Values["node"])
	}
	if cookie := before.header.Get("Set-Cookie"); !strings.Contains(cookie, "JSESSIONID="+before.Session+";") {
		t.Errorf("the cookie %q is not Tomcat's own id %q", cookie, before.Session)
	}
	for range 5 {
		if p := u.get("/shop/session?op=touch"); p.Session != before.Session || p.Values["node"] != first {
			t.Errorf("the session is %q at %s, wanted %q to stay", p.Session, p.Values["node"], before.Session)
		}
	}

	c.nodes[first].Kill9()
	after := u.get("/shop/session?op=set&k=shape&v=round")
	u.continues(after, before, harness.OtherOf(first))
	if after.Values["color"] != "green" || after.Values["created"] != before.Values["created"] {
		t.Errorf("color is %q, created %q after the fail-over, wanted green and %q", after.Values["color"], after.Values["created"], before.Values["created"])
	}
	if cookie := after.header.Get("Set-Cookie"); !strings.Contains(cookie, "JSESSIONID="+after.Session+";") {
		t.Errorf("the cookie is %q after the fail-over, wanted Tomcat's %q", cookie, after.Session)
	}

	// The dead node comes back and the user stays where the session now is; then that one dies too.
	c.nodes[first].Start()
	c.proxy.WaitUp(t, "shop", first)
	u.continues(u.get("/shop/session?op=touch"), after, harness.OtherOf(first))
	c.nodes[harness.OtherOf(first)].Kill9()
	back := u.get("/shop/session?op=touch")
	u.continues(back, before, first)
	if back.Values["color"] != "green" || back.Values["shape"] != "round" {
		t.Errorf("color is %q, shape %q after two fail-overs, wanted green and round", back.Values["color"], back.Values["shape"])
	}
}

// TestMemcachedFailOver kills the memcached that an id names: MSM moves the session to the other one and says so in the id, a change
// that reaches the client and does not disturb the routing.
func TestMemcachedFailOver(t *testing.T) {
	c := start(t, `sticky="true" sessionBackupAsync="false"`)
	u := c.user(t)
	before := u.get("/shop/session?op=set&k=color&v=green")
	session, memcached, route := before.id()
	at := map[string]*harness.Memcached{"n1": c.mem[0], "n2": c.mem[1]}
	if at[memcached] == nil {
		t.Fatalf("the session is %q, wanted n1 or n2 in it", before.Session)
	}
	at[memcached].Kill(t)
	want := session + "-" + map[string]string{"n1": "n2", "n2": "n1"}[memcached] + "." + route
	// MSM notices at one of the next requests.
	harness.Eventually(t, "the id to become "+want, func() bool {
		p := u.get("/shop/session?op=set&k=color&v=green")
		if p.Values["node"] != route || p.Values["color"] != "green" {
			t.Fatalf("served by %s with color %q, wanted %s and green", p.Values["node"], p.Values["color"], route)
		}
		return p.Session == want
	})
	c.nodes[route].Kill9()
	p := u.get("/shop/session?op=touch")
	if p.Values["color"] != "green" || p.Values["node"] != harness.OtherOf(route) {
		t.Errorf("color is %q at %s after both died, wanted green at %s", p.Values["color"], p.Values["node"], harness.OtherOf(route))
	}
}

// continues fails the test unless got is the session of before, at the node of route and with that route in its id.
func (u *user) continues(got, before page, route string) {
	u.t.Helper()
	wantSession, wantMemcached, _ := before.id()
	session, memcached, gotRoute := got.id()
	if session != wantSession || memcached != wantMemcached || gotRoute != route || got.Values["node"] != route {
		u.t.Errorf("the session is %q at %s, wanted %s-%s.%s there", got.Session, got.Values["node"], wantSession, wantMemcached, route)
	}
	for name := range got.header {
		if strings.HasPrefix(http.CanonicalHeaderKey(name), "Rehydra-") {
			u.t.Errorf("the response has the field %s", name)
		}
	}
}
