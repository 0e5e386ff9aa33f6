package protocol

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"rehydra/e2e/harness"
)

// Section 2: what follows a 428.

func TestFailOverRestores(t *testing.T) {
	eachStore(t, func(t *testing.T, nodes []*harness.Memcached) {
		for _, size := range []int{10, 4096, 4097, 200_000} {
			t.Run(fmt.Sprint(size), func(t *testing.T) {
				m1, m2 := startModel(t, "node1"), startModel(t, "node2")
				g := newRigOn(t, nodes, []*backend{m1.backend, m2.backend})
				text, base := strings.Repeat("z", size), fmt.Sprintf("FO%d", size)
				g.begin(m1, base, "")
				ask(t, g.proxy.Address(), 200, query{method: "POST", target: "/add", cookie: base + ".node1", body: text})
				m1.Down()
				wantAt(t, g.get("/get", base+".node1"), m2, text)
				wantAt(t, g.get("/get", base+".node2"), m2, text)
				g.isCounter("restores", 1)
				g.isCounter("lost", 0)

				// It goes on from there, and back: nothing old returns with the restarted node1.
				text += "+2"
				wantAt(t, g.get("/add?text=%2B2", base+".node2"), m2, text)
				m1.restart()
				g.waitBackend(m1.backend, true)
				wantAt(t, g.get("/get", base+".node2"), m2, text)
				m2.Down()
				wantAt(t, g.get("/get", base+".node2"), m1, text)
				if s := m1.session(base); s.version() != "3.0" {
					t.Errorf("the second hand-over installed version %s, wanted 3.0", s.version())
				}
			})
		}
	})
}

// A former owner that comes back with its old copy must not serve it.
func TestFormerOwnerGetsTheNewState(t *testing.T) {
	eachStore(t, func(t *testing.T, nodes []*harness.Memcached) {
		m1, m2 := startModel(t, "node1"), startModel(t, "node2")
		g := newRigOn(t, nodes, []*backend{m1.backend, m2.backend})
		g.begin(m1, "OLD", "1")
		m1.Down() // it is only cut off: its sessions stay
		wantAt(t, g.get("/add?text=2", "OLD.node1"), m2, "12")
		m1.Up()
		g.waitBackend(m1.backend, true)
		// The client has lost the new cookie: the id names node1, whose copy is old. The request follows the session.
		wantAt(t, g.get("/get", "OLD.node1"), m2, "12")
		m2.Down()
		wantAt(t, g.get("/get", "OLD.node1"), m1, "12")
		wantAt(t, g.get("/add?text=3", "OLD.node1"), m1, "123")
		// And node2 is now the former owner.
		m2.Up()
		g.waitBackend(m2.backend, true)
		m1.Down()
		wantAt(t, g.get("/get", "OLD.node2"), m2, "123")
		if s := m2.session("OLD"); s.version() != "4.0" {
			t.Errorf("node2 holds version %s, wanted 4.0", s.version())
		}
		g.isCounter("fenced", 0)
	})
}

// A backend that was restarted and owns the session by the store's record gets it again under a new generation.
func TestSameOwnerGetsANewGeneration(t *testing.T) {
	eachStore(t, func(t *testing.T, nodes []*harness.Memcached) {
		m1 := startModel(t, "node1")
		g := newRigOn(t, nodes, []*backend{m1.backend})
		g.begin(m1, "SELF", "x")
		for generation := 2; generation <= 4; generation++ {
			m1.restart()
			m1.forget()
			harness.Eventually(t, "node1 answers with the session", func() bool {
				r := g.send(query{target: "/get", cookie: "SELF.node1"})
				return r.status == 200 && r.body == "x"
			})
			if s := m1.session("SELF"); s.version() != fmt.Sprintf("%d.0", generation) {
				t.Fatalf("restored as version %s, wanted %d.0", s.version(), generation)
			}
		}
	})
}

func TestNeedWithoutACopy(t *testing.T) {
	eachStore(t, func(t *testing.T, nodes []*harness.Memcached) {
		m1 := startModel(t, "node1")
		g := newRigOn(t, nodes, []*backend{m1.backend})
		if r := g.get("/get", "NOBODY.node1"); r.body != "no session" {
			t.Errorf("the answer is %q", r.body)
		}
		if q := m1.requests(); len(q) != 2 || q[0].have() != "ask" || q[1].have() != "none" || q[1].id() != "NOBODY.node1" {
			t.Errorf("asked %d times, last with %q", len(q), q[len(q)-1].fields)
		}
		if m1.runs("/get") != 1 {
			t.Errorf("the application ran %d times, wanted once", m1.runs("/get"))
		}
		g.isCounter("lost", 0) // it never was
	})
}

