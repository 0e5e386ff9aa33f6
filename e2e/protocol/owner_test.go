package protocol

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"rehydra/e2e/harness"
)

// disagreeing starts two proxies on the same memcacheds. The first holds m2 to be out and the second m1, each reaches the other one.
func disagreeing(t *testing.T, nodes []*harness.Memcached, m1, m2 *model) []*rig {
	t.Helper()
	nowhere := func(m *model) *backend { return &backend{route: m.route, address: harness.FreeAddress(t)} }
	rigs := []*rig{
		newRigOn(t, nodes, []*backend{m1.backend, nowhere(m2)}),
		newRigOn(t, nodes, []*backend{nowhere(m1), m2.backend}),
	}
	rigs[0].waitBackend(m2.backend, false)
	rigs[1].waitBackend(m1.backend, false)
	return rigs
}

// A session stays with its owner for as long as that is up, whichever backend the id names.
func TestRequestFollowsItsSession(t *testing.T) {
	eachStore(t, func(t *testing.T, nodes []*harness.Memcached) {
		m1, m2, m3 := startModel(t, "node1"), startModel(t, "node2"), startModel(t, "node3")
		g := newRigOn(t, nodes, []*backend{m1.backend, m2.backend, m3.backend})
		g.begin(m1, "FOLLOW", "1")
		g.warm(m2, m3)
		for _, id := range []string{"FOLLOW.node2", "FOLLOW.node3", "FOLLOW.node9", "FOLLOW"} {
			wantAt(t, g.get("/get", id), m1, "1")
		}
		// What of the request was on its way comes along.
		large := strings.Repeat("x", 300_000)
		r := g.send(query{method: "POST", target: "/add", cookie: "FOLLOW.node2", body: large})
		wantAt(t, r, m1, "1"+large)
		if n := m2.runs("/add") + m2.runs("/get") + m3.runs("/get"); n != 0 {
			t.Errorf("%d requests ran elsewhere", n)
		}
		if s := m1.session("FOLLOW"); s.version() != "1.3" {
			t.Errorf("version %s, wanted 1.3: nobody took it away", s.version())
		}
		// A new epoch of node2, whose adapter nobody has seen: the 428 tells that the session is elsewhere.
		g.without(m2.backend, func() {})
		wantAt(t, g.get("/get", "FOLLOW.node2"), m1, "1"+large)
		g.isCounter("restores", 0)
	})
}

// It does not follow to an owner where it has just failed, or one that is out or stopped.
func TestRequestLeavesAnOwnerThatCannotAnswer(t *testing.T) {
	eachStore(t, func(t *testing.T, nodes []*harness.Memcached) {
		m1, m2 := startModel(t, "node1"), startModel(t, "node2")
		g := newRigOn(t, nodes, []*backend{m1.backend, m2.backend})
		g.begin(m1, "FAILS", "1")
		g.begin(m1, "STOPPED", "1")
		g.warm(m2)
		m1.before = func(q *call) bool {
			if q.path() == "/get" {
				q.conn.Close() // no byte of an answer
				return true
			}
			return false
		}
		m1.forget()
		wantAt(t, g.get("/get", "FAILS.node2"), m2, "1")
		if n := len(m1.requests()); n > 2 { // on a kept connection and on a fresh one
			t.Errorf("the owner that fails got the request %d times, wanted 2 at most", n)
		}

		stopped := g.cfg
		stopped.Pools[0].Backends[0].Lines = []string{`activation = "stopped"`}
		g.proxy.Reload(t, stopped)
		wantAt(t, g.get("/add?text=2", "STOPPED.node2"), m2, "12")
	})
}

