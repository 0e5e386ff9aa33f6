package admin

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"rehydra/e2e/harness"
)

// The fields of the API's answers that the tests look at.
type (
	sessionsAnswer struct {
		Error    string
		ID       string
		Asked    []struct{ Pool, App string }
		Sessions []sessionAnswer
	}
	sessionAnswer struct {
		Pool, App, State, Version, Owner string
		OwnerState                       string `json:"owner_state"`
		TTL                              int64  `json:"ttl_ms"`
		Here                             *struct {
			Backend, Stored string
			Seen            *int64 `json:"seen_ms_ago"`
		}
		Copies []copyAnswer
	}
	copyAnswer struct {
		Node, State, Version, Owner string
		Newest                      bool
		Size                        int
		Age                         int64 `json:"age_ms"`
		TTL                         int64 `json:"ttl_ms"`
	}
)

// call sends a request to the admin listener, with another Host if one is given.
func call(t *testing.T, p *harness.Proxy, method, path, host string) (status int, contentType, body string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, method, "http://"+p.Admin()+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if host != "" {
		request.Host = host
	}
	response, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, response.Header.Get("Content-Type"), string(text)
}

// ask gets a resource of the API into v, strictly as JSON, and wants a status.
func ask(t *testing.T, p *harness.Proxy, path string, want int, v any) {
	t.Helper()
	status, contentType, body := call(t, p, http.MethodGet, path, "")
	if status != want || contentType != "application/json" {
		t.Fatalf("GET %s: %d %s, wanted %d and JSON:\n%s", path, status, contentType, want, body)
	}
	if err := json.Unmarshal([]byte(body), v); err != nil {
		t.Fatalf("GET %s: %v in\n%s", path, err, body)
	}
}

// where returns the one session of an id.
func where(t *testing.T, p *harness.Proxy, id string) sessionAnswer {
	t.Helper()
	var a sessionsAnswer
	ask(t, p, "/api/sessions/"+id, http.StatusOK, &a)
	if len(a.Sessions) != 1 || a.Error != "" {
		t.Fatalf("%+v, wanted one session", a)
	}
	if strings.Contains(id, a.ID) || a.ID == "" || len(a.ID) > 12 {
		t.Errorf("the answer calls the session %q, wanted a short beginning of %s", a.ID, id)
	}
	return a.Sessions[0]
}

// TestWhereASessionLives follows one session through its life.
func TestWhereASessionLives(t *testing.T) {
	c := startCluster(t, 3)
	p := harness.Start(t, c.config)
	u := newUser(t, p)
	u.count(1)
	first := u.route()
	for _, id := range []string{u.id, u.base(), u.base() + ".elsewhere"} {
		s := where(t, p, id)
		if s.Pool != "shop" || s.App != app || s.State != "stored" || s.Version != "1.1" || s.Owner != first || s.OwnerState != "up" || s.TTL != 1800_000 {
			t.Errorf("new session: %+v, wanted version 1.1 stored, of %s, for 30 minutes", s, first)
		}
		if s.Here == nil || s.Here.Backend != first || s.Here.Stored != "1.1" || s.Here.Seen == nil || *s.Here.Seen > 60_000 {
			t.Errorf("new session, here: %+v, wanted it just seen at %s", s.Here, first)
		}
		wantCopies(t, c, u, s, "1.1", first)
	}

	c.backends[first].down()
	u.count(2)
	second := u.route()
	if second != other(first) {
		t.Fatalf("the session is at %s, wanted it at %s", second, other(first))
	}
	s := where(t, p, u.id)
	if s.State != "stored" || s.Version != "2.1" || s.Owner != second || s.Here == nil || s.Here.Backend != second {
		t.Errorf("after the fail-over: %+v, wanted version 2.1 of %s", s, second)
	}
	wantCopies(t, c, u, s, "2.1", second)

	// A proxy that has forwarded none of its requests finds it too, before and after it has heard of the app.
	cold := harness.Start(t, c.config)
	s = where(t, cold, u.id)
	if s.State != "stored" || s.Version != "2.1" || s.Owner != second || s.Here != nil {
		t.Errorf("at another proxy: %+v, wanted version 2.1 of %s, and nothing known here", s, second)
	}

	c.backends[second].down()
	harness.Eventually(t, "the owner is out", func() bool { return where(t, p, u.id).OwnerState == "out" })
	if s := where(t, p, u.id); s.State != "stored" || s.Here == nil || s.Here.Backend != "" {
		t.Errorf("owner out: %+v %+v, wanted it stored, and at no backend", s, s.Here)
	}

	c.backends[second].up(t)
	harness.Eventually(t, "the owner is up", func() bool { return where(t, p, u.id).OwnerState == "up" })
	u.count(3)
	id := u.id
	if status, _ := u.get("/shop/end"); status != http.StatusOK {
		t.Fatalf("ending the session: %d", status)
	}
	for _, proxy := range []*harness.Proxy{p, cold} {
		s = where(t, proxy, id)
		if s.State != "ended" || s.Owner != "" || s.Version != "" || s.Here != nil {
			t.Errorf("after the logout: %+v, wanted it ended", s)
		}
		if !slices.ContainsFunc(s.Copies, func(c copyAnswer) bool { return c.State == "tombstone" && c.Newest && c.Size > 0 }) {
			t.Errorf("after the logout: copies %+v, wanted the mark", s.Copies)
		}
	}
}

