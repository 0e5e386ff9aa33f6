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
	if session == "" || !slices.Contains([]string{"n1", "n2"}, memcached) || first != before.lines["node"] {
		t.Fatalf("the session is %q at %s, wanted an id like ABC-n1.node1", before.lines["session"], before.lines["node"])
	}
	if cookie := before.header.Get("Set-Cookie"); !strings.Contains(cookie, "JSESSIONID="+before.lines["session"]+";") {
		t.Errorf("the cookie %q is not Tomcat's own id %q", cookie, before.lines["session"])
	}
	for range 5 {
		if p := u.get("/shop/session?op=touch"); p.lines["session"] != before.lines["session"] || p.lines["node"] != first {
			t.Errorf("the session is %q at %s, wanted %q to stay", p.lines["session"], p.lines["node"], before.lines["session"])
		}
	}

	c.nodes[first].Kill9()
	after := u.get("/shop/session?op=set&k=shape&v=round")
	u.continues(after, before, other(first))
	if after.lines["color"] != "green" || after.lines["created"] != before.lines["created"] {
		t.Errorf("color is %q, created %q after the fail-over, wanted green and %q", after.lines["color"], after.lines["created"], before.lines["created"])
	}
	if cookie := after.header.Get("Set-Cookie"); !strings.Contains(cookie, "JSESSIONID="+after.lines["session"]+";") {
		t.Errorf("the cookie is %q after the fail-over, wanted Tomcat's %q", cookie, after.lines["session"])
	}

	// The dead node comes back and the user stays where the session now is; then that one dies too.
	c.nodes[first].Start()
	c.waitUp(t, first)
	u.continues(u.get("/shop/session?op=touch"), after, other(first))
	c.nodes[other(first)].Kill9()
	back := u.get("/shop/session?op=touch")
	u.continues(back, before, first)
	if back.lines["color"] != "green" || back.lines["shape"] != "round" {
		t.Errorf("color is %q, shape %q after two fail-overs, wanted green and round", back.lines["color"], back.lines["shape"])
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
		t.Fatalf("the session is %q, wanted n1 or n2 in it", before.lines["session"])
	}
	at[memcached].Kill(t)
	want := session + "-" + map[string]string{"n1": "n2", "n2": "n1"}[memcached] + "." + route
	// MSM notices at one of the next requests.
	harness.Eventually(t, "the id to become "+want, func() bool {
		p := u.get("/shop/session?op=set&k=color&v=green")
		if p.lines["node"] != route || p.lines["color"] != "green" {
			t.Fatalf("served by %s with color %q, wanted %s and green", p.lines["node"], p.lines["color"], route)
		}
		return p.lines["session"] == want
	})
	c.nodes[route].Kill9()
	p := u.get("/shop/session?op=touch")
	if p.lines["color"] != "green" || p.lines["node"] != other(route) {
		t.Errorf("color is %q at %s after both died, wanted green at %s", p.lines["color"], p.lines["node"], other(route))
	}
}

// continues fails the test unless got is the session of before, at the node of route and with that route in its id.
func (u *user) continues(got, before page, route string) {
	u.t.Helper()
	wantSession, wantMemcached, _ := before.id()
	session, memcached, gotRoute := got.id()
	if session != wantSession || memcached != wantMemcached || gotRoute != route || got.lines["node"] != route {
		u.t.Errorf("the session is %q at %s, wanted %s-%s.%s there", got.lines["session"], got.lines["node"], wantSession, wantMemcached, route)
	}
	for name := range got.header {
		if strings.HasPrefix(http.CanonicalHeaderKey(name), "Rehydra-") {
			u.t.Errorf("the response has the field %s", name)
		}
	}
}
