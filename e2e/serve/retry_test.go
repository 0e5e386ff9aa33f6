package serve

import (
	"fmt"
	"strings"
	"testing"
)

// TestRetryBudget: when every backend fails its requests, they are not sent to all of them for ever: the budget ends it, and is counted.
func TestRetryBudget(t *testing.T) {
	t.Parallel()
	broken := func(q *call) { _, _ = q.body(); q.close() }
	one, two, three := start(t, "node1", broken), start(t, "node2", broken), start(t, "node3", broken)
	p := serve(t, settings{
		"pool.retry":  {`budget_percent = 10`, `budget_minimum = 1`},
		"pool.health": {`interval = "1h"`, `fall = 1000`},
	}, one, two, three)
	const requests = 100
	c := dial(t, p.address)
	for range requests {
		c.get("/").wantStatus(t, 502)
	}
	seen := one.seen("/") + two.seen("/") + three.seen("/")
	count := func(name string) int { return p.number(fmt.Sprintf(`rehydra_%s{pool="shop"}`, name)) }
	repeats, refused := count("pool_repeats_total"), count("pool_repeats_refused_total")
	t.Logf("%d requests were sent %d times: %d repeats, %d refused", requests, seen, repeats, refused)
	if seen != requests+repeats {
		t.Errorf("the backends saw %d requests, wanted %d and %d repeats", seen, requests, repeats)
	}
	// 1 for each second of the window, and a tenth of what was sent; the window moves on a machine that takes long.
	if repeats < 10 || refused == 0 {
		t.Errorf("%d repeats and %d refused, wanted 10 at least, and some refused", repeats, refused)
	}
}

// TestRetryBodies: how much of a body is kept is for the pool to say.
func TestRetryBodies(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		keep   string
		size   int
		status int
	}{{`"4KiB"`, 4 << 10, 200}, {`"4KiB"`, 4<<10 + 1, 502}, {`"1MiB"`, 1 << 20, 200}, {`0`, 1, 502}} {
		one := start(t, "node1", func(q *call) { _, _ = q.body(); q.close() })
		two := start(t, "node2", nil)
		p := serve(t, settings{"pool.retry": {`body_bytes = ` + test.keep}, "pool.health": {`interval = "1h"`}}, one, two)
		c := dial(t, p.address)
		c.send("%s%s", head("PUT", "/", "Cookie: JSESSIONID=A.node1", fmt.Sprintf("Content-Length: %d", test.size)), strings.Repeat("x", test.size))
		c.answer("PUT").wantStatus(t, test.status)
	}
}

// TestAllBackendsDownAndBack: with every backend down clients are told 503 and when to come again, at once, and are served when one is back.
func TestAllBackendsDownAndBack(t *testing.T) {
	t.Parallel()
	one, two := start(t, "node1", nil), start(t, "node2", nil)
	p := serve(t, nil, one, two)
	p.get("/").wantStatus(t, 200)
	one.Down()
	two.Down()
	for n := range 20 {
		c := dial(t, p.address)
		method := []string{"GET", "POST"}[n%2]
		c.send("%s", head(method, "/down", "Content-Length: 0"))
		a := c.answer(method)
		a.wantStatus(t, 503)
		if a.header.Get("Retry-After") == "" {
			t.Errorf("%s: 503 without Retry-After", method)
		}
	}
	two.Up()
	p.waitBackend(two, true)
	for range 10 {
		p.get("/back", "Cookie: JSESSIONID=A.node1").want(t, 200, "node2")
	}
	one.Up()
	p.waitBackend(one, true)
	p.get("/back", "Cookie: JSESSIONID=A.node1").want(t, 200, "node1")
}
