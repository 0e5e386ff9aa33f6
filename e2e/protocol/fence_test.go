package protocol

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"rehydra/e2e/harness"
)

// Section 5: an older version never replaces a newer one; what a former owner still says is refused.

// lateWriter is a backend whose answer to /slow waits for let.
type lateWriter struct {
	*backend
	let chan struct{}
}

func startLateWriter(t *testing.T, id string, answer reply) *lateWriter {
	w := &lateWriter{let: make(chan struct{})}
	w.backend = startBackend(t, "node1", nil)
	w.handle = func(q *call) {
		switch {
		case q.op() == "read":
			q.reply(readAnswer(id, "1.2", "late"))
		case q.path() == "/new":
			q.reply(inline(id, "1.1", "first"))
		case q.path() == "/slow":
			<-w.let
			q.reply(answer)
		default:
			q.reply(plain("not for node1"))
		}
	}
	return w
}

// without takes a backend out for as long as f runs: new connections are refused, and what runs on those that are there goes on.
func (g *rig) without(b *backend, f func()) {
	g.t.Helper()
	b.StopListening()
	g.waitBackend(b, false)
	f()
	b.Up()
	g.waitBackend(b, true)
}

func TestLateWriteOfAFormerOwner(t *testing.T) {
	eachStore(t, func(t *testing.T, nodes []*harness.Memcached) {
		large := text(200_000)
		cases := map[string]func(id string) reply{
			"inline": func(id string) reply { return inline(id, "1.2", "late") },
			"late": func(id string) reply {
				return late(id, "1.2", report(id, "1.2", "ttl=1800; state=inline"), stateField("late"))
			},
			"late, large": func(id string) reply {
				r := late(id, "1.2", report(id, "1.2", "ttl=1800; state=inline"), stateField("late"))
				r.body = large
				return r
			},
			"pull":        func(id string) reply { return pull(id, "1.2") },
			"pull, large": func(id string) reply { r := pull(id, "1.2"); r.body = large; return r },
			"same":        func(id string) reply { return same(id, "1.2") },
		}
		n := 0
		for _, mode := range []string{"sync", "async", "sync, deaf", "async, deaf"} {
			mode, deaf := strings.CutSuffix(mode, ", deaf") // it cannot be asked any more
			for name, answer := range cases {
				t.Run(fmt.Sprintf("%s %s deaf=%v", mode, name, deaf), func(t *testing.T) {
					n++
					base := fmt.Sprintf("FENCE%d", n)
					id := base + ".node1"
					w := startLateWriter(t, id, answer(id))
					m2 := startModel(t, "node2")
					g := newRigOn(t, nodes, []*backend{w.backend, m2.backend}, session(fmt.Sprintf("save = %q", mode)))
					g.get("/new", "")
					g.wantCounter("saves", 1)
					var slow response
					var wait sync.WaitGroup
					wait.Go(func() { slow = g.send(query{target: "/slow", cookie: id}) })
					harness.Eventually(t, "the slow request is at node1", func() bool { return len(w.requests()) == 2 })
					g.without(w.backend, func() { wantAt(t, g.get("/add?text=second", base+".node2"), m2, "firstsecond") })
					if deaf {
						w.StopListening()
					}
					close(w.let)
					wait.Wait()
					g.wantCounter("fenced", 1)
					switch {
					case mode == "async" && (slow.status != 200 || slow.err != nil):
						t.Errorf("status %d, %v, wanted 200", slow.status, slow.err)
					case mode == "sync" && !strings.HasSuffix(name, "large") && slow.status != 503:
						t.Errorf("status %d, wanted 503: it was acknowledged", slow.status)
					case mode == "sync" && slow.status != 503 && !slow.cutOff():
						t.Errorf("status %d, %v, wanted 503, or a visible cut: it was acknowledged", slow.status, slow.err)
					}
					wantAt(t, g.get("/get", base+".node2"), m2, "firstsecond")
					m2.Down()
					heir := startModel(t, "node3")
					third := newRigOn(t, nodes, []*backend{m2.backend, heir.backend})
					if nodes != nil { // the embedded store went with its proxy
						wantAt(t, third.get("/get", base+".node2"), heir, "firstsecond")
					}
				})
			}
		}
	})
}

// A late write that meets a newer version of its session in the queue is a late write all the same.
func TestAsyncLateWriteInTheQueue(t *testing.T) {
	t.Parallel()
	nodes := twoNodes(t)
	w := startLateWriter(t, "QUEUE.node1", inline("QUEUE.node1", "1.2", "late"))
	m2 := startModel(t, "node2")
	g := newRigOn(t, nodes, []*backend{w.backend, m2.backend},
		session(`save = "async"`, `restore_timeout = "2s"`), // what is sent while the nodes stand still is looked up, since the session was handed over
		store(`timeout = "4s"`))
	g.get("/new", "")
	var wait sync.WaitGroup
	wait.Go(func() { g.send(query{target: "/slow", cookie: "QUEUE.node1"}) })
	harness.Eventually(t, "the slow request is at node1", func() bool { return len(w.requests()) == 2 })
	g.without(w.backend, func() { wantAt(t, g.get("/add?text=2", "QUEUE.node2"), m2, "first2") })
	g.wantCounter("saves", 2)
	nodes[0].Freeze(t)
	nodes[1].Freeze(t)
	g.get("/add?text=3", "QUEUE.node2") // is being saved
	g.get("/add?text=4", "QUEUE.node2") // waits
	close(w.let)
	wait.Wait()
	nodes[0].Thaw(t)
	nodes[1].Thaw(t)
	g.wantCounter("fenced", 1)
	w.forget()
	g.send(query{target: "/get", cookie: "QUEUE.node1"})
	if q := w.requests(); len(q) == 0 || q[0].have() == "" {
		t.Errorf("%d requests to node1: it serves its old copy", len(q))
	}
}

