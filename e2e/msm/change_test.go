package msm

import (
	"testing"

	"rehydra/e2e/harness"
)

// TestChangeOver is the middle of a change from MSM to Rehydra's tier: one Tomcat has the valve, the other still has MSM, and both
// keep their sessions in the same memcacheds. Users of either notice nothing, and when the valve's Tomcat is started anew its
// sessions are still there.
func TestChangeOver(t *testing.T) {
	c := start(t, `sticky="true" sessionBackupAsync="false"`, "node1")
	users, first := map[string]*user{}, map[string]page{}
	for len(users) < 2 {
		u := c.user(t)
		p := u.get("/shop/session?op=set&k=color&v=green")
		users[p.Values["node"]], first[p.Values["node"]] = u, p
	}
	if _, memcached, _ := first["node1"].id(); memcached != "" {
		t.Errorf("the session of the valve's Tomcat is %q, wanted no memcached in it", first["node1"].Session)
	}
	if _, memcached, _ := first["node2"].id(); memcached != "n1" && memcached != "n2" {
		t.Errorf("the session of MSM's Tomcat is %q, wanted its memcached in it", first["node2"].Session)
	}
	check := func(route string) {
		t.Helper()
		p := users[route].get("/shop/session?op=append&k=list&v=x")
		users[route].continues(p, first[route], route)
		if p.Values["color"] != "green" {
			t.Errorf("color is %q at %s, wanted green", p.Values["color"], route)
		}
	}
	for range 3 {
		check("node1")
		check("node2")
	}
	c.nodes["node1"].Kill9()
	check("node2")
	c.nodes["node1"].Start()
	c.proxy.WaitUp(t, "shop", "node1")
	check("node1")
	if restores := c.proxy.Metric(t, "rehydra_session_restores_total"); restores != 1 {
		t.Errorf("%v sessions were restored, wanted the one of the Tomcat with the valve", restores)
	}
	harness.Eventually(t, "the copies of the valve's session", func() bool {
		session, _, _ := first["node1"].id()
		return len(c.mem[0].Keys(t, session)) == 1 && len(c.mem[1].Keys(t, session)) == 1
	})
}
