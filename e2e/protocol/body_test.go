package protocol

import (
	"crypto/sha256"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"rehydra/e2e/harness"
)

// Section 2, bodies: a request body is never lost to a 428, and reaches an application once.

// text is n bytes that differ from place to place.
func text(n int) string {
	var b strings.Builder
	for i := 0; b.Len() < n; i++ {
		b.WriteString(strconv.Itoa(i))
		b.WriteByte(' ')
	}
	return b.String()[:n]
}

func sum(s string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(s))) }

// chunks is s as a chunked body in pieces.
func chunks(s string, size int) string {
	var b strings.Builder
	for ; s != ""; s = s[min(size, len(s)):] {
		part := s[:min(size, len(s))]
		fmt.Fprintf(&b, "%x\r\n%s\r\n", len(part), part)
	}
	return b.String() + "0\r\n\r\n"
}

// asker is a backend that answers 428 to a request that asks, without a look at the body, and runs what comes after: it answers the
// checksum of the body.
type asker struct {
	*backend
	silent bool // knows nothing of Expect: it never says 100, and asks for nothing

	mu     sync.Mutex
	bodies []string // that reached the application
	early  int      // bodies of which a byte came before 100 or 428
}

func startAsker(t *testing.T, route string) *asker {
	a := &asker{}
	a.backend = startBackend(t, route, func(q *call) {
		if q.have() == "ask" && !a.silent {
			a.refuse(q)
			return
		}
		expects := q.get("Expect") != ""
		if expects && !a.silent {
			q.say("HTTP/1.1 100 Continue\r\n\r\n")
		}
		if q.readBody() != nil {
			return
		}
		a.mu.Lock()
		a.bodies = append(a.bodies, string(q.body))
		a.mu.Unlock()
		q.reply(plain(sum(string(q.body))))
	})
	return a
}

// refuse answers 428. What expects a 100 must not have sent its body; anything else is read first, as a container does.
func (a *asker) refuse(q *call) {
	if q.get("Expect") == "" {
		if q.readBody() == nil {
			q.reply(need(q.id()))
		}
		return
	}
	q.reply(need(q.id()).with("Connection: close"))
	if n, err := io.Copy(io.Discard, q.r); err == nil && n > 0 {
		a.mu.Lock()
		a.early++
		a.mu.Unlock()
	}
	q.gotBody, q.err = true, io.EOF
}

func (a *asker) ran() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.bodies
}

func TestBodyOutlivesA428(t *testing.T) {
	t.Parallel()
	const keep = 64 << 10
	for _, c := range []struct {
		name  string
		query func() query
		want  string
	}{
		{"empty", func() query { return query{} }, ""},
		{"small", func() query { return query{body: "hello"} }, "hello"},
		{"just under what is kept", func() query { return query{body: text(keep - 1)} }, text(keep - 1)},
		{"just what is kept", func() query { return query{body: text(keep)} }, text(keep)},
		{"just over what is kept", func() query { return query{body: text(keep + 1)} }, text(keep + 1)},
		{"5 MB", func() query { return query{body: text(5_000_000)} }, text(5_000_000)},
		{"small, chunked", func() query {
			return query{fields: []string{"Transfer-Encoding: chunked"}, raw: chunks("hello", 2)}
		}, "hello"},
		{"64 KiB, chunked", func() query {
			return query{fields: []string{"Transfer-Encoding: chunked"}, raw: chunks(text(keep), 1000)}
		}, text(keep)},
		{"a little more, chunked", func() query {
			return query{fields: []string{"Transfer-Encoding: chunked"}, raw: chunks(text(keep+1), 4096)}
		}, text(keep + 1)},
		{"5 MB, chunked", func() query {
			return query{fields: []string{"Transfer-Encoding: chunked"}, raw: chunks(text(5_000_000), 40_000)}
		}, text(5_000_000)},
		{"5 MB in one chunk", func() query {
			return query{fields: []string{"Transfer-Encoding: chunked"}, raw: chunks(text(5_000_000), 5_000_000)}
		}, text(5_000_000)},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := startAsker(t, "node1")
			g := newRig(t, []*backend{a.backend})
			q := c.query()
			q.method, q.cookie = "POST", "BODY.node1"
			r := ask(t, g.proxy.Address(), 200, q)
			if r.body != sum(c.want) {
				t.Errorf("the application got another body than the client sent")
			}
			if n := len(a.ran()); n != 1 || len(a.requests()) != 2 {
				t.Errorf("%d requests, of which %d ran, wanted 2 and 1", len(a.requests()), n)
			}
			if a.early != 0 {
				t.Errorf("a body was sent before the 100")
			}
			if len(c.want) > keep && a.requests()[0].get("Expect") != "100-continue" {
				t.Errorf("a body of %d bytes went out without Expect", len(c.want))
			}
		})
	}
}

// A client that waits for 100 itself gets it when the body is wanted, and not for the 428.
func TestClientThatExpects100(t *testing.T) {
	t.Parallel()
	for _, size := range []int{5, 5_000_000} {
		a := startAsker(t, "node1")
		g := newRig(t, []*backend{a.backend})
		conn := dial(t, g.proxy.Address())
		defer conn.Close()
		start := time.Now()
		q := query{method: "POST", cookie: "EXP.node1", fields: []string{"Expect: 100-continue", fmt.Sprintf("Content-Length: %d", size)}, raw: "\x00"}
		if _, err := io.WriteString(conn, strings.TrimSuffix(q.bytes(), "\x00")); err != nil {
			t.Fatal(err)
		}
		interim := make([]byte, len("HTTP/1.1 100 Continue\r\n\r\n"))
		if _, err := io.ReadFull(conn, interim); err != nil || !strings.HasPrefix(string(interim), "HTTP/1.1 100") {
			t.Fatalf("the client got %q, %v, wanted 100", interim, err)
		}
		if calls := a.requests(); len(calls) != 2 {
			t.Errorf("100 after %d requests, wanted it after the second", len(calls))
		}
		if _, err := io.WriteString(conn, text(size)); err != nil {
			t.Fatal(err)
		}
		if r := receive(t, conn, start, "POST"); r.status != 200 || r.body != sum(text(size)) {
			t.Errorf("status %d, %v, %q", r.status, r.err, r.body)
		}
		if len(a.ran()) != 1 {
			t.Errorf("%d bodies ran, wanted 1", len(a.ran()))
		}
	}
}