func TestNeedOfAnEndedSession(t *testing.T) {
	eachStore(t, func(t *testing.T, nodes []*harness.Memcached) {
		m1, m2 := startModel(t, "node1"), startModel(t, "node2")
		g := newRigOn(t, nodes, []*backend{m1.backend, m2.backend})
		g.begin(m1, "BYE", "secret")
		g.get("/logout", "BYE.node1")
		m1.restart()
		g.waitBackend(m1.backend, true)
		if r := g.get("/get", "BYE.node1"); r.body != "no session" {
			t.Errorf("after the logout %q is there", r.body)
		}
		if q := m1.requests(); q[len(q)-1].have() != "gone" {
			t.Errorf("Rehydra-Have is %q, wanted gone", q[len(q)-1].have())
		}
		m1.Down()
		g.get("/get", "BYE.node1")
		if q := m2.requests(); q[len(q)-1].have() != "gone" {
			t.Errorf("Rehydra-Have at node2 is %q, wanted gone", q[len(q)-1].have())
		}
		g.isCounter("lost", 0)
	})
}

// Thirty requests of one session at once, at fail-over: one hand-over, one generation, nothing run twice.
func TestParallelRequestsShareTheHandOver(t *testing.T) {
	eachStore(t, func(t *testing.T, nodes []*harness.Memcached) {
		for _, c := range []struct {
			name string
			size int
			seen bool // node2's adapter is known before
		}{{"inline", 10, false}, {"install", 50_000, false}, {"inline to a known adapter", 10, true}, {"install at a known adapter", 50_000, true}} {
			t.Run(c.name, func(t *testing.T) {
				m1, m2 := startModel(t, "node1"), startModel(t, "node2")
				g := newRigOn(t, nodes, []*backend{m1.backend, m2.backend})
				base, text := "PAR"+strings.ReplaceAll(c.name, " ", ""), strings.Repeat("p", c.size)
				g.begin(m1, base, "")
				ask(t, g.proxy.Address(), 200, query{method: "POST", target: "/add", cookie: base + ".node1", body: text})
				if c.seen {
					g.warm(m2)
				}
				m1.Down()
				var all sync.WaitGroup
				var wrong atomic.Int32
				for i := range 30 {
					all.Go(func() {
						q := query{target: "/get", cookie: base + ".node1"}
						if i%3 == 0 {
							q = query{method: "POST", target: "/get", cookie: base + ".node1", body: "x"}
						}
						if r := g.send(q); r.status != 200 || r.body != text {
							wrong.Add(1)
							t.Errorf("status %d, %v, %q", r.status, r.err, clip(r.body))
						}
					})
				}
				all.Wait()
				if s := m2.session(base); wrong.Load() == 0 && (s == nil || s.version() != "2.0") {
					t.Errorf("installed as %+v, wanted version 2.0", s)
				}
				if n := m2.runs("/get"); n != 30 {
					t.Errorf("the application ran %d times, wanted 30", n)
				}
				if n := len(m2.operations()); c.size > 4096 && n != 1 {
					t.Errorf("%d installs, wanted 1", n)
				}
				g.isCounter("restores", 1)
				g.isCounter("lost", 0)
			})
		}
	})
}

// A backend that cannot read the state it gets asks again; it is let go on without, and nothing is lost in the store.
func TestStateThatABackendCannotRead(t *testing.T) {
	t.Parallel()
	for _, size := range []int{10, 10_000} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			t.Parallel()
			m1, m2, m3 := startModel(t, "node1"), startModel(t, "node2"), startModel(t, "node3")
			m2.before = func(q *call) bool {
				if q.op() == "install" {
					_ = q.readBody() // the answer is the same
					q.reply(plain("").as("400 Bad Request"))
					return true
				}
				_, inHeader := q.lookup("Rehydra-State")
				if inHeader || q.have() != "none" && q.id() != "" {
					q.reply(need(q.id()))
					return true
				}
				return false
			}
			g := newRig(t, []*backend{m1.backend, m2.backend, m3.backend})
			text := strings.Repeat("u", size)
			g.begin(m1, "UNREAD", "")
			ask(t, g.proxy.Address(), 200, query{method: "POST", target: "/add", cookie: "UNREAD.node1", body: text})
			m1.Down()
			m3.Down()
			if r := g.get("/get", "UNREAD.node1"); r.body != "no session" {
				t.Errorf("the answer is %q, wanted one without a session", clip(r.body))
			}
			g.wantCounter("lost", 1)
			m2.Down()
			m3.Up()
			g.waitBackend(m3.backend, true)
			wantAt(t, g.get("/get", "UNREAD.node1"), m3, text)
		})
	}
}

