package serve

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"rehydra/e2e/harness"
)

// tolerant keeps backends in use that break connections, so that each test of a fault meets the same ones.
var tolerant = settings{"pool.health": {`interval = "20ms"`}}

// fault is something that node1 does to a request; node2 is well.
type fault struct {
	name    string
	do      func(*call)
	get     int // status of a GET; 0: it is cut
	post    int
	retries bool // the GET goes to node2
}

var faults = []fault{
	{"close before the head", func(q *call) { q.close() }, 200, 502, true},
	{"reset before the head", func(q *call) { _, _ = q.body(); q.reset() }, 200, 502, true},
	{"reset without reading the body", func(q *call) { q.reset() }, 200, 502, true},
	{"close in the head", func(q *call) { _, _ = q.body(); q.send("HTTP/1.1 200 OK\r\nConte"); q.close() }, 502, 502, false},
	{"reset in the head", func(q *call) { _, _ = q.body(); q.send("HTTP/1.1 200 OK\r\nConte"); q.reset() }, 502, 502, false},
	{"close after 103", func(q *call) { _, _ = q.body(); q.send("HTTP/1.1 103 Early Hints\r\n\r\n"); q.close() }, 502, 502, false},
	{"close in a body with a length", func(q *call) { _, _ = q.body(); q.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc"); q.close() }, 0, 0, false},
	{"reset in a body with a length", func(q *call) { _, _ = q.body(); q.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc"); q.reset() }, 0, 0, false},
	{"close between chunks", func(q *call) {
		_, _ = q.body()
		q.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
		q.close()
	}, 0, 0, false},
	{"reset of a body without a length", func(q *call) { _, _ = q.body(); q.send("HTTP/1.1 200 OK\r\n\r\nabc"); q.reset() }, 0, 0, false},
	{"garbage", func(q *call) { _, _ = q.body(); q.send("SSH-2.0-OpenSSH\r\n"); q.close() }, 502, 502, false},
}

// TestBackendFaults plays each fault to a GET and a POST, on a fresh connection and, through HTTP/1.0, to a client that knows no
// chunks. What was cut never looks complete, and a POST reaches one application at most.
func TestBackendFaults(t *testing.T) {
	t.Parallel()
	for i, f := range faults {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			one := start(t, "node1", f.do)
			two := start(t, "node2", nil)
			p := serve(t, tolerant, one, two)
			for _, version := range []string{"1.1", "1.0"} {
				for _, method := range []string{"GET", "POST"} {
					p.waitBackend(one, true)
					target := fmt.Sprintf("/%d/%s/%s", i, method, version)
					raw := head(method, target, "Cookie: JSESSIONID=A.node1", "Content-Length: 5") + "hello"
					c := dial(t, p.address)
					c.send("%s", strings.Replace(raw, "HTTP/1.1", "HTTP/"+version, 1))
					want := f.get
					if method == "POST" {
						want = f.post
					}
					c.wantFault(method, want, f.retries && method == "GET")
					wantOnce(t, f, method, target, one, two)
				}
			}
		})
	}
}

func (c *client) wantFault(method string, want int, retried bool) {
	c.t.Helper()
	a, err := c.receive(method)
	for err == nil && a.status < 200 {
		a, err = c.receive(method)
	}
	switch {
	case want == 0 && err == nil && a.err == nil:
		c.t.Errorf("%s: a cut answer looks complete: %+v", method, a)
	case want != 0 && (err != nil || a.status != want || a.err != nil):
		c.t.Errorf("%s: got %d %q %v %v, wanted %d", method, a.status, a.body, a.err, err, want)
	case retried && a.body != "node2":
		c.t.Errorf("%s: answered by %q, wanted node2", method, a.body)
	}
}

func wantOnce(t *testing.T, f fault, method, target string, one, two *backend) {
	t.Helper()
	atTwo := 0
	if f.retries && method == "GET" {
		atTwo = 1
	}
	if one.seen(target) != 1 || two.seen(target) != atTwo {
		t.Errorf("%s: %d and %d requests arrived, wanted 1 and %d", target, one.seen(target), two.seen(target), atTwo)
	}
}

// TestOrderOfBackends: the session's own backend first, then the others, each once; a connection that is refused
// was never a request, so a POST goes on too.
func TestOrderOfBackends(t *testing.T) {
	t.Parallel()
	one, two, three := start(t, "node1", nil), start(t, "node2", nil), start(t, "node3", nil)
	// Checks that never come: only the requests themselves find out.
	p := serve(t, settings{"pool.health": {`interval = "1h"`}}, one, two, three)
	for _, b := range []*backend{one, two, three} {
		for range 3 {
			p.get("/own", "Cookie: JSESSIONID=A."+b.route).want(t, 200, b.route)
		}
	}
	one.Down()
	c := dial(t, p.address)
	c.send("%s", head("POST", "/moved", "Cookie: JSESSIONID=A.node1", "Content-Length: 5")+"hello")
	c.answer("POST").wantStatus(t, 200)
	if n := two.seen("/moved") + three.seen("/moved"); n != 1 {
		t.Errorf("the POST arrived %d times, wanted once", n)
	}
	p.waitBackend(one, false)
	if attempts := p.waitRequest("/moved")["attempts"]; attempts != 2.0 {
		t.Errorf("%v attempts, wanted 2", attempts)
	}
	c.get("/again", "Cookie: JSESSIONID=A.node1").wantStatus(t, 200)
	if attempts := p.waitRequest("/again")["attempts"]; attempts != 1.0 {
		t.Errorf("%v attempts while the backend is known to be out, wanted 1", attempts)
	}
	two.Down()
	c.get("/last").want(t, 200, "node3")
	three.Down()
	a := c.get("/none")
	a.wantStatus(t, 503)
	if a.header.Get("Retry-After") == "" || a.close {
		t.Errorf("503 without Retry-After, or with the end of the connection: %v", a.header)
	}
}

// TestBackendComesAndGoes: refused is out at once, and it is back after as many good checks as rise says.
func TestBackendComesAndGoes(t *testing.T) {
	t.Parallel()
	healthy := make(chan struct{}, 1000)
	checked := func(q *call) {
		if q.path("/health") {
			select {
			case healthy <- struct{}{}:
			default:
			}
		}
		q.ok()
	}
	one, two := start(t, "node1", checked), start(t, "node2", nil)
	p := serve(t, settings{"pool.health": {`path = "/health"`, `interval = "100ms"`, `rise = 3`}}, one, two)
	p.get("/a", "Cookie: JSESSIONID=A.node1").want(t, 200, "node1")
	one.Down()
	for range 20 {
		p.get("/b", "Cookie: JSESSIONID=A.node1").want(t, 200, "node2")
	}
	p.waitBackend(one, false)
	for len(healthy) > 0 {
		<-healthy
	}
	one.Up()
	p.waitBackend(one, true)
	if n := len(healthy); n < 3 {
		t.Errorf("it was back after %d good checks, wanted 3 at least", n)
	}
	p.get("/c", "Cookie: JSESSIONID=A.node1").want(t, 200, "node1")
	for message, route := range map[string]string{"backend out": "node1", "backend up": "node1"} {
		e := p.waitEvent(message)
		if e.Text("backend") != route || e.Text("address") != one.address || e.Text("pool") != "shop" {
			t.Errorf("the event %q is %v", message, e)
		}
	}
	if n := len(p.events("backend out")); n != 1 {
		t.Errorf("%d events that it is out, wanted 1", n)
	}
}

// TestHealthIsJudged: a backend whose health page fails gets no request, although it would answer.
func TestHealthIsJudged(t *testing.T) {
	t.Parallel()
	sick := func(q *call) {
		if q.path("/health") {
			q.reply(503, "sick")
			return
		}
		q.ok()
	}
	one, two := start(t, "node1", sick), start(t, "node2", nil)
	p := serve(t, settings{"pool.health": {`path = "/health"`, `fall = 2`}}, one, two)
	p.waitBackend(one, false)
	for range 4 {
		p.get("/").want(t, 200, "node2")
	}
	if reason := p.waitEvent("backend out").Text("reason"); !strings.Contains(reason, "503") {
		t.Errorf("the reason is %q, wanted the status", reason)
	}
}

// TestStoppedBackend: a process that is stopped accepts connections and answers nothing. Its requests time out until that is known;
// those of the other backend notice nothing.
func TestStoppedBackend(t *testing.T) {
	t.Parallel()
	behind, two := start(t, "node1", nil), start(t, "node2", nil)
	process := serve(t, nil, behind) // a real process: a rehydra as the backend of another
	one := &backend{route: "node1", address: process.address}
	const firstByte = 4 * time.Second // longer than a loaded machine stands still
	p := serve(t, settings{
		"pool.timeout": {fmt.Sprintf("first_byte = %q", firstByte)}, "pool.health": {`path = "/health"`, `interval = "100ms"`, `timeout = "3s"`},
	}, one, two)
	p.get("/a", "Cookie: JSESSIONID=A.node1").want(t, 200, "node1")
	process.stop()
	c := dial(t, p.address)
	c.send("%s", head("GET", "/stuck", "Cookie: JSESSIONID=A.node1"))
	others := 0
	harness.Eventually(t, "the stopped backend is out", func() bool {
		e := p.get("/others", "Cookie: JSESSIONID=B.node2")
		e.want(t, 200, "node2")
		others++
		return p.metric(`rehydra_backend_up{backend="node1",pool="shop"}`) == "0"
	})
	c.answer("GET").want(t, 200, "node2")
	for _, e := range p.waitEvents("request", others) {
		if e.Text("path") == "/others" && (e["duration_us"].(float64) >= float64(firstByte.Microseconds()) || e["attempts"] != 1.0) {
			t.Errorf("a request of the other backend took %v µs and %v attempts: it waited for the one that is stopped", e["duration_us"], e["attempts"])
		}
	}
	process.cont()
	p.waitEvent("backend up")
	p.waitBackend(one, true)
	p.get("/b", "Cookie: JSESSIONID=A.node1").want(t, 200, "node1")
}
