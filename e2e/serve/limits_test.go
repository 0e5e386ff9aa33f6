package serve

import (
	"fmt"
	"strings"
	"testing"

	"rehydra/e2e/harness"
)

// TestLimitsOfARequest: what is longer than its limit is refused with the status that says so, before it costs a backend anything, and what
// is exactly as long is not.
func TestLimitsOfARequest(t *testing.T) {
	t.Parallel()
	b := start(t, "node1", nil)
	p := serve(t, settings{
		"server": {`max_uri_bytes = 1000`, `max_header_bytes = 4096`, `max_header_count = 10`, `max_body_bytes = 100000`},
	}, b)
	path := "/" + strings.Repeat("u", 999)
	fields := func(n int) (list []string) {
		for i := range n {
			list = append(list, fmt.Sprintf("X-%d: %d", i, i))
		}
		return list
	}
	chunked := func(size int) string {
		return fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", size, strings.Repeat("x", size))
	}
	for _, test := range []struct {
		name, raw string
		status    int
		seen      int // how often the backend sees it; -1: it may have
		failure   string
	}{
		{"a target as long as it may be", head("GET", path), 200, 1, ""},
		{"a target that is longer", head("GET", path+"1"), 414, 0, "URI too long"},
		{"as many fields as may be", head("GET", "/fields", fields(9)...), 200, 1, ""},
		{"more fields", head("GET", "/fields/more", fields(10)...), 431, 0, "malformed request"},
		{"a head that is too long", head("GET", "/head", "X: "+strings.Repeat("x", 4096)), 431, 0, "malformed request"},
		{"a body as long as it may be", head("POST", "/body", "Content-Length: 100000") + strings.Repeat("x", 100000), 200, 1, ""},
		{"a longer body", head("POST", "/body/more", "Content-Length: 100001") + strings.Repeat("x", 100001), 413, 0, "body too large"},
		{"chunks as long as a body may be", head("POST", "/chunks", "Transfer-Encoding: chunked") + chunked(100000), 200, 1, ""},
		{"small chunks that are too long", head("POST", "/chunks/more", "Transfer-Encoding: chunked") + chunked(100001), 413, -1, "body too large"},
		{"a body that is expected", head("POST", "/expect", "Expect: 100-continue", "Content-Length: 100001"), 413, 0, "body too large"},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := dial(t, p.address)
			c.send("%s", test.raw)
			a := c.answer("POST")
			a.wantStatus(t, test.status)
			target := strings.Fields(test.raw)[1]
			if n := b.seen(target); n != test.seen && test.seen >= 0 {
				t.Errorf("the backend saw it %d times, wanted %d", n, test.seen)
			}
			if test.status == 200 {
				c.get("/after").want(t, 200, "node1")
				return
			}
			if !a.close {
				t.Error("the answer does not say Connection: close")
			}
			c.closed()
			if test.status != 431 { // of what is no request nothing is logged
				if failure := p.waitRequest(logged(test.status, target)).Text("failure"); failure != test.failure {
					t.Errorf("failure is %q, wanted %q", failure, test.failure)
				}
			}
		})
	}
}

// logged is the path that the log has of a request: none of one whose head was refused.
func logged(status int, target string) string {
	if status == 414 {
		return ""
	}
	return target
}

// TestLimitOfAPoolsBodies: a pool's own limit takes the place of the server's, 0 for none too.
func TestLimitOfAPoolsBodies(t *testing.T) {
	t.Parallel()
	b := start(t, "node1", nil)
	for _, test := range []struct {
		pool   []string
		size   int
		status int
	}{
		{nil, 1001, 413}, {[]string{`max_body_bytes = "2KiB"`}, 2048, 200}, {[]string{`max_body_bytes = "2KiB"`}, 2049, 413}, {[]string{`max_body_bytes = 0`}, 200_000, 200},
	} {
		p := serve(t, settings{"server": {`max_body_bytes = 1000`}, "pool": test.pool}, b)
		c := dial(t, p.address)
		c.send("%s%s", head("POST", "/", fmt.Sprintf("Content-Length: %d", test.size)), strings.Repeat("x", test.size))
		c.answer("POST").wantStatus(t, test.status)
	}
}

