package protocol

import (
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"rehydra/e2e/harness"
)

// Section 5, save = "sync": the end of a response waits for the copies.

// slowSave gives the store's nodes longer than a client waits, so that whoever gets an answer while they stand still owes it to save_timeout.
var slowSave = []setting{session(fmt.Sprintf("save_timeout = %q", slowSaveTimeout)), store(`timeout = "1m"`)}

const slowSaveTimeout = 1500 * time.Millisecond

// The end of a response is withheld until every copy is stored: one memcached is stopped, the answer's body is all there but its end, and
// comes when the memcached goes on.
func TestEndWaitsForTheCopies(t *testing.T) {
	t.Parallel()
	body := text(150_000)
	for i, c := range []struct {
		name   string
		answer func(id string) reply
	}{
		{"inline", func(id string) reply { return inline(id, "1.2", "x") }},
		{"late", func(id string) reply {
			r := late(id, "1.2", report(id, "1.2", "ttl=1800; state=inline"), stateField("x"))
			r.body = body
			return r
		}},
		{"pull with a length", func(id string) reply { r := pull(id, "1.2"); r.body = body; return r }},
		{"pull, HEAD", func(id string) reply { return pull(id, "1.2") }},
		{"pull, 204", func(id string) reply { return pull(id, "1.2").as("204 No Content") }},
		{"same, not stored", func(id string) reply { return same(id, "1.2") }},
		{"gone", func(id string) reply { return gone(id, "1.2") }},
		{"renewed", func(id string) reply {
			return reply{fields: []string{`Rehydra-Session: id="NEW` + id + `"; was="` + id + `"; app="localhost/"; version=1.1; ttl=9; state=inline`, stateField("x")}}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			id := fmt.Sprintf("HOLD%d.node1", i)
			nodes := twoNodes(t)
			b := startScript(t, "node1", script{
				"/new": always(inline(id, "1.1", "w")), "/": always(c.answer(id)), "read": always(readAnswer(id, "1.2", "x")),
			})
			g := newRigOn(t, nodes, []*backend{b}, session(`save_timeout = "10s"`), store(`timeout = "9s"`))
			g.get("/new", "")
			nodes[1].Freeze(t)
			method := "GET"
			if strings.HasSuffix(c.name, "HEAD") {
				method = "HEAD"
			}
			conn := dial(t, g.proxy.Address())
			defer conn.Close()
			if _, err := io.WriteString(conn, query{method: method, cookie: id}.bytes()); err != nil {
				t.Fatal(err)
			}
			harness.Eventually(t, "the backend has answered", func() bool { return len(b.requests()) == 2 })
			before := readFor(conn, 300*time.Millisecond)
			nodes[1].Thaw(t)
			conn.SetDeadline(time.Now().Add(answerTime))
			after := receiveRest(t, conn, before, method)
			if after.err != nil || after.status == 0 {
				t.Errorf("the answer is not whole: %v", after.err)
			}
			if whole := len(before) == len(after.raw); whole {
				t.Errorf("the whole answer came while a copy was missing: %q", clip(before))
			}
			g.isCounter("unprotected", 0)
		})
	}
}

// readFor returns what comes within a time.
func readFor(conn net.Conn, d time.Duration) string {
	conn.SetReadDeadline(time.Now().Add(d))
	got, _ := io.ReadAll(conn) // it ends with the deadline
	return string(got)
}

// receiveRest is receive for an answer of which a part was read.
func receiveRest(t testing.TB, conn net.Conn, before, method string) response {
	t.Helper()
	return receive(t, &readBefore{Conn: conn, r: io.MultiReader(strings.NewReader(before), conn)}, time.Now(), method)
}

type readBefore struct {
	net.Conn
	r io.Reader
}

func (c *readBefore) Read(p []byte) (int, error) { return c.r.Read(p) }

