package node

import (
	"bytes"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"rehydra/e2e/harness"
)

// cluster is two Node backends, two memcacheds and a proxy in front of them.
type cluster struct {
	nodes map[string]*server // by route
	proxy *harness.Proxy
}

func startCluster(t *testing.T) *cluster {
	t.Helper()
	c := &cluster{nodes: make(map[string]*server)}
	pool := harness.Pool{Name: "shop", Health: []string{`path = "/health"`, `interval = "100ms"`, `timeout = "5s"`}}
	for _, route := range []string{"node1", "node2"} {
		s := newServer(t, route, "express")
		c.nodes[route] = s
		pool.Backends = append(pool.Backends, harness.Backend{Route: route, Address: s.address})
	}
	c.proxy = harness.Start(t, harness.Config{
		// What is tested is what becomes of sessions, not what a loaded machine has time for.
		Session: []string{`save_timeout = "10s"`, `restore_timeout = "10s"`},
		Store:   append(harness.Nodes(harness.StartMemcached(t), harness.StartMemcached(t)), `timeout = "2s"`), Pools: []harness.Pool{pool},
	})
	return c
}

// during kills the node of route, calls do, and starts it again.
func (c *cluster) during(t *testing.T, route string, do func()) {
	t.Helper()
	c.nodes[route].kill()
	do()
	c.nodes[route].start()
	c.proxy.WaitUp(t, "shop", route)
}

// user is a browser's worth of client: it keeps its cookies.
type user struct {
	t      *testing.T
	base   string
	client *http.Client
}

func (c *cluster) user(t *testing.T) *user {
	t.Helper()
	return &user{t: t, base: "http://" + c.proxy.Address() + "/shop", client: harness.NewVisitor(t)}
}

// page is what the application printed.
type page = harness.SessionPage

// do sends a request with body, which must be answered with 200, and reads the page. No field of the protocol may come along.
func (u *user) do(body []byte, pairs ...string) page {
	u.t.Helper()
	query := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		query.Set(pairs[i], pairs[i+1])
	}
	method := http.MethodGet
	if body != nil {
		method = http.MethodPost
	}
	req, err := http.NewRequestWithContext(u.t.Context(), method, u.base+"?"+query.Encode(), bytes.NewReader(body))
	if err != nil {
		u.t.Fatal(err)
	}
	resp, err := u.client.Do(req)
	if err != nil {
		u.t.Fatalf("%s %v: %v", method, pairs, err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		u.t.Fatalf("%s %v: status %d, wanted 200: %v\n%s", method, pairs, resp.StatusCode, err, text)
	}
	for _, fields := range []http.Header{resp.Header, resp.Trailer} {
		for name := range fields {
			if strings.HasPrefix(name, "Rehydra-") {
				u.t.Errorf("%v: the client got %s", pairs, name)
			}
		}
	}
	return harness.ParseSessionPage(string(text))
}

// cookie is the session id that the client would send next.
func (u *user) cookie() string {
	u.t.Helper()
	address, err := url.Parse(u.base)
	if err != nil {
		u.t.Fatal(err)
	}
	for _, c := range u.client.Jar.Cookies(address) {
		if c.Name == "JSESSIONID" {
			return c.Value
		}
	}
	return ""
}

// movedTo wants got to show the session of want at another node: the same base id and values, the new route in the cookie.
func (u *user) movedTo(route string, got, want page, names ...string) {
	u.t.Helper()
	got.WantSame(u.t, want, names...)
	if got.Route() != route || u.cookie() != got.Session {
		u.t.Errorf("the session is %q and the cookie %q, wanted the route %s in both", got.Session, u.cookie(), route)
	}
}

// TestFailOver walks through what users do to their sessions, and kills the node under them each time.
func TestFailOver(t *testing.T) {
	c := startCluster(t)
	for _, walk := range []struct {
		name string
		walk func(*testing.T, *cluster)
	}{
		{"ThereAndBack", walkThereAndBack},
		{"Cart", walkCart},
		{"LateAndLarge", walkLate},
		{"RenewedID", walkRenewed},
		{"Logout", walkLogout},
		{"LargeBody", walkBody},
	} {
		t.Run(walk.name, func(t *testing.T) { walk.walk(t, c) })
	}
	for route, s := range c.nodes {
		s.kill()
		if s.output.Len() > 0 {
			t.Errorf("%s wrote:\n%s", route, s.output.String())
		}
	}
}