// TestRequestsPerConnection: the last request of a connection is answered as such, and the requests behind it are not begun.
func TestRequestsPerConnection(t *testing.T) {
	t.Parallel()
	b := start(t, "node1", nil)
	p := serve(t, settings{"server": {`max_requests_per_connection = 3`}}, b)
	c := dial(t, p.address)
	c.send("%s", strings.Repeat(head("GET", "/piped"), 5))
	for n := range 3 {
		a := c.answer("GET")
		a.want(t, 200, "node1")
		if a.close != (n == 2) {
			t.Errorf("answer %d says Connection: close: %v", n+1, a.close)
		}
	}
	c.closed()
	if n := b.seen("/piped"); n != 3 {
		t.Errorf("the backend saw %d requests, wanted 3", n)
	}
}

// TestMaxConnections: those beyond the limit wait, and are served when one ends, or when one has been idle for a while.
func TestMaxConnections(t *testing.T) {
	t.Parallel()
	b, release := held(t)
	p := serve(t, settings{"server": {`max_connections = 3`}}, b)
	var busy []*client
	for n := range 3 {
		c := dial(t, p.address)
		c.send("%s", head("GET", fmt.Sprintf("/slow/%d", n)))
		b.waitSeen(fmt.Sprintf("/slow/%d", n), 1)
		busy = append(busy, c)
	}
	waiting := dial(t, p.address)
	waiting.send("%s", head("GET", "/waiting"))
	harness.Eventually(t, "one waits", func() bool { return p.metric("rehydra_client_connections_waited_total") == "1" })
	if n := b.seen("/waiting"); n != 0 {
		t.Error("a connection over the limit was served")
	}
	busy[0].conn.Close()
	close(release)
	waiting.answer("GET").want(t, 200, "node1")
	busy[1].answer("GET").want(t, 200, "node1")
	busy[2].answer("GET").want(t, 200, "node1")
	// All of them are idle now: the one that is so for longest makes room.
	another := dial(t, p.address)
	another.get("/another").want(t, 200, "node1")
	if n := p.metric("rehydra_client_connections_reclaimed_total"); n == "0" { // more than one where a machine takes long to close it
		t.Error("no connection was closed to make room")
	}
	another.get("/again").want(t, 200, "node1")
}

// TestMaxConnectionsPerClient: a client with too many connections is told so, others are not concerned, and one that ends makes room.
func TestMaxConnectionsPerClient(t *testing.T) {
	t.Parallel()
	b := start(t, "node1", nil)
	p := serve(t, settings{"server": {`max_connections_per_client = 2`}}, b)
	one, two := dial(t, p.address), dial(t, p.address)
	one.get("/1").want(t, 200, "node1")
	two.get("/2").want(t, 200, "node1")
	for range 3 {
		c := dial(t, p.address)
		a, err := c.receive("GET")
		if err != nil || a.status != 429 || a.err != nil || !a.close || a.header.Get("Retry-After") == "" {
			t.Fatalf("got %+v %v, wanted 429 with Retry-After, and the end", a, err)
		}
		c.closed()
	}
	other := dialFrom(t, "127.0.0.9", p.address)
	other.get("/other").want(t, 200, "node1")
	if n := p.metric("rehydra_client_connections_turned_away_total"); n != "3" {
		t.Errorf("%s were turned away, wanted 3", n)
	}
	one.conn.Close()
	harness.Eventually(t, "there is room again", func() bool {
		c := dial(t, p.address)
		defer c.conn.Close()
		c.send("%s", head("GET", "/3"))
		a, err := c.receive("GET")
		return err == nil && a.status == 200
	})
}