// A copy that cannot be stored in save_timeout: the answer comes then, and is counted.
func TestSaveTimeout(t *testing.T) {
	t.Parallel()
	for _, failure := range []string{"respond", "fail"} {
		t.Run(failure, func(t *testing.T) {
			t.Parallel()
			nodes := twoNodes(t)
			body := text(200_000)
			longer := func(r reply) reply { r.body = body; return r }
			b := startScript(t, "node1", script{
				"/new": always(inline("SLOW.node1", "1.1", "w")), "/inline": always(inline("SLOW.node1", "1.2", "x")),
				"/pull": always(pull("SLOW.node1", "1.3")), "/large": always(longer(pull("SLOW.node1", "1.4"))),
				"/late": always(longer(late("SLOW.node1", "1.5", report("SLOW.node1", "1.5", "ttl=9; state=inline"), stateField("y")))),
				"/gone": always(gone("SLOW.node1", "1.6")),
				"read":  func(q *call) reply { return readAnswer("SLOW.node1", "1.4", "x") },
			})
			g := newRigOn(t, nodes, []*backend{b}, append(slowSave, session(fmt.Sprintf("save_failure = %q", failure)))...)
			g.get("/new", "")
			saves, unprotected := g.counter("saves"), g.counter("unprotected")
			nodes[0].Freeze(t)
			nodes[1].Freeze(t)
			for i, target := range []string{"/inline", "/pull", "/large", "/late", "/gone"} {
				r := g.send(query{target: target, cookie: "SLOW.node1"})
				large := target == "/large" || target == "/late"
				switch {
				case failure == "respond" && (r.status != 200 || r.err != nil):
					t.Errorf("%s: status %d, %v, wanted 200", target, r.status, r.err)
				case failure == "fail" && !large && (r.status != 503 || r.header.Get("Retry-After") == ""):
					t.Errorf("%s: status %d, wanted 503 with Retry-After", target, r.status)
				case failure == "fail" && large && !r.cutOff() && r.status != 503:
					t.Errorf("%s: status %d and %v, wanted it cut or 503: it was acknowledged", target, r.status, r.err)
				}
				if i == 0 && r.took < slowSaveTimeout {
					t.Errorf("%s: the end came after %v, wanted it after save_timeout, %v", target, r.took, slowSaveTimeout)
				}
				g.isCounter("unprotected", unprotected+float64(i+1))
			}
			g.isCounter("saves", saves)
			g.proxy.WaitEvent(t, "unprotected", func(e harness.Event) bool {
				return e.Text("level") == "warn" && strings.Contains(e.Text("message"), "unprotected")
			})
		})
	}
}

// One of two copies is better than none, but it is not what was promised.
func TestOneNodeDown(t *testing.T) {
	t.Parallel()
	nodes := twoNodes(t)
	m1, m2 := startModel(t, "node1"), startModel(t, "node2")
	g := newRigOn(t, nodes, []*backend{m1.backend, m2.backend})
	g.begin(m1, "ONE", "a")
	g.isCounter("unprotected", 0)
	nodes[0].Kill(t)
	wantAt(t, g.get("/add?text=b", "ONE.node1"), m1, "ab")
	g.isCounter("unprotected", 1)
	m1.Down()
	wantAt(t, g.get("/get", "ONE.node1"), m2, "ab")

	// The node comes back empty: what is written now is whole again, and what is only read is mended.
	nodes[0].Restart(t)
	g.waitNode(1, true)
	g.begin(m2, "TWO", "t")
	harness.Eventually(t, "the missing copy of ONE is made again", func() bool {
		wantAt(t, g.get("/get", "ONE.node2"), m2, "ab")
		return len(nodes[0].Keys(t, "ONE")) == 1
	})
	nodes[1].Kill(t)
	m2.Down()
	m1.restart()
	g.waitBackend(m1.backend, true)
	wantAt(t, g.get("/get", "ONE.node2"), m1, "ab")
	wantAt(t, g.get("/get", "TWO.node2"), m1, "t")
}

// A backend that does not answer the read of a pull must not hold the client for longer than save_timeout.
func TestReadThatHangs(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"sync", "async"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			b := startBackend(t, "node1", nil)
			let := make(chan struct{})
			b.handle = func(q *call) {
				switch {
				case q.path() == "/new":
					q.reply(inline("HANG.node1", "1.1", "x"))
				case q.op() == "read":
					<-let
				default:
					q.reply(pull("HANG.node1", "1.2"))
				}
			}
			g := newRig(t, []*backend{b}, session(fmt.Sprintf("save = %q", mode), `save_timeout = "500ms"`))
			t.Cleanup(func() { close(let) })
			g.get("/new", "")
			// A read is given up after 5 s. On a machine that stands still for as long nothing can be said: then it begins anew.
			const tries = 5
			for try := 1; ; try++ {
				r := g.get("/", "HANG.node1")
				if r.took < 4*time.Second {
					break
				}
				if try == tries {
					t.Fatalf("%d times the end of the answer came late, at last after %v; wanted it after save_timeout, 500ms", tries, r.took)
				}
			}
			harness.Eventually(t, "it is counted", func() bool { return g.counter("unprotected") > 0 })
		})
	}
}

// Metrics are there, at 0, before anything has happened.
func TestMetricsFromTheStart(t *testing.T) {
	eachStore(t, func(t *testing.T, nodes []*harness.Memcached) {
		b := startBackend(t, "node1", nil)
		g := newRigOn(t, nodes, []*backend{b})
		for _, name := range []string{"saves", "restores", "lost", "fenced", "conflicts", "unprotected"} {
			g.isCounter(name, 0)
		}
	})
}