// Nor to one that would answer, and is out by its checks.
func TestRequestLeavesAnOwnerThatIsOut(t *testing.T) {
	eachStore(t, func(t *testing.T, nodes []*harness.Memcached) {
		m1, m2 := startModel(t, "node1"), startModel(t, "node2")
		var sick atomic.Bool
		for _, m := range []*model{m1, m2} {
			m.before = func(q *call) bool {
				if q.path() != "/health.png" { // which the tier ignores
					return false
				}
				status := "200 OK"
				if m == m1 && sick.Load() {
					status = "503 Service Unavailable"
				}
				q.reply(plain("").as(status))
				return true
			}
		}
		g := newRigOn(t, nodes, []*backend{m1.backend, m2.backend}, func(c *harness.Config) {
			c.Pools[0].Health = []string{`interval = "50ms"`, `timeout = "10s"`, `path = "/health.png"`}
		})
		g.begin(m1, "OUT", "1")
		g.warm(m2)
		sick.Store(true)
		g.waitBackend(m1.backend, false)
		wantAt(t, g.get("/add?text=2", "OUT.node2"), m2, "12")
	})
}

// Two proxies each reach a backend that the other does not, and a session goes from one to the other and back. The client's cookie may be any
// of those it got meanwhile: what it reads is never older than what was acknowledged.
func TestProxiesThatDisagreeAboutBackends(t *testing.T) {
	t.Parallel()
	m1, m2 := startModel(t, "node1"), startModel(t, "node2")
	proxies := disagreeing(t, twoNodes(t), m1, m2)
	first, second := proxies[0], proxies[1]
	first.begin(m1, "DISAGREE", "1")
	want := "1"
	wantAt(t, second.get("/get", "DISAGREE.node1"), m2, want)
	// Nothing has told the first proxy. What it sends to node1 is refused where it changes anything, and then it knows.
	if r := first.send(query{method: "POST", target: "/add?text=x", cookie: "DISAGREE.node1"}); r.status != 503 {
		t.Fatalf("status %d, %q: a former owner's change was acknowledged", r.status, r.body)
	}
	for range 5 {
		wantAt(t, second.get("/get", "DISAGREE.node1"), m2, want)
		wantAt(t, first.get("/add?text=2", "DISAGREE.node1"), m1, want+"2")
		want += "2"
		wantAt(t, second.get("/get", "DISAGREE.node2"), m2, want)
		wantAt(t, second.get("/add?text=3", "DISAGREE.node2"), m2, want+"3")
		want += "3"
		wantAt(t, first.get("/get", "DISAGREE.node1"), m1, want)
	}
}

// Each install has a generation of its own, whoever asks and however often.
func TestGenerationsAreNeverUsedTwice(t *testing.T) {
	t.Parallel()
	m1, m2 := startModel(t, "node1"), startModel(t, "node2")
	proxies := disagreeing(t, twoNodes(t), m1, m2)
	proxies[0].begin(m1, "GEN", "g")
	proxies[1].warm(m2)
	for range 15 { // each proxy reaches another backend
		var both sync.WaitGroup
		for i := range 4 {
			both.Go(func() {
				r := proxies[i%2].send(query{target: "/add?text=.", cookie: fmt.Sprintf("GEN.node%d", 1+i%2)})
				if r.status != 200 && r.status != 503 {
					t.Errorf("status %d %v, wanted 200, or 503 for a late write", r.status, r.err)
				}
			})
		}
		both.Wait()
	}
	installed := map[string]string{} // by generation: route
	for _, m := range []*model{m1, m2} {
		for _, q := range m.filter(func(q *call) bool { _, ok := q.lookup("Rehydra-State"); return ok || q.op() == "install" }) {
			generation, counter, _ := strings.Cut(q.have(), ".")
			if counter != "0" {
				t.Errorf("installed as %s, wanted counter 0", q.have())
			}
			if other, ok := installed[generation]; ok && other != m.route {
				t.Errorf("generation %s was installed at %s and at %s", generation, other, m.route)
			}
			installed[generation] = m.route
		}
	}
	if len(installed) < 2 || installed["1"] != "" {
		t.Errorf("generations installed: %v", installed)
	}
}
