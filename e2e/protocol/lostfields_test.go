package protocol

import (
	"bytes"
	"io"
	"testing"
	"time"

	"rehydra/e2e/harness"
)

// Two answers lose their fields at the same time: neither hides the other's change.
func TestLostFieldsOfTwoAnswersAtOnce(t *testing.T) {
	t.Parallel()
	half, release := make(chan bool), make(chan bool)
	b := startScript(t, "node1", script{
		"/one": always(inline("ONE.node1", "1.1", "x")), "/two": always(inline("TWO.node1", "1.1", "x")),
		"/": always(reply{bare: true, body: "reset"}),
		"/slow": func(q *call) reply {
			r := reply{bare: true, body: "reset"}
			q.say(r.head(), "re")
			half <- true
			<-release
			q.say("set")
			q.conn.Close()
			return r
		},
		"read": func(q *call) reply { return readAnswer(q.id(), "1.2", "read") },
	})
	heir := startHeir(t, "node2")
	g := newRig(t, []*backend{b, heir})
	g.get("/one", "0.node1")
	g.get("/two", "0.node1")
	conn := dial(t, g.proxy.Address())
	defer conn.Close()
	if _, err := io.WriteString(conn, query{target: "/slow", cookie: "ONE.node1"}.bytes()); err != nil {
		t.Fatal(err)
	}
	<-half
	first := make([]byte, len("HTTP/1.1 "))
	if _, err := io.ReadFull(conn, first); err != nil {
		t.Fatal(err)
	}
	g.get("/", "TWO.node1")
	release <- true
	if r := receive(t, replayed{conn, io.MultiReader(bytes.NewReader(first), conn)}, time.Now(), "GET"); r.status != 200 || r.err != nil {
		t.Errorf("status %d, %v", r.status, r.err)
	}
	b.Down()
	for _, id := range []string{"TWO.node1", "ONE.node1"} {
		if have, state := g.restored(heir, id); have != "2.0" || state != "read" {
			t.Errorf("%s: another backend got %q and %q, wanted what was read", id, have, state)
		}
	}
}

// An answer without fields that names no session leaves nothing to ask for, and the next one is asked for all the same.
func TestLostFieldsOfNoSession(t *testing.T) {
	t.Parallel()
	b := startScript(t, "node1", script{
		"/new": always(inline("ANON.node1", "1.1", "x")), "/": always(reply{bare: true, body: "reset"}),
		"read": func(q *call) reply { return readAnswer(q.id(), "1.2", "read") },
	})
	heir := startHeir(t, "node2")
	g := newRig(t, []*backend{b, heir})
	g.send(query{target: "/new", cookie: "0.node1"})
	g.get("/", "")
	for len(b.requests()) < 2 { // whoever was first in turn
		g.get("/", "")
	}
	g.get("/", "ANON.node1")
	b.Down()
	if have, state := g.restored(heir, "ANON.node1"); have != "2.0" || state != "read" {
		t.Errorf("another backend got %q and %q, wanted what was read", have, state)
	}
}

// A report that says pull, and then an answer to the read that is not an adapter's: the change is on no copy.
func TestReadThatNoAdapterAnswers(t *testing.T) {
	t.Parallel()
	b := startScript(t, "node1", script{
		"/new": always(inline("MUTE.node1", "1.1", "x")), "/": always(pull("MUTE.node1", "1.2")),
		"read": always(reply{status: "500 Internal Server Error", bare: true}),
	})
	g := newRig(t, []*backend{b}, session(`save_failure = "fail"`))
	g.get("/new", "")
	if r := g.send(query{target: "/", cookie: "MUTE.node1"}); r.status != 503 {
		t.Errorf("status %d, wanted 503: the change is not safe", r.status)
	}
	g.isCounter("unprotected", 1)
	g.proxy.WaitEvent(t, "session unprotected", harness.Message("session unprotected: it could not be read"))
}

// The answer to an upgrade is an answer: what it reports is stored before the client gets it.
func TestReportOfAnUpgrade(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		answer reply
		state  string
	}{
		"inline": {inline("WS.node1", "1.2", "upgraded"), "upgraded"},
		"pull":   {pull("WS.node1", "1.2"), "read"},
		"late":   {late("WS.node1", "1.2"), "read"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := startBackend(t, "node1", func(q *call) {
				switch {
				case q.op() == "read":
					q.reply(readAnswer(q.id(), "1.3", "read"))
				case q.path() == "/ws":
					q.say("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\nRehydra-Adapter: 1\r\n")
					for _, f := range c.answer.fields {
						q.say(f + "\r\n")
					}
					q.say("\r\n")
				default:
					q.reply(inline("WS.node1", "1.1", "first"))
				}
			})
			heir := startHeir(t, "node2")
			g := newRig(t, []*backend{b, heir})
			g.get("/new", "0.node1")
			r := g.send(query{target: "/ws", cookie: "WS.node1", fields: []string{"Connection: Upgrade", "Upgrade: echo"}})
			if r.status != 101 {
				t.Fatalf("status %d, %v", r.status, r.err)
			}
			b.Down()
			if have, state := g.restored(heir, "WS.node1"); have != "2.0" || state != c.state {
				t.Errorf("another backend got %q and %q, wanted %q", have, state, c.state)
			}
		})
	}
}

// A login that renews the id and cannot be stored is refused: the client keeps the old id, and what is stored under it.
func TestRenewedIdThatIsNotStored(t *testing.T) {
	t.Parallel()
	nodes := twoNodes(t)
	b := startScript(t, "node1", script{
		"/new":   always(inline("BEFORE.node1", "1.1", "cart")),
		"/login": always(reply{fields: []string{report("AFTER.node1", "1.2", `ttl=1800; was="BEFORE.node1"; state=inline`), stateField("cart, user")}}),
	})
	heir := startHeir(t, "node2")
	g := newRigOn(t, nodes, []*backend{b, heir}, session(`save_failure = "fail"`))
	g.send(query{target: "/new", cookie: "0.node1"})
	nodes[0].Freeze(t)
	nodes[1].Freeze(t)
	if r := g.send(query{target: "/login", cookie: "BEFORE.node1"}); r.status != 503 {
		t.Errorf("status %d, wanted 503: nothing was stored", r.status)
	}
	nodes[0].Thaw(t)
	nodes[1].Thaw(t)
	b.Down()
	harness.Eventually(t, "the nodes answer", func() bool {
		have, state := g.restored(heir, "BEFORE.node1")
		if have == "gone" {
			t.Fatal("the old id ended, though its client was never told the new one")
		}
		return isVersion(have) && (state == "cart" || state == "")
	})
}