// wantCopies wants copies of a version on two nodes, those that really have its key, and none on the third.
func wantCopies(t *testing.T, c *cluster, u *user, s sessionAnswer, version, owner string) {
	t.Helper()
	if len(s.Copies) != len(c.nodes) {
		t.Fatalf("%d copies, wanted a line for each of %d nodes: %+v", len(s.Copies), len(c.nodes), s.Copies)
	}
	var key string
	harness.Eventually(t, "a node lists the session's key", func() bool { // its crawler may miss what was just written
		for _, n := range c.nodes {
			if keys := n.Keys(t, u.base()); len(keys) == 1 {
				key = keys[0]
			}
		}
		return key != ""
	})
	present := 0
	for _, copied := range s.Copies {
		var at int
		if _, err := fmt.Sscanf(copied.Node, "n%d", &at); err != nil {
			t.Fatal(err)
		}
		value, ok := c.nodes[at-1].Get(t, key)
		if !ok {
			if copied.State != "absent" || copied.Newest || copied.Size != 0 {
				t.Errorf("%+v, wanted it absent: memcached has no such key", copied)
			}
			continue
		}
		present++
		if copied.State != "present" || !copied.Newest || copied.Version != version || copied.Owner != owner || copied.Size != len(value) ||
			copied.Age < 0 || copied.Age > 60_000 || copied.TTL != 1800_000 {
			t.Errorf("%+v, wanted the newest version %s of %s in %d bytes", copied, version, owner, len(value))
		}
	}
	if present != 2 {
		t.Errorf("%d copies are present, wanted 2", present)
	}
}

// TestAppsAreRemembered: a session of an app that no configuration suggests is found by the app's name, or as soon as anybody was seen in
// that app.
func TestAppsAreRemembered(t *testing.T) {
	c := startCluster(t, 1)
	odd := startBackend(t, "node9", "tenant/odd")
	c.config.Pools = append(c.config.Pools,
		harness.Pool{Name: "odd", Lines: []string{`match = ["/odd/*"]`}, Backends: []harness.Backend{{Route: "node9", Address: odd.address}}})
	cold := harness.Start(t, c.config)
	u := newUser(t, harness.Start(t, c.config))
	if status, _ := u.get("/odd/count"); status != http.StatusOK {
		t.Fatalf("counting: %d", status)
	}
	id := u.id
	var nothing sessionsAnswer
	ask(t, cold, "/api/sessions/"+id, http.StatusNotFound, &nothing)
	if nothing.Error == "" || !slices.Contains(nothing.Asked, struct{ Pool, App string }{"shop", "localhost/shop"}) {
		t.Errorf("%+v, wanted a sentence, and that localhost/shop was asked", nothing)
	}
	var byName sessionsAnswer
	ask(t, cold, "/api/sessions/"+id+"?pool=odd&app=tenant/odd", http.StatusOK, &byName)
	if len(byName.Sessions) != 1 || byName.Sessions[0].App != "tenant/odd" || byName.Sessions[0].Pool != "odd" {
		t.Errorf("%+v, wanted the session of tenant/odd", byName)
	}
	another := newUser(t, cold)
	if status, _ := another.get("/odd/count"); status != http.StatusOK {
		t.Fatalf("counting: %d", status)
	}
	if s := where(t, cold, id); s.App != "tenant/odd" || s.Owner != "node9" {
		t.Errorf("%+v, wanted the session of tenant/odd", s)
	}
	ask(t, cold, "/api/sessions/"+id+"?pool=shop", http.StatusNotFound, &nothing)
}

