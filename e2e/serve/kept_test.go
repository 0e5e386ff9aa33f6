package serve

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"rehydra/e2e/harness"
)

// fewer bounds what a busy kernel may spoil: that a backend has sent something, an end or a surplus, is not yet that the proxy can see it.
const fewer = 5

// TestKeptConnectionsThatAreClosed: a backend that closes a connection between requests costs nobody anything, in whatever way it
// does. The proxy sees it before it sends.
func TestKeptConnectionsThatAreClosed(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(*call){
		"close": func(q *call) { q.ok(); q.close() },
		"reset": func(q *call) { q.ok(); q.reset() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := start(t, "node1", end)
			p := serve(t, settings{"pool.health": {`interval = "1h"`}}, b)
			c := dial(t, p.address)
			failed := 0
			for range 50 {
				if a := c.post("/", "hello"); a.status != 200 {
					failed++
				}
				harness.Eventually(t, "the connection is closed", func() bool { return b.Open() == 0 })
			}
			if failed > fewer {
				t.Errorf("%d of 50 POSTs failed", failed)
			}
		})
	}
}

// TestKeptConnectionsClosedAtTheMomentOfUse: where the look before use cannot help, a GET goes out again on a new connection, and a
// POST, which may have been executed, fails and is not sent again. After that, no POST goes out on a connection of that age.
func TestKeptConnectionsClosedAtTheMomentOfUse(t *testing.T) {
	t.Parallel()
	var onKept sync.Map // the targets of POSTs that came on a kept connection
	b := start(t, "node1", func(q *call) {
		if q.nth >= 2 && (q.req.Method == "POST" || q.path("/get")) { // it reads the request and closes
			_, _ = q.body()
			if q.req.Method == "POST" {
				onKept.Store(q.req.RequestURI, true)
			}
			q.close()
			return
		}
		q.ok()
	})
	p := serve(t, tolerant, b)
	c, failed := dial(t, p.address), 0
	for end, n := time.Now().Add(patience), 0; failed == 0 && time.Now().Before(end); n++ {
		c.get("/first").want(t, 200, "node1")
		target := fmt.Sprintf("/post/%d", n)
		a := c.post(target, "hello")
		if _, kept := onKept.Load(target); kept {
			a.wantStatus(t, 502)
			failed++
		} else {
			a.want(t, 200, "node1")
		}
		if b.seen(target) != 1 {
			t.Fatalf("the POST arrived %d times", b.seen(target))
		}
	}
	if failed == 0 {
		t.Error("no POST ever went out on a kept connection")
	}
	for n := range 20 {
		c.get("/first").want(t, 200, "node1")
		target := fmt.Sprintf("/post/after/%d", n)
		c.post(target, "hello").want(t, 200, "node1")
		target = fmt.Sprintf("/get/%d", n)
		c.get(target).want(t, 200, "node1")
		if b.seen(target) != 2 {
			t.Fatalf("%d requests, wanted 2: the connection was not kept", b.seen(target))
		}
	}
	if n := len(p.events("backend out")); n > 0 {
		t.Error("closing an idle connection put the backend out")
	}
}

// TestConnectionsAreKept: requests one after the other share a connection; those that must not be sent twice, once it was seen how long one is kept.
func TestConnectionsAreKept(t *testing.T) {
	t.Parallel()
	b := start(t, "node1", nil)
	p := serve(t, settings{"pool.health": {`interval = "1h"`}}, b)
	for range 20 {
		p.get("/").want(t, 200, "node1")
	}
	if n := b.Accepted(); n > 2 { // one for the first health check
		t.Errorf("20 requests used %d connections", n-1)
	}
	harness.Eventually(t, "POSTs share connections", func() bool {
		before := b.Accepted()
		for range 10 {
			dial(t, p.address).post("/", "hello").want(t, 200, "node1")
		}
		return b.Accepted() == before
	})
}

// TestSurplusNeverReachesAnother: whatever a backend sends beyond an answer, at once or late, is no part of the next one.
func TestSurplusNeverReachesAnother(t *testing.T) {
	t.Parallel()
	const poison = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison"
	for name, surplus := range map[string]func(*call){
		"with the answer":  func(q *call) { q.send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nnode1%s", poison) },
		"after the answer": func(q *call) { q.ok(); q.send(poison) },
		"after 204":        func(q *call) { q.send("HTTP/1.1 204 No Content\r\n\r\n%s", poison) },
		"after 304":        func(q *call) { q.send("HTTP/1.1 304 Not Modified\r\nContent-Length: 6\r\n\r\n"); q.send(poison) },
		"after chunks":     func(q *call) { q.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n%s", poison) },
		"one byte":         func(q *call) { q.ok(); q.send("\n") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var played, again atomic.Int64
			b := start(t, "node1", func(q *call) {
				if q.nth > 1 {
					again.Add(1)
				}
				surplus(q)
				played.Add(1)
			})
			p := serve(t, settings{"pool.health": {`interval = "1h"`}}, b)
			poisoned := int64(0)
			for n := range int64(100) {
				c := dial(t, p.address)
				method := []string{"GET", "HEAD"}[n%5/4]
				c.send("%s", head(method, "/"))
				if a := c.answer(method); a.status >= 400 || strings.Contains(a.body, "poison") {
					poisoned++
				}
				c.conn.Close()
				// What is sent while the next request is on its way cannot be told from its answer.
				harness.Eventually(t, "the surplus is sent", func() bool { return played.Load() >= n+1-poisoned })
			}
			if poisoned > fewer || again.Load() > fewer {
				t.Errorf("%d of 100 got the surplus or an error, %d connections were used again", poisoned, again.Load())
			}
		})
	}
}