// An application's own 400 to a request that brought its session along is that request's answer: it must not be sent twice.
func TestRefusalOfTheApplicationIsNotAsking(t *testing.T) {
	t.Parallel()
	m1, m2 := startModel(t, "node1"), startModel(t, "node2")
	var ran atomic.Int32
	m2.before = func(q *call) bool {
		if q.method != "POST" || q.op() != "" || q.get("Rehydra-State") == "" {
			return false
		}
		ran.Add(1)
		_ = q.readBody() // the answer is the same
		q.reply(plain("no").as("400 Bad Request"))
		return true
	}
	g := newRig(t, []*backend{m1.backend, m2.backend})
	g.begin(m1, "REFUSED", "text")
	m1.Down()
	g.waitBackend(m1.backend, false)
	if r := g.send(query{method: "POST", target: "/add", cookie: "REFUSED.node1", body: "x"}); r.status == 428 || r.err != nil {
		t.Fatalf("status %d, %v", r.status, r.err)
	} else if r.status != 400 {
		t.Errorf("status %d, wanted the application's 400", r.status)
	}
	if n := ran.Load(); n != 1 {
		t.Errorf("the application ran %d times, wanted once", n)
	}
}

// A backend that asks without end is not asked without end.
func TestBackendThatGoesOnAsking(t *testing.T) {
	t.Parallel()
	b := startBackend(t, "node1", func(q *call) { q.reply(need(q.id())) })
	g := newRig(t, []*backend{b})
	r := g.send(query{cookie: "ASK.node1"})
	if r.status != 502 || len(b.requests()) > 8 {
		t.Errorf("status %d after %d requests, wanted 502 after a few", r.status, len(b.requests()))
	}
}

func TestMalformedNeed(t *testing.T) {
	t.Parallel()
	var value atomic.Value
	b1 := startBackend(t, "node1", func(q *call) {
		q.reply(reply{status: "428 Precondition Required", fields: []string{"Rehydra-Need: " + value.Load().(string)}})
	})
	m2 := startModel(t, "node2")
	g := newRig(t, []*backend{b1, m2.backend})
	for _, v := range []string{
		"", "x", `id`, `id=`, `id=""; app="a/"`, `id="A.node1"`, `app="localhost/"`, `id="A B.node1"; app="a/"`, `id="A.node1; app="a/"`,
		`id="A.node1"; app=""`, `id="A.node1"; app="a b"`, `id="` + strings.Repeat("x", 300) + `"; app="a/"`, `id="A.node1" app="a/"`,
		`id="A\"B"; app="a/"`, "id=\"A\x01.node1\"; app=\"a/\"", `id="A.node1"; app="` + strings.Repeat("y", 300) + `"`, "; ; ;", "=;=",
	} {
		value.Store(v)
		before := len(b1.requests())
		for _, method := range []string{"GET", "POST"} {
			r := g.send(query{method: method, cookie: "A.node1", target: "/get", body: strings.Repeat("b", len(method)-3)})
			if r.err != nil || r.status != 502 && (r.status != 200 || r.header.Get("X-Node") != "node2") {
				t.Errorf("Rehydra-Need %q: status %d, %v, wanted 502, or 200 of another backend", clip(v), r.status, r.err)
			}
		}
		if n := len(b1.requests()) - before; n > 8 {
			t.Errorf("Rehydra-Need %q: asked %d times", clip(v), n)
		}
	}
}

// A 428 of the application itself, and of a backend without an adapter, is an answer like any other.
func TestApplicationsOwn428(t *testing.T) {
	t.Parallel()
	answers := map[string]reply{
		"/bare":    {status: "428 Precondition Required", body: "app", bare: true, fields: []string{`Rehydra-Need: id="A.node1"; app="localhost/"`}},
		"/app":     {status: "428 Precondition Required", body: "app"},
		"/without": need("A.node1"), // the request has no session id: nothing is wanted of the tier
	}
	b := startBackend(t, "node1", func(q *call) { q.reply(answers[q.path()]) })
	g := newRig(t, []*backend{b})
	for _, target := range []string{"/bare", "/app", "/without"} { // once the adapter is known, /bare would have lost its fields
		want := answers[target]
		b.forget()
		id := "A.node1"
		if target == "/without" {
			id = ""
		}
		r := ask(t, g.proxy.Address(), 428, query{target: target, cookie: id})
		if r.body != want.body || len(b.requests()) != 1 || len(b.operations()) != 0 {
			t.Errorf("%s: %q after %d requests and %d operations", target, r.body, len(b.requests()), len(b.operations()))
		}
	}
}