// TestWhereWhenTheStoreIsDown: a node that does not answer is said to be unknown, and "nowhere" is not said when nobody can know.
func TestWhereWhenTheStoreIsDown(t *testing.T) {
	c := startCluster(t, 2)
	p := harness.Start(t, c.config)
	u := newUser(t, p)
	u.count(1)
	c.nodes[0].Kill(t)
	p.WaitMetric(t, `rehydra_store_node_up{node="n1"}`, 0)
	s := where(t, p, u.id)
	states := map[string]string{}
	for _, copied := range s.Copies {
		states[copied.Node] = copied.State
	}
	if s.State != "stored" || states["n1"] != "unknown" || states["n2"] != "present" {
		t.Errorf("one node down: %+v, wanted n1 unknown and n2 present", s)
	}
	var nothing sessionsAnswer
	ask(t, p, "/api/sessions/0123456789ABCDEF", http.StatusNotFound, &nothing) // the other node would have the second copy

	c.nodes[1].Kill(t)
	p.WaitMetric(t, `rehydra_store_node_up{node="n2"}`, 0)
	if s := where(t, p, u.id); s.State != "unknown" || s.Here == nil || s.Here.Backend != u.route() || s.TTL != 1800_000 {
		t.Errorf("all nodes down: %+v, wanted it unknown, and seen at %s", s, u.route())
	}
	ask(t, p, "/api/sessions/0123456789ABCDEF", http.StatusServiceUnavailable, &nothing)
	if !strings.Contains(nothing.Error, "nodes that do not answer") {
		t.Errorf("all nodes down: %q, wanted it to say that nobody can know", nothing.Error)
	}

	for _, n := range c.nodes {
		n.Restart(t) // empty
	}
	harness.Eventually(t, "the nodes are up", func() bool {
		return p.Metric(t, `rehydra_store_node_up{node="n1"}`)+p.Metric(t, `rehydra_store_node_up{node="n2"}`) == 2
	})
	harness.Eventually(t, "the nodes hold nothing, or what healed", func() bool {
		s := where(t, p, u.id)
		return s.State == "unstored" || s.State == "stored"
	})
	u.count(2)
	if s := where(t, p, u.id); s.State != "stored" || s.Version != "1.2" {
		t.Errorf("nodes back, next request: %+v, wanted version 1.2 stored", s)
	}
}

// TestBadInputToTheAPI: what cannot be answered says what is wanted.
func TestBadInputToTheAPI(t *testing.T) {
	c := startCluster(t, 1)
	p := harness.Start(t, c.config)
	for _, tc := range []struct {
		method, path, host string
		status             int
		sentence           string
	}{
		{"GET", "/api/sessions/.node1", "", 400, "wanted a session id of at most 200 characters"},
		{"GET", "/api/sessions/%22%3Cscript%3E", "", 400, "wanted a session id"},
		{"GET", "/api/sessions/" + strings.Repeat("A", 201), "", 400, "wanted a session id"},
		{"GET", "/api/sessions/ABC", "", 404, "no session of that id is known here or in the store"},
		{"GET", "/api/sessions/ABC?pool=nosuch", "", 404, `given pool \"nosuch\", wanted one that keeps sessions: shop`},
		{"GET", "/api/sessions/", "", 404, "wanted /api/status"},
		{"GET", "/api/nosuch", "", 404, "wanted /api/status"},
		{"GET", "/nosuch", "", 404, ""},
		{"POST", "/api/backends", "", 405, ""},
		{"DELETE", "/api/sessions/ABC", "", 405, ""},
		{"GET", "/api/backends", "rebound.example.com", 421, "ask for it as localhost"},
		{"GET", "/metrics", "rebound.example.com:8079", 421, "ask for it as localhost"},
		{"GET", "/api/backends", "localhost", 200, ""},
		{"GET", "/api/backends", "[::1]:8079", 200, ""},
	} {
		status, contentType, body := call(t, p, tc.method, tc.path, tc.host)
		if status != tc.status || !strings.Contains(body, tc.sentence) || tc.sentence != "" && contentType != "application/json" {
			t.Errorf("%s %s (Host %q): %d %s %s, wanted %d and %q", tc.method, tc.path, tc.host, status, contentType, body, tc.status, tc.sentence)
		}
	}
	plain := c.config
	plain.NoToken, plain.Store = true, nil
	var a sessionsAnswer
	ask(t, harness.Start(t, plain), "/api/sessions/ABC", http.StatusNotFound, &a)
	if !strings.Contains(a.Error, "the session tier is off") {
		t.Errorf("without a tier: %q, wanted it said", a.Error)
	}
}
