package protocol

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"rehydra/e2e/harness"
	"rehydra/jvmroute"
)

// Section 1: what the tier sends.

func TestTokenGoesWithEveryRequestButIgnoredOnes(t *testing.T) {
	t.Parallel()
	b := startBackend(t, "node1", func(q *call) { q.reply(plain("ok")) })
	g := newRig(t, []*backend{b})
	for _, target := range []string{"/", "/a.png", "/a.png;jsessionid=ABC.node1", "/a.png?x=1", "/a.png.html"} {
		for _, id := range []string{"", "ABC.node1"} {
			g.get(target, id) // the backend checks each of them
		}
	}
	if n := len(b.requests()); n != 10 {
		t.Errorf("the backend got %d requests, wanted 10", n)
	}
}

func TestClientCannotSendOurFields(t *testing.T) {
	t.Parallel()
	b := startBackend(t, "node1", func(q *call) {
		if q.readBody() == nil {
			q.reply(plain("ok"))
		}
	})
	g := newRig(t, []*backend{b})
	forged := []string{
		"Rehydra-Tier: forged", "rehydra-tier: forged", "REHYDRA-TIER: forged", "Rehydra_Tier: forged", "rehydra_tier: forged",
		"Rehydra-Id: F.node1", "REHYDRA_ID: F.node1", "Rehydra-Have: 9.9", "rehydra-have: none", "Rehydra_Have: gone",
		"Rehydra-State: Zm9yZ2Vk", "Rehydra-Op: drop", "rEhYdRa-oP: read", "Rehydra-Adapter: 1", "Rehydra-Need: x", "Rehydra-Other: x",
	}
	for _, id := range []string{"", "ABC.node1"} {
		for _, f := range forged {
			g.send(query{target: "/", cookie: id, fields: []string{f}})
			g.send(query{target: "/x.png", cookie: id, fields: []string{f}})
		}
		g.send(query{method: "POST", cookie: id, fields: []string{"Transfer-Encoding: chunked", "Trailer: Rehydra-Tier, Rehydra_Op, X-Sum"},
			raw: "2\r\nhi\r\n0\r\nRehydra-Tier: forged\r\nRehydra_Op: drop\r\nX-Sum: 1\r\n\r\n"})
	}
	if n := len(b.requests()) + len(b.operations()); n != 2*(2*len(forged)+1) {
		t.Fatalf("the backend got %d requests, wanted %d", n, 2*(2*len(forged)+1))
	}
	for _, q := range b.filter(func(*call) bool { return true }) {
		all := strings.ToLower(strings.Join(q.fields, "\n"))
		if strings.Contains(all, "forged") || strings.Contains(all, "zm9yz2vk") || strings.Contains(all, "9.9") ||
			strings.Contains(all, "trailer-rehydra") || strings.Contains(all, "rehydra-op") || strings.Contains(all, "rehydra-other") {
			t.Errorf("a client's field came through: %q", q.fields)
		}
		id, ok := q.lookup("Rehydra-Id")
		if has := strings.Contains(q.get("Cookie"), "ABC") && q.path() != "/x.png"; ok != has || has && id != "ABC.node1" {
			t.Errorf("Rehydra-Id is %q (there: %v) with %q", id, ok, q.fields)
		}
	}
}

func TestConnectionCannotRemoveOurFields(t *testing.T) {
	t.Parallel()
	b := startBackend(t, "node1", func(q *call) { q.reply(plain("ok")) })
	g := newRig(t, []*backend{b})
	for _, connection := range []string{
		"Rehydra-Tier", "rehydra-tier, Rehydra-Id, Rehydra-Have, Rehydra-State", "close, REHYDRA-TIER", "keep-alive, Rehydra-Id",
	} {
		g.send(query{cookie: "ABC.node1", fields: []string{"Connection: " + connection, "Connection: Rehydra-Have"}})
	}
	for _, q := range b.requests() { // the token is checked by the backend
		if q.id() != "ABC.node1" || q.have() != "ask" {
			t.Errorf("id %q, have %q, wanted ABC.node1 and ask", q.id(), q.have())
		}
	}
	if len(b.requests()) != 4 {
		t.Errorf("%d requests, wanted 4", len(b.requests()))
	}
}

