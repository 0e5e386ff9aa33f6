package serve

import (
	"fmt"
	"io"
	"strings"
	"testing"
)

// TestEarlyAnswer: a backend that refuses an upload before it has read it all is heard, whatever it does to its connection then.
func TestEarlyAnswer(t *testing.T) {
	t.Parallel()
	const size = 20 << 20
	for name, end := range map[string]func(*call){
		"and reads on":       func(q *call) { _, _ = q.body() },
		"and closes":         func(q *call) { q.close() },
		"and lingers":        func(q *call) { _ = q.conn.CloseWrite(); _, _ = io.Copy(io.Discard, q.conn); q.close() },
		"and stops reading":  func(q *call) { q.until(q.b.stop.Done()) },
		"and keeps the rest": func(q *call) {},
	} {
		for _, framing := range []string{fmt.Sprintf("Content-Length: %d", size), "Transfer-Encoding: chunked"} {
			t.Run(name+", "+framing, func(t *testing.T) {
				t.Parallel()
				b := start(t, "node1", func(q *call) {
					if q.path("/up") {
						q.reply(413, "too large")
						end(q)
						return
					}
					q.ok()
				})
				p := serve(t, tolerant, b)
				c := dial(t, p.address)
				done := make(chan error, 1)
				go func() {
					if _, err := io.WriteString(c.conn, head("POST", "/up", framing)); err != nil {
						done <- err
						return
					}
					done <- pour(c.conn, size, framing[0] == 'T', func() {})
				}()
				a, err := c.receive("POST")
				if err != nil || a.status != 413 || a.body != "too large" || a.err != nil {
					t.Errorf("got %+v %v, wanted 413", a, err)
				}
				c.conn.Close()
				<-done
				p.get("/").want(t, 200, "node1")
			})
		}
	}
}

// TestRefusedUploadsAreReadForAWhile: a client that sends all it has before it listens gets the answer of a proxy that refused at once. Closing
// then and there would break its connection off under it.
func TestRefusedUploadsAreReadForAWhile(t *testing.T) {
	t.Parallel()
	b := start(t, "node1", func(q *call) { q.reply(401, "who?", "Connection: close"); q.close() })
	p := serve(t, settings{"pool": {`match = ["/app/*"]`}}, b)
	for target, status := range map[string]int{"/none": 404, "/app/": 401} {
		for n := range 10 {
			c := dial(t, p.address)
			c.send("%s", head("POST", target, "Content-Length: 600000"))
			for range 6 {
				c.send("%s", strings.Repeat("x", 100_000))
			}
			a := c.answer("POST")
			a.wantStatus(t, status)
			if status == 401 {
				continue // all of the body may have gone to the backend
			}
			if !a.close {
				t.Errorf("answer %d does not say Connection: close", n)
			}
			c.closed()
		}
	}
}

// TestUploadBrokenOff: a backend that breaks an upload off without an answer is at fault, and not the client, who may be slow.
func TestUploadBrokenOff(t *testing.T) {
	t.Parallel()
	b := start(t, "node1", func(q *call) {
		if _, err := io.CopyN(io.Discard, q.req.Body, 80_000); err != nil {
			t.Errorf("the body ended early: %v", err)
		}
		q.reset()
	})
	p := serve(t, tolerant, b)
	for _, method := range []string{"POST", "PUT"} {
		p.waitBackend(b, true)
		c := dial(t, p.address)
		c.send("%s%s", head(method, "/"+method, "Content-Length: 1000000"), strings.Repeat("x", 100_000))
		c.answer(method).wantStatus(t, 502)
		if n := b.seen("/" + method); n != 1 {
			t.Errorf("%s arrived %d times, wanted once: its body was not kept", method, n)
		}
		if failure := p.waitRequest("/" + method).Text("failure"); failure != "reset" {
			t.Errorf("failure is %q, wanted reset", failure)
		}
	}
}

// TestSmallBodiesAreSentAgain: what is kept of a body, up to 64 KiB, goes to the next backend too, byte for byte.
func TestSmallBodiesAreSentAgain(t *testing.T) {
	t.Parallel()
	one := start(t, "node1", func(q *call) { _, _ = q.body(); q.reset() })
	bodies := make(chan string, 10)
	two := start(t, "node2", func(q *call) {
		body, err := q.body()
		if err != nil {
			t.Errorf("the body ended early: %v", err)
		}
		bodies <- body
		q.reply(200, "node2")
	})
	p := serve(t, tolerant, one, two)
	for _, size := range []int{0, 1, 4 << 10, 64<<10 - 1, 64 << 10} {
		p.waitBackend(one, true)
		body := strings.Repeat("abcdefg\n", size/8+1)[:size]
		c := dial(t, p.address)
		c.send("%s%s", head("PUT", "/", "Cookie: JSESSIONID=A.node1", fmt.Sprintf("Content-Length: %d", size)), body)
		c.answer("PUT").want(t, 200, "node2")
		if got := <-bodies; got != body {
			t.Errorf("%d bytes arrived, wanted the %d that were sent", len(got), size)
		}
	}
}