// The session moves to the other node, changes there, and moves back to the node that held an older state of it.
func walkThereAndBack(t *testing.T, c *cluster) {
	u := c.user(t)
	before := u.do(nil, "op", "set", "k", "color", "v", "green")
	first := before.Route()
	restores := c.proxy.Metric(t, "rehydra_session_restores_total")
	c.during(t, first, func() {
		u.movedTo(harness.OtherOf(first), u.do(nil, "op", "show"), before, "color")
		before = u.do(nil, "op", "set", "k", "color", "v", "blue")
	})
	c.during(t, harness.OtherOf(first), func() {
		u.movedTo(first, u.do(nil, "op", "show"), before, "color")
	})
	if n := c.proxy.Metric(t, "rehydra_session_restores_total") - restores; n != 2 {
		t.Errorf("%v sessions were restored, wanted 2", n)
	}
}

// A list in the session is changed in place.
func walkCart(t *testing.T, c *cluster) {
	u := c.user(t)
	var before page
	for _, item := range []string{"tea", "cups", "pot"} {
		before = u.do(nil, "op", "append", "k", "cart", "v", item)
	}
	if before.Values["cart"] != "tea,cups,pot" {
		t.Fatalf("the cart is %q", before.Values["cart"])
	}
	c.during(t, before.Route(), func() {
		u.movedTo(harness.OtherOf(before.Route()), u.do(nil, "op", "show"), before, "cart")
	})
}

// A session of 200 KB, one that changes after the answer began, and one that changes after a body of a declared length.
func walkLate(t *testing.T, c *cluster) {
	u := c.user(t)
	u.do(nil, "op", "big", "k", "heap", "n", "200000")
	before := u.do(nil, "op", "late", "k", "color", "v", "green")
	c.during(t, before.Route(), func() {
		u.movedTo(harness.OtherOf(before.Route()), u.do(nil, "op", "show"), before, "heap", "color")
	})
	u.do(nil, "op", "fixed", "k", "color", "v", "red")
	before = u.do(nil, "op", "show")
	if before.Values["color"] != "red" || before.Values["heap"] != "200000" {
		t.Fatalf("color is %q, heap %q", before.Values["color"], before.Values["heap"])
	}
	c.during(t, before.Route(), func() {
		u.movedTo(harness.OtherOf(before.Route()), u.do(nil, "op", "show"), before, "heap", "color")
	})
}

// A login renews the id: the new one lives, the old one is gone.
func walkRenewed(t *testing.T, c *cluster) {
	u, stale := c.user(t), c.user(t)
	before := u.do(nil, "op", "set", "k", "color", "v", "green")
	stale.client.Jar.SetCookies(mustParse(t, u.base), []*http.Cookie{{Name: "JSESSIONID", Value: before.Session, Path: "/"}})
	renewed := u.do(nil, "op", "renew")
	if renewed.BaseID() == before.BaseID() || u.cookie() != renewed.Session {
		t.Fatalf("the id is %q after %q, the cookie %q", renewed.Session, before.Session, u.cookie())
	}
	c.during(t, renewed.Route(), func() {
		u.movedTo(harness.OtherOf(renewed.Route()), u.do(nil, "op", "show"), renewed, "color")
		if p := stale.do(nil, "op", "show"); p.Session != "none" {
			t.Errorf("the old id shows the session %q", p.Session)
		}
	})
}

// Who logged out stays logged out, whoever dies.
func walkLogout(t *testing.T, c *cluster) {
	u := c.user(t)
	before := u.do(nil, "op", "set", "k", "color", "v", "secret")
	u.do(nil, "op", "invalidate")
	c.during(t, before.Route(), func() {
		if p := u.do(nil, "op", "show"); p.Session != "none" {
			t.Errorf("the ended session is back: %q", p.Session)
		}
	})
}

// A body that is too large to be kept reaches the node that has no session yet: 428 comes in place of 100.
func walkBody(t *testing.T, c *cluster) {
	u := c.user(t)
	before := u.do(nil, "op", "set", "k", "color", "v", "green")
	c.during(t, before.Route(), func() {
		after := u.do(make([]byte, 3_000_000), "op", "show")
		u.movedTo(harness.OtherOf(before.Route()), after, before, "color")
		if after.Values["body"] != "3000000" {
			t.Errorf("a body of %s bytes reached the application, wanted 3000000", after.Values["body"])
		}
	})
}

func mustParse(t *testing.T, text string) *url.URL {
	t.Helper()
	u, err := url.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return u
}