// A backend that knows nothing of Expect gets the body after a second.
func TestBackendThatIgnoresExpect(t *testing.T) {
	t.Parallel()
	a := startAsker(t, "node1")
	a.silent = true
	g := newRig(t, []*backend{a.backend})
	for _, q := range []query{
		{method: "POST", cookie: "IGN.node1", body: text(300_000)},
		{method: "POST", cookie: "IGN.node1", fields: []string{"Transfer-Encoding: chunked"}, raw: chunks(text(300_000), 9999)},
	} {
		r := ask(t, g.proxy.Address(), 200, q)
		if r.body != sum(text(300_000)) {
			t.Error("the application got another body than the client sent")
		}
		if r.took < time.Second {
			t.Errorf("the answer came after %v, wanted the body to wait for a second", r.took)
		}
	}
	if n := len(a.ran()); n != 2 || len(a.requests()) != 2 {
		t.Errorf("%d requests of which %d ran, wanted 2 and 2", len(a.requests()), n)
	}
}

// At fail-over: the owner is gone, another backend asks, and the POST runs once, there.
func TestPostAtFailOverRunsOnce(t *testing.T) {
	eachStore(t, func(t *testing.T, nodes []*harness.Memcached) {
		for _, size := range []int{10, 300_000} {
			m1, m2 := startModel(t, "node1"), startModel(t, "node2")
			g := newRigOn(t, nodes, []*backend{m1.backend, m2.backend})
			base := fmt.Sprintf("POST%d", size)
			g.begin(m1, base, "before ")
			m1.Down()
			m2.before = func(q *call) bool { // asks in place of the 100, then closes, as Tomcat does
				if q.get("Expect") != "" && q.have() == "ask" {
					q.reply(need(q.id()).with("Connection: close"))
					q.gotBody, q.err = true, io.EOF
					return true
				}
				return false
			}
			r := ask(t, g.proxy.Address(), 200, query{method: "POST", target: "/add", cookie: base + ".node1", body: text(size)})
			wantAt(t, r, m2, "before "+text(size))
			if n := m2.runs("/add"); n != 1 {
				t.Errorf("%d bytes: the application ran %d times, wanted once", size, n)
			}
		}
	})
}

// A POST that may have reached an application is never sent to another, whatever became of the connection.
func TestPostIsNotSentTwice(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		hurt func(q *call)
	}{
		{"closed after the head", func(q *call) { q.conn.Close() }},
		{"reset after the body", func(q *call) { _ = q.readBody(); harness.Reset(q.conn) }},
		{"half an answer", func(q *call) { _ = q.readBody(); q.say("HTTP/1.1 200 OK\r\nContent-"); harness.Reset(q.conn) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b1 := startBackend(t, "node1", c.hurt)
			m2 := startModel(t, "node2")
			g := newRig(t, []*backend{b1, m2.backend})
			for _, size := range []int{0, 10, 200_000} {
				r := g.send(query{method: "POST", target: "/add", cookie: "TWICE.node1", body: text(size)})
				if r.status == 200 && len(b1.requests()) > 0 && m2.runs("/add") > 0 {
					t.Errorf("%d bytes: sent to node1 and then to node2", size)
				}
				if r.status == 0 && !r.cutOff() {
					t.Errorf("%d bytes: %v", size, r.err)
				}
				b1.forget()
				m2.clear()
			}
		})
	}
}

// A body that the client breaks off is not passed off as whole, also after a 428.
func TestBodyThatBreaksOff(t *testing.T) {
	t.Parallel()
	a := startAsker(t, "node1")
	g := newRig(t, []*backend{a.backend})
	for _, q := range []query{
		{method: "POST", cookie: "CUT.node1", fields: []string{"Content-Length: 100"}, raw: "half"},
		{method: "POST", cookie: "CUT.node1", fields: []string{"Content-Length: 200000"}, raw: text(100_000)},
		{method: "POST", cookie: "CUT.node1", fields: []string{"Transfer-Encoding: chunked"}, raw: "5\r\nhello\r\n"},
		{method: "POST", cookie: "CUT.node1", fields: []string{"Transfer-Encoding: chunked"}, raw: "186a0\r\n" + text(100_000) + "\r\n"},
	} {
		conn := dial(t, g.proxy.Address())
		if _, err := io.WriteString(conn, q.bytes()); err != nil {
			t.Fatal(err)
		}
		if tcp, ok := conn.(interface{ CloseWrite() error }); !ok || tcp.CloseWrite() != nil {
			t.Fatal("cannot close one side")
		}
		if r := receive(t, conn, time.Now(), "POST"); r.status == 200 {
			t.Errorf("%s: status 200 for half a body", q.fields)
		}
		conn.Close()
	}
	if n := len(a.ran()); n != 0 {
		t.Errorf("%d broken bodies reached the application as whole", n)
	}
}
