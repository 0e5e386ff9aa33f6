package serve

import (
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"rehydra/e2e/harness"
)

// leaving are the moments at which a client may disappear: what it sends, and what it waits for before.
var leaving = []struct {
	name string
	do   func(c *client, b *backend, target string)
}{
	{"before a request", func(*client, *backend, string) {}},
	{"in the head", func(c *client, _ *backend, target string) { c.send("GET %s HTTP/1.1\r\nHo", target) }},
	{"in a small body", func(c *client, _ *backend, target string) {
		c.send("%sabc", head("POST", target, "Content-Length: 1000"))
	}},
	{"in a large body", func(c *client, b *backend, target string) {
		c.send("%s%s", head("POST", target, "Content-Length: 1000000"), strings.Repeat("x", 200_000))
		b.waitSeen(target, 1)
	}},
	{"between chunks", func(c *client, b *backend, target string) {
		c.send("%s3\r\nabc\r\n", head("POST", target, "Transfer-Encoding: chunked"))
		b.waitSeen(target, 1)
	}},
	{"before it sends what is expected", func(c *client, b *backend, target string) {
		c.send("%s", head("POST", target+"/continue", "Expect: 100-continue", "Content-Length: 1000"))
		c.answer("POST").wantStatus(c.t, 100)
	}},
	{"before the answer", func(c *client, b *backend, target string) {
		c.send("%s", head("GET", target+"/wait"))
		b.waitSeen(target+"/wait", 1)
	}},
	{"before an answer that does not come", func(c *client, b *backend, target string) {
		c.send("%s", head("GET", target+"/never"))
		b.waitSeen(target+"/never", 1)
	}},
	{"in the answer", func(c *client, b *backend, target string) {
		c.send("%s", head("GET", target+"/endless"))
		_, _ = io.ReadFull(c.r, make([]byte, 100_000))
	}},
	{"while it takes nothing of the answer", func(c *client, b *backend, target string) {
		c.send("%s", head("GET", target+"/endless"))
		b.waitSeen(target+"/endless", 1)
	}},
	{"in a tunnel", func(c *client, b *backend, target string) {
		c.send("%s", head("GET", target+"/tunnel", "Connection: Upgrade", "Upgrade: echo"))
		c.answer("GET").wantStatus(c.t, 101)
	}},
	{"with requests waiting", func(c *client, b *backend, target string) {
		c.send("%s", strings.Repeat(head("GET", target+"/wait"), 10))
		b.waitSeen(target+"/wait", 1)
	}},
}

// leftBehind is what a backend does for clients that go: it notices the end of its own connection only.
func leftBehind(q *call) {
	target := q.req.RequestURI
	switch {
	case strings.HasSuffix(target, "/wait"):
		pace(100*time.Millisecond, 300*time.Millisecond, func() bool { return true })
		q.ok()
	case strings.HasSuffix(target, "/never"):
		q.gone()
	case strings.HasSuffix(target, "/continue"):
		q.send("HTTP/1.1 100 Continue\r\n\r\n")
		q.ok()
	case strings.HasSuffix(target, "/endless"):
		q.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
		for chunk := "8000\r\n" + strings.Repeat("x", 0x8000) + "\r\n"; !q.broken; {
			q.send("%s", chunk)
		}
	case strings.HasSuffix(target, "/tunnel"):
		q.send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
		_, _ = io.Copy(q.conn, q.conn)
		q.close()
	default:
		q.ok()
	}
}

// TestClientsThatDisappear: whenever a client goes, by FIN or by RST, nothing of it stays: no descriptor and no goroutine.
func TestClientsThatDisappear(t *testing.T) {
	t.Parallel()
	for _, how := range []string{"close", "reset"} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			b := start(t, "node1", leftBehind)
			p := serve(t, settings{
				"pool":         {`max_idle_connections = 0`},
				"pool.timeout": {`first_byte = "3s"`},
				"pool.health":  {`interval = "1h"`, `fall = 1000`},
			}, b)
			p.get("/warm").wantStatus(t, 200)
			// The pipes through which a tunnel's bytes are moved are Go's, which keeps some until its collector comes by.
			before := 2
			harness.Eventually(t, "only the listeners are open", func() bool { return len(p.sockets()) == before })
			running := 0 // at rest; the connection that asks for it has some too, which may still be there the next time
			for range 50 {
				running = max(running, p.number("rehydra_goroutines"))
			}
			for i, moment := range leaving {
				for n := range 5 {
					c := dial(t, p.address)
					moment.do(c, b, fmt.Sprintf("/%d/%d", i, n))
					if how == "reset" {
						c.reset()
					} else {
						c.conn.Close()
					}
				}
			}
			gone := time.Now()
			harness.Eventually(t, fmt.Sprintf("no more than %d sockets", before), func() bool { return len(p.sockets()) <= before })
			t.Logf("the sockets were gone after %v", time.Since(gone).Round(time.Millisecond)) // 5 s at most on a machine that has time for it
			p.get("/after").want(t, 200, "node1")
			harness.Eventually(t, "no client is left", func() bool { return p.metric("rehydra_client_connections") == "0" })
			harness.Eventually(t, fmt.Sprintf("%d goroutines at most, as before", running), func() bool { return p.number("rehydra_goroutines") <= running })
			for _, stack := range p.goroutines() {
				for _, left := range []string{"proxy.(*Server).serve(", "proxy.(*pump)", "proxy.(*exchange)"} {
					if strings.Contains(stack, left) {
						t.Errorf("a goroutine is left:\n%s", stack)
					}
				}
			}
		})
	}
}

// TestBackendsOfGoneClientsAreLetGo: a backend that sends to a client that is gone is told so, and does not send for ever.
func TestBackendsOfGoneClientsAreLetGo(t *testing.T) {
	t.Parallel()
	b := start(t, "node1", leftBehind)
	p := serve(t, settings{"pool.health": {`interval = "1h"`}}, b)
	c := dial(t, p.address)
	c.send("%s", head("GET", "/endless"))
	c.answerHead()
	c.conn.Close()
	harness.Eventually(t, "the backend's connection ends", func() bool { return b.Open() == 0 })
	if failure := p.waitRequest("/endless").Text("failure"); failure != "client gone" {
		t.Errorf("failure is %q, wanted client gone", failure)
	}
}

// answerHead reads to the end of a head.
func (c *client) answerHead() {
	c.t.Helper()
	for {
		line, err := c.r.ReadString('\n')
		if err != nil {
			c.t.Fatal(err)
		}
		if line == "\r\n" {
			return
		}
	}
}

// TestHalfClose: a client that has nothing more to send still gets its answers, also when the proxy has looked meanwhile whether it has gone.
func TestHalfClose(t *testing.T) {
	t.Parallel()
	b, release := held(t)
	p := serve(t, nil, b)
	c := dial(t, p.address)
	c.send("%s%s", head("GET", "/slow"), head("GET", "/2"))
	if err := c.conn.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	b.waitSeen("/slow", 1)
	pace(100*time.Millisecond, 3*time.Second, func() bool { return true }) // it looks once a second
	close(release)
	c.answer("GET").want(t, 200, "node1")
	c.answer("GET").want(t, 200, "node1")
	c.closed()
}