// Two proxies on the same memcacheds. A session goes on through the other when one is killed, and both may meet at a fail-over.
func TestTwoProxies(t *testing.T) {
	t.Parallel()
	nodes := twoNodes(t)
	m1, m2, m3 := startModel(t, "node1"), startModel(t, "node2"), startModel(t, "node3")
	backends := []*backend{m1.backend, m2.backend, m3.backend}
	a, b := newRigOn(t, nodes, backends), newRigOn(t, nodes, backends)
	a.begin(m1, "DUO", "1")
	wantAt(t, b.get("/add?text=2", "DUO.node1"), m1, "12")
	wantAt(t, a.get("/add?text=3", "DUO.node1"), m1, "123")
	a.proxy.Kill(t)
	wantAt(t, b.get("/add?text=4", "DUO.node1"), m1, "1234")
	m1.Down()
	wantAt(t, b.get("/get", "DUO.node1"), m2, "1234")

	// A proxy that has just come knows nothing, and must not take the session from its owner.
	c := newRigOn(t, nodes, backends)
	wantAt(t, c.get("/add?text=5", "DUO.node2"), m2, "12345")
	if s := m2.session("DUO"); s.version() != "2.1" {
		t.Errorf("version %s, wanted 2.1: nobody had to install it again", s.version())
	}
	wantAt(t, b.get("/get", "DUO.node2"), m2, "12345")
}

// Two proxies hand the same session over at the same time: the owner is gone and they send it to the same backend or to different ones.
// No two installs share a generation, no acknowledged change is lost.
func TestTwoProxiesRaceForASession(t *testing.T) {
	t.Parallel()
	nodes := twoNodes(t)
	m1, m2, m3 := startModel(t, "node1"), startModel(t, "node2"), startModel(t, "node3")
	backends := []*backend{m1.backend, m2.backend, m3.backend}
	rigs := []*rig{newRigOn(t, nodes, backends), newRigOn(t, nodes, backends)}
	const sessions = 12
	for i := range sessions {
		rigs[0].begin(m1, fmt.Sprintf("RACE%d", i), "")
	}
	m1.Down()
	var all sync.WaitGroup
	var mu sync.Mutex
	acknowledged := map[string][]string{} // by base id
	for i := range sessions {
		base := fmt.Sprintf("RACE%d", i)
		for k := range 4 {
			all.Go(func() {
				mark := fmt.Sprintf("(%d)", k)
				id := fmt.Sprintf("%s.node%d", base, 2+k%2)
				r := rigs[k/2].send(query{method: "POST", target: "/add?text=" + mark, cookie: id})
				switch {
				case r.status == 200 && strings.Contains(r.body, mark):
					mu.Lock()
					acknowledged[base] = append(acknowledged[base], mark)
					mu.Unlock()
				case r.status != 503:
					t.Errorf("%s: status %d, %v, %q, wanted 200 with the session, or 503", id, r.status, r.err, r.body)
				}
			})
		}
	}
	all.Wait()
	heir := startModel(t, "node4")
	last := newRigOn(t, nodes, []*backend{m1.backend, heir.backend})
	total := 0
	for base, marks := range acknowledged {
		r := last.get("/get", base+".node1")
		for _, mark := range marks {
			total++
			if strings.Count(r.body, mark) != 1 {
				t.Errorf("%s: %v were acknowledged, %q is there", base, marks, r.body)
			}
		}
	}
	if total < sessions {
		t.Errorf("%d changes of %d sessions were acknowledged, wanted one each at least", total, sessions)
	}
	installed := map[string]string{}
	for _, m := range []*model{m2, m3} {
		for _, q := range m.filter(func(q *call) bool { _, ok := q.lookup("Rehydra-State"); return ok }) {
			base, _, _ := strings.Cut(q.id(), ".")
			generation, _, _ := strings.Cut(q.have(), ".")
			key := base + " " + generation
			if other, ok := installed[key]; ok && other != m.route {
				t.Errorf("%s was installed at %s and at %s", key, other, m.route)
			}
			installed[key] = m.route
		}
	}
}

// kill -9 of the proxy at any moment loses nothing that was acknowledged.
func TestKilledProxy(t *testing.T) {
	t.Parallel()
	nodes := twoNodes(t)
	m1, m2 := startModel(t, "node1"), startModel(t, "node2")
	backends := []*backend{m1.backend, m2.backend}
	a := newRigOn(t, nodes, backends)
	id := a.begin(m1, "KILL9", "")
	done := 0
	var running sync.WaitGroup
	ready := make(chan struct{})
	running.Go(func() {
		defer func() {
			if done < 20 {
				t.Errorf("only %d changes were acknowledged before anything was killed", done)
				close(ready)
			}
		}()
		for {
			conn, err := tryDial(t, a.proxy.Address())
			if err != nil {
				return // it was killed between two requests
			}
			r := sendOn(t, conn, query{method: "POST", target: "/add?text=x", cookie: id})
			if r.status != 200 || r.err != nil {
				return
			}
			if done++; done == 20 {
				close(ready)
			}
		}
	})
	<-ready
	a.proxy.Kill(t)
	running.Wait()
	m1.Down()
	b := newRigOn(t, nodes, backends)
	r := b.get("/get", id)
	if n := len(r.body); n < done || n > done+1 || r.header.Get("X-Node") != "node2" {
		t.Errorf("%d changes at %s, wanted the %d that were acknowledged", n, r.header.Get("X-Node"), done)
	}
}