// The answers to an install, one by one.
func TestInstallAnswers(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		status string
		want   int // of the client
		node   string
	}{
		{"204 No Content", 200, "node2"}, {"409 Conflict", 200, "node2"}, {"500 Internal Server Error", 200, "node3"},
		{"405 Method Not Allowed", 200, "node3"}, {"404 Not Found", 200, "node3"}, {"", 200, "node3"},
	} {
		t.Run(c.status, func(t *testing.T) {
			t.Parallel()
			m1, m2, m3 := startModel(t, "node1"), startModel(t, "node2"), startModel(t, "node3")
			m2.before = func(q *call) bool {
				if q.op() != "install" {
					return false
				}
				switch {
				case q.readBody() != nil || c.status == "":
					harness.Reset(q.conn)
				case strings.HasPrefix(c.status, "204"):
					return false
				case strings.HasPrefix(c.status, "409"):
					m2.mu.Lock()
					m2.sessions["INST"] = &kept{generation: 2, counter: 0, text: string(q.body)}
					m2.mu.Unlock()
					fallthrough
				default:
					q.reply(plain("").as(c.status))
				}
				return true
			}
			g := newRig(t, []*backend{m1.backend, m2.backend, m3.backend})
			text := strings.Repeat("i", 9000)
			g.begin(m1, "INST", "")
			ask(t, g.proxy.Address(), 200, query{method: "POST", target: "/add", cookie: "INST.node1", body: text})
			m1.Down()
			r := g.get("/get", "INST.node2") // node2 is the first to be asked
			if r.header.Get("X-Node") != c.node || r.body != text {
				t.Errorf("answered by %s with %d bytes, wanted %s with the session", r.header.Get("X-Node"), len(r.body), c.node)
			}
		})
	}
}

// Several session cookies: the one that has a copy is restored, and it is the one that Rehydra-Id names.
func TestSeveralIDs(t *testing.T) {
	t.Parallel()
	m1, m2 := startModel(t, "node1"), startModel(t, "node2")
	g := newRig(t, []*backend{m1.backend, m2.backend})
	g.begin(m1, "REAL", "mine")
	m1.Down()
	for _, c := range []struct{ name, target, cookies string }{
		{"the second cookie", "/get", "JSESSIONID=STALE.node1; JSESSIONID=REAL.node1"},
		{"the first cookie", "/get", "JSESSIONID=REAL.node1; JSESSIONID=STALE.node1"},
		{"the path alone", "/get;jsessionid=REAL.node1", "X=1"},
		{"two cookie fields", "/get", "JSESSIONID=STALE.node9\r\nCookie: JSESSIONID=REAL.node1"},
	} {
		m2.restart()
		m2.forget()
		var last *call
		harness.Eventually(t, c.name+": node2 answers", func() bool {
			r := g.send(query{target: c.target, fields: []string{"Cookie: " + c.cookies}})
			calls := m2.requests()
			if len(calls) > 0 {
				last = calls[len(calls)-1]
			}
			return r.status == 200
		})
		if base, _, _ := strings.Cut(last.id(), "."); base != "REAL" || !isVersion(last.have()) {
			t.Errorf("%s: Rehydra-Id %q with Rehydra-Have %q, wanted REAL with a version", c.name, last.id(), last.have())
		}
		if s := m2.session("REAL"); s == nil || s.text != "mine" {
			t.Errorf("%s: restored %+v", c.name, s)
		}
	}
}

// Tomcat looks at no path parameter where there is a cookie: to restore the path's session would help nobody.
func TestPathIsNotLookedUpBesideACookie(t *testing.T) {
	t.Parallel()
	m1, m2 := startModel(t, "node1"), startModel(t, "node2")
	g := newRig(t, []*backend{m1.backend, m2.backend})
	g.begin(m1, "REAL", "mine")
	m1.Down()
	g.get("/get;jsessionid=REAL.node1", "STALE.node1")
	for _, q := range m2.requests() {
		if q.id() != "STALE.node1" || q.have() != "ask" && q.have() != "none" {
			t.Errorf("Rehydra-Id %q with Rehydra-Have %q, wanted STALE.node1, at last with none", q.id(), q.have())
		}
	}
	wantAt(t, g.get("/get", "REAL.node1"), m2, "mine")
}
