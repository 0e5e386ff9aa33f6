package protocol

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"rehydra/e2e/harness"
)

// Section 2: requests of one session that wait for the same hand-over share it, also one whose 428 comes when it is over already.
func TestLate428DoesNotInstallAgain(t *testing.T) {
	t.Parallel()
	for _, size := range []int{10, 50_000} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			t.Parallel()
			m := startModel(t, "node1")
			arrived, release := make(chan bool), make(chan bool)
			m.before = func(q *call) bool {
				if q.target == "/get?late" && isVersion(q.have()) && len(m.sessionBases()) == 0 {
					arrived <- true
					<-release
					q.reply(need(q.id()))
					return true
				}
				return false
			}
			g := newRig(t, []*backend{m.backend})
			want := strings.Repeat("s", size)
			g.begin(m, "LATE", "")
			ask(t, g.proxy.Address(), 200, query{method: "POST", target: "/add", cookie: "LATE.node1", body: want})
			m.restart()
			g.waitBackend(m.backend, true)
			g.warm(m)
			late := make(chan response)
			go func() { late <- g.send(query{target: "/get?late", cookie: "LATE.node1"}) }()
			<-arrived
			wantAt(t, g.get("/get", "LATE.node1"), m, want)
			release <- true
			wantAt(t, <-late, m, want)
			if s := m.session("LATE"); s == nil || s.version() != "2.0" {
				t.Errorf("not installed once, as version 2.0: %v", s != nil && s.version() == "2.0")
			}
			g.isCounter("restores", 1)
		})
	}
}

// A state goes out with the requests of a session until the backend has answered one of them, and no longer.
func TestStateIsNotSentAgainAfterAnAnswer(t *testing.T) {
	t.Parallel()
	m1 := startModel(t, "node1")
	head, release := make(chan bool), make(chan bool)
	b2 := startBackend(t, "node2", func(q *call) {
		switch {
		case q.have() == "ask":
			q.reply(need(q.id()))
		case q.path() == "/slow":
			q.say(late("HELD.node2", q.have()).head())
			head <- true
			<-release
			q.say(late("HELD.node2", q.have(), report("HELD.node2", q.have(), "ttl=1800; state=same")).tail())
		default:
			q.reply(same("HELD.node2", q.have()))
		}
	})
	g := newRig(t, []*backend{m1.backend, b2})
	g.begin(m1, "HELD", "x")
	m1.Down()
	conn := dial(t, g.proxy.Address())
	defer conn.Close()
	start := time.Now()
	if _, err := io.WriteString(conn, query{target: "/slow", cookie: "HELD.node1"}.bytes()); err != nil {
		t.Fatal(err)
	}
	<-head
	first := make([]byte, len("HTTP/1.1 "))
	if _, err := io.ReadFull(conn, first); err != nil {
		t.Fatal(err)
	}
	b2.forget()
	g.get("/get", "HELD.node1")
	if q := b2.requests()[0]; q.get("Rehydra-State") != "" || q.have() != "2.0" {
		t.Errorf("after the answer's head a request carries %q", q.fields)
	}
	release <- true
	if r := receive(t, replayed{conn, io.MultiReader(bytes.NewReader(first), conn)}, start, "GET"); r.status != 200 || r.err != nil {
		t.Errorf("status %d, %v", r.status, r.err)
	}
}

// An install that a backend refuses has restored nothing.
func TestRestoreIsCountedWhenItHappened(t *testing.T) {
	t.Parallel()
	m1, m3 := startModel(t, "node1"), startModel(t, "node3")
	b2 := startBackend(t, "node2", func(q *call) {
		if q.op() == "install" {
			_ = q.readBody() // the answer is the same
			q.reply(plain("").as("500 Internal Server Error"))
			return
		}
		q.reply(need(q.id()))
	})
	g := newRig(t, []*backend{m1.backend, b2, m3.backend})
	g.begin(m1, "COUNT", "")
	want := strings.Repeat("c", 10_000)
	ask(t, g.proxy.Address(), 200, query{method: "POST", target: "/add", cookie: "COUNT.node1", body: want})
	m1.Down()
	harness.Eventually(t, "node2 was tried", func() bool { // whoever is first in turn
		m3.clear()
		wantAt(t, g.get("/get", "COUNT.node1"), m3, want)
		return len(b2.operations()) > 0
	})
	if n := g.counter("restores"); n != float64(m3.installs()) {
		t.Errorf("%v restores counted, of which %d happened", n, m3.installs())
	}
}

// A request with many session cookies does not make the store look for each of them.
func TestManySessionCookies(t *testing.T) {
	t.Parallel()
	nodes := twoNodes(t)
	m := startModel(t, "node1")
	g := newRigOn(t, nodes, []*backend{m.backend})
	g.warm(m)
	var cookies strings.Builder
	for i := range 500 {
		fmt.Fprintf(&cookies, "; JSESSIONID=X%d.node1", i)
	}
	before := nodes[0].Stat(t, "cmd_get")
	ask(t, g.proxy.Address(), 200, query{target: "/get", fields: []string{"Cookie: " + cookies.String()[2:]}})
	if n := nodes[0].Stat(t, "cmd_get") - before; n > 20 {
		t.Errorf("%d look-ups for one request", n)
	}
}

// sessionBases are the sessions that m has.
func (m *model) sessionBases() (bases []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for base := range m.sessions {
		bases = append(bases, base)
	}
	return bases
}

// installs is how many installs m was asked for since the start.
func (m *model) installs() int {
	n := 0
	for _, q := range m.operations() {
		if q.op() == "install" {
			n++
		}
	}
	return n
}

// replayed is a connection some of whose bytes were read already.
type replayed struct {
	net.Conn
	r io.Reader
}

func (c replayed) Read(p []byte) (int, error) { return c.r.Read(p) }

// Requests that carry the same state to a backend do so until one of them is answered. That one of them fails says nothing of the others: another
// claim would fence their answers.
func TestRequestThatFailsLeavesTheInstallToOthers(t *testing.T) {
	eachStore(t, func(t *testing.T, nodes []*harness.Memcached) {
		m1, m2 := startModel(t, "node1"), startModel(t, "node2")
		g := newRigOn(t, nodes, []*backend{m1.backend, m2.backend})
		g.begin(m1, "CARRY", "1")
		g.warm(m2)
		arrived, dies, lives := make(chan bool), make(chan bool), make(chan bool)
		m2.before = func(q *call) bool {
			switch q.target {
			case "/add?text=dies":
				arrived <- true
				<-dies
				q.conn.Close() // no byte of an answer
				return true
			case "/add?text=lives":
				arrived <- true
				<-lives
			}
			return false
		}
		m1.Down()
		m2.forget()
		add := func(text string) chan response {
			answer := make(chan response, 1)
			go func() { answer <- g.send(query{method: "POST", target: "/add?text=" + text, cookie: "CARRY.node1"}) }()
			<-arrived
			return answer
		}
		first, second := add("dies"), add("lives")
		dies <- true
		if r := <-first; r.status != 502 {
			t.Errorf("status %d of the request that fails, wanted 502", r.status)
		}
		wantAt(t, g.get("/get", "CARRY.node1"), m2, "1")
		for _, q := range m2.requests() {
			if _, ok := q.lookup("Rehydra-State"); !ok || q.have() != "2.0" {
				t.Errorf("%s has Rehydra-Have %q, state %v, wanted the state as 2.0", q.target, q.have(), ok)
			}
		}
		lives <- true
		wantAt(t, <-second, m2, "1lives")
		g.isCounter("fenced", 0)
		g.isCounter("restores", 1)
	})
}
