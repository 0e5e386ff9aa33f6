package admin

import (
	"net/http"
	"testing"
	"time"

	"rehydra/e2e/harness"
)

type backendAnswer struct {
	Route, Address, State, Reason, Activation string
	Since                                     time.Time
	Adapter                                   bool
	InFlight                                  int `json:"in_flight"`
	Requests, Outs                            int
	Sent                                      int `json:"sent_bytes"`
}

type nodeAnswer struct {
	Name, Address, State, Reason, Breaker string
	FailoverOnly                          bool `json:"failover_only"`
	Errors, Outs                          int
}

// backends returns the backends of the first pool by route.
func backends(t *testing.T, p *harness.Proxy) map[string]backendAnswer {
	t.Helper()
	var a struct {
		Pools []struct {
			Name, Balance string
			Tier          bool
			Apps          []string
			Backends      []backendAnswer
		}
	}
	ask(t, p, "/api/backends", http.StatusOK, &a)
	if len(a.Pools) == 0 || a.Pools[0].Name != "shop" || a.Pools[0].Balance != "requests" || !a.Pools[0].Tier {
		t.Fatalf("pools %+v, wanted shop first, balanced by requests, with a tier", a.Pools)
	}
	found := map[string]backendAnswer{}
	for _, b := range a.Pools[0].Backends {
		found[b.Route] = b
	}
	return found
}

func nodes(t *testing.T, p *harness.Proxy) map[string]nodeAnswer {
	t.Helper()
	var a struct {
		Kind   string
		Copies int
		Nodes  []nodeAnswer
	}
	ask(t, p, "/api/store", http.StatusOK, &a)
	if a.Kind != "memcached" || a.Copies != 2 {
		t.Fatalf("store %+v, wanted 2 copies on memcached", a)
	}
	found := map[string]nodeAnswer{}
	for _, n := range a.Nodes {
		found[n.Name] = n
	}
	return found
}

// TestStateOfBackendsAndNodes: what fails is said to be out, why, and since when; what is back is back.
func TestStateOfBackendsAndNodes(t *testing.T) {
	c := startCluster(t, 3)
	c.config.Store = append(c.config.Store, `failover_only = ["n3"]`)
	p := harness.Start(t, c.config)
	begun := time.Now()
	u := newUser(t, p)
	u.count(1)
	if b := backends(t, p)[u.route()]; b.State != "up" || b.Reason != "" || b.Activation != "active" || !b.Adapter || b.Requests != 1 ||
		b.InFlight != 0 || b.Outs != 0 || b.Sent == 0 || b.Address != c.backends[u.route()].address || !b.Since.IsZero() {
		t.Errorf("%+v, wanted it up, an adapter, with one request", b)
	}
	if n := nodes(t, p); n["n1"].State != "up" || n["n1"].Breaker != "closed" || n["n1"].FailoverOnly || !n["n3"].FailoverOnly || n["n1"].Address != c.nodes[0].Address() {
		t.Errorf("%+v, wanted all up, and n3 for fail-over only", n)
	}

	first := u.route()
	c.backends[first].down()
	harness.Eventually(t, "the backend is out", func() bool { return backends(t, p)[first].State == "out" })
	if b := backends(t, p)[first]; b.Reason == "" || b.Outs != 1 || b.Since.Before(begun) || b.Since.After(time.Now()) {
		t.Errorf("%+v, wanted it out for the first time, and why", b)
	}
	c.nodes[0].Kill(t)
	harness.Eventually(t, "the node is down", func() bool { return nodes(t, p)["n1"].State == "down" })
	if n := nodes(t, p)["n1"]; n.Breaker != "open" || n.Reason == "" || n.Outs != 1 || n.Errors == 0 {
		t.Errorf("%+v, wanted its breaker open for the first time, and why", n)
	}

	c.backends[first].up(t)
	c.nodes[0].Restart(t)
	harness.Eventually(t, "both are back", func() bool { return backends(t, p)[first].State == "up" && nodes(t, p)["n1"].State == "up" })
	if b, n := backends(t, p)[first], nodes(t, p)["n1"]; b.Reason != "" || n.Reason != "" || n.Breaker != "closed" || b.Outs != 1 || n.Outs != 1 {
		t.Errorf("%+v and %+v, wanted no reason any more", b, n)
	}
}

// TestStatus: the page's other half.
func TestStatus(t *testing.T) {
	c := startCluster(t, 2)
	p := harness.Start(t, c.config)
	u := newUser(t, p)
	for n := range 5 {
		u.count(n + 1)
	}
	u.get("/status/404")
	var a struct {
		Version  string
		Started  time.Time `json:"started_at"`
		Uptime   int       `json:"uptime_ms"`
		Listen   []string
		Clients  int `json:"client_connections"`
		Requests map[string]map[string]int
		Sessions map[string]int
		Lost     *int `json:"log_lines_lost"`
	}
	harness.Eventually(t, "the last answer is counted", func() bool { // which it is after it was sent
		ask(t, p, "/api/status", http.StatusOK, &a)
		return a.Requests["shop"]["4xx"] == 1
	})
	if a.Version == "" || a.Started.After(time.Now()) || a.Uptime < 0 || len(a.Listen) != 1 || a.Listen[0] != p.Address() || a.Clients != 1 || a.Lost == nil || *a.Lost != 0 {
		t.Errorf("status %+v, wanted one client at %s and no line lost", a, p.Address())
	}
	if r := a.Requests["shop"]; r["2xx"] != 5 || r["5xx"] != 0 {
		t.Errorf("requests %v, wanted 5 of class 2xx and none of 5xx in pool shop", a.Requests)
	}
	if s := a.Sessions; s["saves"] != 5 || s["known"] != 1 || s["lost"] != 0 || s["restores"] != 0 || s["saved_bytes"] == 0 {
		t.Errorf("sessions %v, wanted 5 saves of one", s)
	}
}