func TestIDIsTheClientsOwn(t *testing.T) {
	t.Parallel()
	b := startBackend(t, "node1", func(q *call) { q.reply(plain("ok")) })
	g := newRig(t, []*backend{b})
	long := strings.Repeat("x", jvmroute.MaxIDLength)
	for _, c := range []struct{ name, target, cookies, want string }{
		{"base and route", "/", "JSESSIONID=ABC.node1", "ABC.node1"},
		{"no route", "/", "JSESSIONID=ABC", "ABC"},
		{"dashes before the dot", "/", "JSESSIONID=ABC-n1.node1", "ABC-n1.node1"},
		{"a route with dots", "/", "JSESSIONID=ABC.node1.x", "ABC.node1.x"},
		{"quoted", "/", `JSESSIONID="ABC.node1"`, "ABC.node1"},
		{"path parameter", "/a;jsessionid=PPP.node1/b", "", "PPP.node1"},
		{"a cookie wins over the path", "/a;jsessionid=PPP.node1", "JSESSIONID=CCC.node1", "CCC.node1"},
		{"the first cookie", "/", "JSESSIONID=AAA.node1; JSESSIONID=BBB.node1", "AAA.node1"},
		{"the cookie that names the backend", "/", "JSESSIONID=AAA.node9; JSESSIONID=BBB.node1", "BBB.node1"},
		{"another cookie", "/", "SESSION=ABC.node1", ""},
		{"blank in it", "/", `JSESSIONID="A C.node1"`, ""},
		{"too long", "/", "JSESSIONID=" + long + "y", ""},
		{"as long as may be", "/", "JSESSIONID=" + long, long},
		{"empty", "/", "JSESSIONID=", ""},
		{"only a route", "/", "JSESSIONID=.node1", ""},
	} {
		b.forget()
		q := query{target: c.target}
		if c.cookies != "" {
			q.fields = []string{"Cookie: " + c.cookies}
		}
		g.send(q)
		calls := b.requests()
		if len(calls) != 1 {
			t.Fatalf("%s: %d requests, wanted 1", c.name, len(calls))
		}
		if id, ok := calls[0].lookup("Rehydra-Id"); id != c.want || ok != (c.want != "") {
			t.Errorf("%s: Rehydra-Id is %q, wanted %q", c.name, id, c.want)
		}
	}
}