func TestExpect(t *testing.T) {
	t.Parallel()
	const size = 100_000
	body := strings.Repeat("x", size)
	b := start(t, "node1", func(q *call) {
		switch {
		case q.path("/continue"):
			q.send("HTTP/1.1 100 Continue\r\n\r\n")
			q.ok()
		case q.path("/refuse"):
			q.reply(401, "who?", "Connection: close")
			q.close()
		case q.path("/ignore"): // waits for the body without a word
			q.ok()
		case q.path("/hints"): // another interim answer, and then the same
			q.send("HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n")
			q.ok()
		}
	})
	p := serve(t, nil, b)
	for _, test := range []struct {
		target  string
		interim []int
		status  int
	}{
		{"/continue", []int{100}, 200}, {"/refuse", nil, 401}, {"/ignore", []int{100}, 200}, {"/hints", []int{103, 100}, 200},
	} {
		t.Run(test.target, func(t *testing.T) {
			t.Parallel()
			c := dial(t, p.address)
			c.send("%s", head("POST", test.target, "Expect: 100-continue", fmt.Sprintf("Content-Length: %d", size)))
			for _, want := range test.interim { // the body does not come before
				c.answer("POST").wantStatus(t, want)
			}
			if len(test.interim) > 0 {
				c.send("%s", body)
			}
			c.answer("POST").wantStatus(t, test.status)
			if test.status == 200 {
				c.send("%s%s", head("POST", "/ignore", "Content-Length: 5"), "hello")
				c.answer("POST").want(t, 200, "node1")
			}
		})
	}
}

// TestInterimAnswers: 1xx go to a client of HTTP/1.1 before the answer, and not to one of HTTP/1.0.
func TestInterimAnswers(t *testing.T) {
	t.Parallel()
	hinted := make(chan struct{})
	b := start(t, "node1", func(q *call) {
		q.send("HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\nRehydra-Session: x\r\n\r\n")
		q.until(hinted) // the client must have them before the answer is there
		q.ok()
	})
	p := serve(t, nil, b)
	c := dial(t, p.address)
	c.send("%s", head("GET", "/"))
	c.answer("GET").wantStatus(t, 102)
	hints := c.answer("GET")
	if hints.status != 103 || hints.header.Get("Link") != "</a.css>" || hints.header.Get("Rehydra-Session") != "" {
		t.Errorf("the hints are %+v", hints)
	}
	close(hinted)
	a := c.answer("GET")
	a.want(t, 200, "node1")
	if a.header.Get("Link") != "" {
		t.Error("the hint's field is in the answer")
	}
	old := dial(t, p.address)
	old.send("GET / HTTP/1.0\r\nHost: shop.test\r\n\r\n")
	old.answer("GET").want(t, 200, "node1")
	old.closed()
}

// TestHTTP10: no chunks for a client that does not know them; its connection ends unless it asks to keep it.
func TestHTTP10(t *testing.T) {
	t.Parallel()
	b := start(t, "node1", func(q *call) {
		if q.req.ProtoMinor != 1 {
			t.Errorf("the backend got %s", q.req.Proto)
		}
		switch {
		case q.path("/chunks"):
			q.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n")
		case q.path("/old"):
			q.send("HTTP/1.0 200 OK\r\n\r\nhello")
			q.close()
		default:
			q.reply(200, "hello")
		}
	})
	p := serve(t, nil, b)
	for _, target := range []string{"/length", "/chunks", "/old"} {
		c := dial(t, p.address)
		c.send("GET %s HTTP/1.0\r\nHost: shop.test\r\n\r\n", target)
		a := c.answer("GET")
		a.want(t, 200, "hello")
		if a.header.Get("Transfer-Encoding") != "" {
			t.Errorf("%s: chunks for HTTP/1.0", target)
		}
		c.closed()
		p.get(target).want(t, 200, "hello")
	}
	c := dial(t, p.address)
	for range 3 {
		c.send("GET /length HTTP/1.0\r\nHost: shop.test\r\nConnection: keep-alive\r\n\r\n")
		a := c.answer("GET")
		a.want(t, 200, "hello")
		if !strings.EqualFold(a.header.Get("Connection"), "keep-alive") {
			t.Errorf("Connection is %q, wanted keep-alive", a.header.Get("Connection"))
		}
	}
}
