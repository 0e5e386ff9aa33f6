package protocol

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"rehydra/e2e/harness"
)

// How long copies live, and what `same` does for them.

// until repeats f every 200 ms until the time has passed: a session that is in use.
func until(d time.Duration, f func()) {
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(d); time.Now().Before(end); <-tick.C {
		f()
	}
}

// A session that is only read outlives its ttl, however the adapter says that nothing changed.
func TestReadingKeepsTheCopiesAlive(t *testing.T) {
	eachStore(t, func(t *testing.T, nodes []*harness.Memcached) {
		for i, c := range []struct {
			name, id string // the id that the client goes on to send, %s is the base
			answer   func(id string) reply
		}{
			{"same", "%s.node1", func(id string) reply { return same(id, "1.1") }},
			{"pull, unchanged", "%s.node1", func(id string) reply { return pull(id, "1.1") }},
			{"an id that names another backend", "%s.node9", func(id string) reply { return same(id, "1.1") }},
		} {
			t.Run(c.name, func(t *testing.T) {
				t.Parallel()
				base := fmt.Sprintf("ALIVE%d", i)
				short := func(r reply) reply {
					r.fields[0] = strings.Replace(r.fields[0], "ttl=1800", "ttl=8", 1) // a loaded machine may stand still for some of it
					return r
				}
				id := base + ".node1"
				b := startScript(t, "node1", script{
					"/new": always(short(inline(id, "1.1", "kept"))), "/": always(short(c.answer(id))),
					"read": always(short(same(id, "1.1")).as("304 Not Modified")),
				})
				heir := startHeir(t, "node2")
				heir.Down()
				g := newRigOn(t, nodes, []*backend{b, heir})
				g.waitBackend(heir, false)
				g.get("/new", "")
				until(14*time.Second, func() { g.get("/", fmt.Sprintf(c.id, base)) })
				heir.Up()
				g.waitBackend(heir, true)
				b.Down()
				if have, state := g.restored(heir, id); have != "2.0" || state != "kept" {
					t.Errorf("after 14 s of a ttl of 8 s another backend got %q and %q", have, state)
				}
			})
		}
	})
}

// ttl: a session that nobody asks for goes with it; with 0 or less, it stays.
func TestTTL(t *testing.T) {
	eachStore(t, func(t *testing.T, nodes []*harness.Memcached) {
		b := startBackend(t, "node1", nil)
		b.handle = func(q *call) {
			base := strings.TrimPrefix(q.path(), "/")
			q.reply(reply{fields: []string{report(base+".node1", "1.1", "ttl="+strings.TrimPrefix(q.target, q.path()+"?")+"; state=inline"), stateField(base)}})
		}
		heir := startHeir(t, "node2")
		g := newRigOn(t, nodes, []*backend{b, heir})
		start := time.Now()
		for base, ttl := range map[string]string{"SHORT": "1", "ZERO": "0", "LESS": "-1", "YEAR": "31536000", "EON": "999999999999999"} {
			g.get("/"+base+"?"+ttl, "0000.node1")
		}
		b.Down()
		want := map[string]string{"ZERO": "2.0", "LESS": "2.0", "YEAR": "2.0", "EON": "2.0"}
		until(4*time.Second-time.Since(start), func() {}) // memcached counts in whole seconds, and rounds up
		for _, n := range nodes {                         // whose clock may be late
			harness.Eventually(t, "a copy's time is over", func() bool {
				return !slices.ContainsFunc(n.Keys(t, "SHORT"), func(key string) bool { _, there := n.Get(t, key); return there })
			})
		}
		for base, want := range want {
			if have, _ := g.restored(heir, base+".node1"); have != want {
				t.Errorf("%s: another backend is told %q, wanted %q", base, have, want)
			}
		}
		if have, _ := g.restored(heir, "SHORT.node1"); have != "none" {
			t.Errorf("SHORT: another backend is told %q, wanted none", have)
		}
	})
}