// Rehydra-Have: on the first request to a backend, never on a plain sticky one, and again when the backend was out, when the proxy is
// new, and when the id names another backend.
func TestLookFirstOnlyWhenNeeded(t *testing.T) {
	t.Parallel()
	nodes := twoNodes(t)
	m1, m2 := startModel(t, "node1"), startModel(t, "node2")
	// For a while after a hand-over, which is as long as checks may take, the session is looked for again.
	checks := func(c *harness.Config) { c.Pools[0].Health = []string{`interval = "50ms"`, `timeout = "3s"`} }
	g := newRigOn(t, nodes, []*backend{m1.backend, m2.backend}, checks)
	haves := func(m *model) (h []string) {
		for _, q := range m.requests() {
			h = append(h, q.have())
		}
		m.forget()
		return h
	}
	want := func(step string, m *model, want ...string) {
		t.Helper()
		if got := haves(m); !slices.Equal(got, want) {
			t.Errorf("%s: %s got Rehydra-Have %q, wanted %q", step, m.route, got, want)
		}
	}
	g.begin(m1, "SSS", "a")
	haves(m1)

	hits := func() int { return nodes[0].Stat(t, "get_hits") + nodes[1].Stat(t, "get_hits") } // probes of a node are misses
	before := hits()
	for range 5 {
		wantAt(t, g.get("/get", "SSS.node1"), m1, "a")
	}
	want("plain sticky", m1, "", "", "", "", "")
	if now := hits(); now != before {
		t.Errorf("five plain sticky requests cost %d look-ups, wanted none", now-before)
	}

	m1.Down()
	wantAt(t, g.get("/get", "SSS.node1"), m2, "a")
	want("first request to another backend", m2, "ask", "2.0")
	wantAt(t, g.get("/get", "SSS.node1"), m2, "a")
	want("an id with another route", m2, "2.0")
	// For a while after a hand-over other proxies may not agree about node1, and once more after that.
	plainAgain := func(g *rig) {
		wantAt(t, g.get("/get", "SSS.node2"), m2, "a")
		want("just handed over", m2, "2.0")
		harness.Eventually(t, "plain sticky again", func() bool {
			wantAt(t, g.get("/get", "SSS.node2"), m2, "a")
			return slices.Equal(haves(m2), []string{""})
		})
		before := hits()
		wantAt(t, g.get("/get", "SSS.node2"), m2, "a")
		want("plain sticky again", m2, "")
		if now := hits(); now != before {
			t.Errorf("a plain sticky request cost %d look-ups, wanted none", now-before)
		}
	}
	plainAgain(g)

	// node2 was out for a moment but kept its session; it must be asked again, since the session may have moved.
	m2.Down()
	harness.Eventually(t, "node2 is out", func() bool { return g.send(query{target: "/get", cookie: "SSS.node2"}).status == 503 })
	m2.Up()
	g.waitBackend(m2.backend, true)
	wantAt(t, g.get("/get", "SSS.node2"), m2, "a")
	want("after it was out", m2, "ask", "2.0")
	wantAt(t, g.get("/get", "SSS.node2"), m2, "a")
	want("and then", m2, "")

	other := newRigOn(t, nodes, []*backend{m1.backend, m2.backend}, checks)
	wantAt(t, other.get("/get", "SSS.node2"), m2, "a")
	want("a proxy that has just started", m2, "ask", "2.0")
	plainAgain(other) // when that hand-over was it does not know
}

func TestStateAtTheInlineLimit(t *testing.T) {
	eachStore(t, func(t *testing.T, nodes []*harness.Memcached) {
		m1, m2 := startModel(t, "node1"), startModel(t, "node2")
		g := newRigOn(t, nodes, []*backend{m1.backend, m2.backend}, session("inline_limit = 100"))
		texts := map[string]string{}
		for _, size := range []int{0, 1, 99, 100, 101, 5000} {
			base := fmt.Sprintf("SIZE%d", size)
			texts[base] = strings.Repeat("s", size)
			g.begin(m1, base, texts[base])
		}
		m1.Down()
		for base, text := range texts {
			m2.forget()
			wantAt(t, g.get("/get", base+".node1"), m2, text)
			installs := m2.operations()
			_, inHeader := m2.requests()[len(m2.requests())-1].lookup("Rehydra-State")
			if small := len(text) <= 100; inHeader != small || (len(installs) == 0) != small {
				t.Errorf("%d bytes: in a header %v, operations %d", len(text), inHeader, len(installs))
			}
			if len(text) > 100 && (installs[0].op() != "install" || installs[0].have() != "2.0" || string(installs[0].body) != text ||
				installs[0].method != "REPORT" || installs[0].target != "/get" || installs[0].get("Host") != "shop.example") {
				t.Errorf("%d bytes: installed by %s %s %q", len(text), installs[0].method, installs[0].target, installs[0].fields)
			}
			if s := m2.session(base); s == nil || s.version() != "2.0" || s.text != text {
				t.Errorf("%d bytes: installed as %+v, wanted version 2.0", len(text), s)
			}
		}
	})
}
