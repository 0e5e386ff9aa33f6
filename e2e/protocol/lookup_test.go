package protocol

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"rehydra/e2e/harness"
)

// Section 5: looking a session up.

// No node answers: that is not "no copy".
func TestLookupFailure(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"new", "refuse"} {
		for _, dead := range []string{"killed", "frozen"} {
			t.Run(mode+" "+dead, func(t *testing.T) {
				t.Parallel()
				nodes := twoNodes(t)
				m1, m2 := startModel(t, "node1"), startModel(t, "node2")
				g := newRigOn(t, nodes, []*backend{m1.backend, m2.backend}, session(fmt.Sprintf("lookup_failure = %q", mode)))
				g.begin(m1, "FAIL", "kept")
				for i, n := range nodes {
					if dead == "killed" {
						n.Kill(t)
						g.waitNode(i+1, false)
					} else {
						n.Freeze(t)
					}
				}
				m1.Down()
				r := g.send(query{target: "/get", cookie: "FAIL.node1"})
				if mode == "refuse" {
					if r.status != 503 || r.header.Get("Retry-After") == "" || m2.runs("/get") != 0 {
						t.Errorf("status %d (Retry-After %q) after %d runs, wanted 503 with it and none", r.status, r.header.Get("Retry-After"), m2.runs("/get"))
					}
					g.isCounter("lost", 0)
				} else {
					if r.status != 200 || r.body != "no session" {
						t.Errorf("status %d, %q, wanted the request to go on without", r.status, r.body)
					}
					g.wantCounter("lost", 1)
					g.proxy.WaitEvent(t, "a look-up that failed", func(e harness.Event) bool {
						return e.Text("level") == "warn" && strings.Contains(e.Text("message"), "not looked up")
					})
				}
				if dead == "killed" {
					return // its copies are gone
				}
				// A failed look-up was not in vain: when the nodes answer, the session is there.
				for i, n := range nodes {
					n.Thaw(t)
					g.waitNode(i+1, true)
				}
				wantAt(t, g.get("/get", "FAIL.node1"), m2, "kept")
			})
		}
	}
}

// Lost counts sessions, not requests without one: a local session under exactly the id sent is used.
func TestLostOnlyIfItIs(t *testing.T) {
	t.Parallel()
	nodes := twoNodes(t)
	m1 := startModel(t, "node1")
	first := newRigOn(t, nodes, []*backend{m1.backend})
	first.begin(m1, "LOCAL", "mine")
	for _, n := range nodes {
		n.Kill(t)
	}
	g := newRigOn(t, nodes, []*backend{m1.backend}) // knows nothing, and finds no node
	wantAt(t, g.get("/get", "LOCAL.node1"), m1, "mine")
	g.isCounter("lost", 0)
	g.get("/get", "GUESSED.node1")
	g.isCounter("lost", 1) // nobody can say that it was none
	g.get("/new?id=FRESH", "REPLACED.node1")
	g.isCounter("lost", 2) // a session, but not that one
}

// Guessed ids cost the store one look-up each, for a moment; a session that is made under such an id is known at once.
func TestUnknownIDs(t *testing.T) {
	t.Parallel()
	nodes := twoNodes(t)
	m1, m2 := startModel(t, "node1"), startModel(t, "node2")
	g := newRigOn(t, nodes, []*backend{m1.backend, m2.backend})
	g.warm(m1, m2)
	gets := func() int { return nodes[0].Stat(t, "cmd_get") + nodes[1].Stat(t, "cmd_get") }
	start := time.Now()
	before := gets()
	for range 20 {
		g.get("/get", "GUESS.node1")
	}
	n := gets() - before
	most := 2 * (2 + int(time.Since(start)/time.Second)) // and a probe of each node a few times a second
	probes := 2 * (1 + int(time.Since(start)/(50*time.Millisecond)))
	if n > most+probes {
		t.Errorf("20 requests with a guessed id cost %d gets, wanted at most %d", n, most+probes)
	}
	g.get("/new?id=GUESS", "GUESS.node1") // from now on it is one
	m1.Down()
	wantAt(t, g.get("/get", "GUESS.node1"), m2, "")
	if m2.session("GUESS") == nil {
		t.Error("a session made under an id that was unknown a moment ago is not found")
	}
}

// The newest version wins, whichever node has it.
func TestNewestVersionWins(t *testing.T) {
	t.Parallel()
	for _, away := range []int{0, 1} {
		nodes := twoNodes(t)
		m1, m2 := startModel(t, "node1"), startModel(t, "node2")
		g := newRigOn(t, nodes, []*backend{m1.backend, m2.backend})
		g.begin(m1, "NEWEST", "old")
		nodes[away].Freeze(t)
		g.get("/add?text=er", "NEWEST.node1")
		g.get("/add?text=est", "NEWEST.node1")
		nodes[away].Thaw(t)
		g.waitNode(away+1, true)
		other := newRigOn(t, nodes, []*backend{m1.backend, m2.backend})
		m1.Down()
		wantAt(t, other.get("/get", "NEWEST.node1"), m2, "olderest")
	}
}