// memcached came back empty: `same` asks for the state and stores it before the answer's end.
func TestSameAfterTheStoreLostItsCopies(t *testing.T) {
	t.Parallel()
	for _, both := range []bool{true, false} {
		t.Run(fmt.Sprintf("both nodes %v", both), func(t *testing.T) {
			t.Parallel()
			nodes := twoNodes(t)
			m1, m2 := startModel(t, "node1"), startModel(t, "node2")
			g := newRigOn(t, nodes, []*backend{m1.backend, m2.backend})
			g.begin(m1, "BACK", "kept")
			for i, n := range nodes {
				if !both && i == 1 {
					break
				}
				n.Kill(t)
				g.waitNode(i+1, false)
				n.Restart(t)
				g.waitNode(i+1, true)
			}
			wantAt(t, g.get("/get", "BACK.node1"), m1, "kept")
			for i, n := range nodes {
				if len(n.Keys(t, "BACK")) != 1 {
					t.Errorf("n%d has no copy after a request that only read", i+1)
				}
			}
			nodes[1].Kill(t)
			m1.Down()
			wantAt(t, g.get("/get", "BACK.node1"), m2, "kept")
		})
	}
}

// A client that goes away in the middle of a response has not made the change undone: it is stored, or the next `same` asks for it.
func TestAbortedRequest(t *testing.T) {
	eachStore(t, func(t *testing.T, nodes []*harness.Memcached) {
		body := text(8_000_000) // more than sockets buffer
		for i, answer := range []func(id string) reply{
			func(id string) reply {
				r := late(id, "1.2", report(id, "1.2", "ttl=1800; state=inline"), stateField("changed"))
				r.body = body
				return r
			},
			func(id string) reply { r := pull(id, "1.2"); r.body = body; return r },
		} {
			id := fmt.Sprintf("ABORT%d.node1", i)
			b := startScript(t, "node1", script{
				"/new": always(inline(id, "1.1", "first")), "/big": always(answer(id)), "/": always(same(id, "1.2")),
				"read": func(q *call) reply {
					if q.get("If-None-Match") == `"1.2"` {
						return same(id, "1.2").as("304 Not Modified")
					}
					return readAnswer(id, "1.2", "changed")
				},
			})
			heir := startHeir(t, "node2")
			g := newRigOn(t, nodes, []*backend{b, heir})
			g.get("/new", "")
			conn := dial(t, g.proxy.Address())
			if _, err := io.WriteString(conn, query{target: "/big", cookie: id}.bytes()); err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadFull(conn, make([]byte, 1000)); err != nil {
				t.Fatal(err)
			}
			harness.Reset(conn)
			g.get("/", id)
			b.Down()
			if have, state := g.restored(heir, id); have != "2.0" || state != "changed" {
				t.Errorf("another backend got %q and %q", have, state)
			}
		}
	})
}

// A response that broke off at the backend was not acknowledged; what it changed is asked for at the next chance.
func TestAnswerThatBreaksOff(t *testing.T) {
	eachStore(t, func(t *testing.T, nodes []*harness.Memcached) {
		b := startBackend(t, "node1", nil)
		b.handle = func(q *call) {
			switch {
			case q.op() == "read":
				q.reply(readAnswer("BREAK.node1", "1.2", "changed"))
			case q.path() == "/new":
				q.reply(inline("BREAK.node1", "1.1", "first"))
			case q.path() == "/cut":
				q.say(late("BREAK.node1", "1.2").head(), "5\r\nhello\r\n")
				q.conn.Close()
			default:
				q.reply(same("BREAK.node1", "1.2"))
			}
		}
		heir := startHeir(t, "node2")
		g := newRigOn(t, nodes, []*backend{b, heir})
		g.get("/new", "")
		if r := g.send(query{target: "/cut", cookie: "BREAK.node1"}); !r.cutOff() && r.status != 502 {
			t.Errorf("status %d, %v, wanted an answer that is visibly cut, or 502", r.status, r.err)
		}
		g.get("/", "BREAK.node1")
		if n := len(b.operations()); n != 1 {
			t.Errorf("%d reads, wanted 1", n)
		}
		b.Down()
		if have, state := g.restored(heir, "BREAK.node1"); have != "2.0" || state != "changed" {
			t.Errorf("another backend got %q and %q", have, state)
		}
	})
}

// A copy that one node lost is no loss, and a plain `same` that is known to be stored costs no read.
func TestSameCostsNothing(t *testing.T) {
	t.Parallel()
	nodes := twoNodes(t)
	m1 := startModel(t, "node1")
	g := newRigOn(t, nodes, []*backend{m1.backend})
	g.begin(m1, "CHEAP", "x")
	sets := func() int { return nodes[0].Stat(t, "cmd_set") + nodes[1].Stat(t, "cmd_set") }
	before := sets()
	for range 20 {
		g.get("/get", "CHEAP.node1")
	}
	if n := len(m1.operations()); n != 0 || sets() != before {
		t.Errorf("20 requests that changed nothing cost %d reads and %d writes", n, sets()-before)
	}
}