// A copy that fails its checksum counts as absent, is logged and counted, and reaches no backend.
func TestCorruptCopies(t *testing.T) {
	t.Parallel()
	for name, hurt := range map[string]func([]byte) []byte{
		"a bit in the state": func(v []byte) []byte { v[len(v)-12] ^= 1; return v },
		"a bit in the head":  func(v []byte) []byte { v[30] ^= 1; return v },
		"cut short":          func(v []byte) []byte { return v[:len(v)-3] },
		"longer":             func(v []byte) []byte { return append(v, 0) },
		"empty":              func([]byte) []byte { return nil },
		"something else":     func([]byte) []byte { return []byte("<html>not a session</html>") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			nodes := twoNodes(t)
			m1, m2 := startModel(t, "node1"), startModel(t, "node2")
			g := newRigOn(t, nodes, []*backend{m1.backend, m2.backend})
			g.begin(m1, "HALF", "one good copy")
			g.begin(m1, "NONE", "no good copy")
			for i, n := range nodes {
				for _, base := range []string{"HALF", "NONE"}[i:] {
					keys := n.Keys(t, base)
					if len(keys) != 1 {
						t.Fatalf("%d copies of %s on one node", len(keys), base)
					}
					value, ok := n.Get(t, keys[0])
					if !ok {
						t.Fatalf("the copy of %s is gone", base)
					}
					n.Set(t, keys[0], hurt(value))
				}
			}
			m1.Down()
			wantAt(t, g.get("/get", "HALF.node1"), m2, "one good copy")
			if r := g.get("/get", "NONE.node1"); r.body != "no session" {
				t.Errorf("a copy that fails its checks came through as %q", r.body)
			}
			if n := g.proxy.Metric(t, "rehydra_session_copies_corrupt_total"); n < 3 {
				t.Errorf("%v copies counted as corrupt, wanted 3 or more", n)
			}
			g.proxy.WaitEvent(t, "a copy that is not readable", func(e harness.Event) bool {
				return e.Text("level") == "warn" && strings.Contains(e.Text("message"), "not readable")
			})
		})
	}
}

// A copy of another session under this one's key, as a confused memcached may answer, is none.
func TestCopyOfAnotherSession(t *testing.T) {
	t.Parallel()
	nodes := twoNodes(t)
	m1, m2 := startModel(t, "node1"), startModel(t, "node2")
	g := newRigOn(t, nodes, []*backend{m1.backend, m2.backend})
	g.begin(m1, "ALICE", "alice's")
	g.begin(m1, "MALLORY", "mallory's")
	for _, n := range nodes {
		value, ok := n.Get(t, n.Keys(t, "ALICE")[0])
		if !ok {
			t.Fatal("no copy")
		}
		n.Set(t, n.Keys(t, "MALLORY")[0], value)
	}
	m1.Down()
	if r := g.get("/get", "MALLORY.node1"); strings.Contains(r.body, "alice") {
		t.Errorf("a session got another's state: %q", r.body)
	}
	wantAt(t, g.get("/get", "ALICE.node1"), m2, "alice's")
}

// memcached does not answer at the start: rehydra starts, warns, answers, and takes it into use when it comes.
func TestMemcachedThatComesLater(t *testing.T) {
	t.Parallel()
	nodes := []*harness.Memcached{harness.UnstartedMemcached(t), harness.UnstartedMemcached(t)}
	m1, m2 := startModel(t, "node1"), startModel(t, "node2")
	g := newRigOn(t, nodes, []*backend{m1.backend, m2.backend})
	g.get("/new?id=EARLY", "0000.node1")
	wantAt(t, g.get("/add?text=e", "EARLY.node1"), m1, "e")
	if g.counter("unprotected") < 2 {
		t.Errorf("%v responses counted as unprotected, wanted both", g.counter("unprotected"))
	}
	g.proxy.WaitEvent(t, "a node is down", harness.Message("store node down"))
	for i, n := range nodes {
		n.Restart(t)
		g.waitNode(i+1, true)
	}
	wantAt(t, g.get("/get", "EARLY.node1"), m1, "e") // nothing changed: it is asked for, and stored
	g.begin(m1, "LATER", "l")
	m1.Down()
	wantAt(t, g.get("/get", "EARLY.node1"), m2, "e")
	wantAt(t, g.get("/get", "LATER.node1"), m2, "l")
}
