package serve

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"
)

// short are time-outs that a steady slow transfer takes longer than, and that a loaded machine does not miss between two of its pieces.
var short = settings{
	"server":       {`header_timeout = "3s"`, `body_timeout = "3s"`, `keep_alive_timeout = "3s"`},
	"pool.timeout": {`connect = "3s"`, `first_byte = "3s"`, `idle = "3s"`},
}

// slowFor is longer than each of them.
const slowFor = 8 * time.Second

// tick is the pause between two pieces of a slow transfer.
const tick = 100 * time.Millisecond

func TestSteadySlowTransfersAreNotCut(t *testing.T) {
	t.Parallel()
	const size = 16 << 20
	b := start(t, "node1", func(q *call) {
		switch {
		case q.path("/down/length"):
			q.send("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", 1000*int(slowFor/tick))
			for range int(slowFor / tick) {
				pace(tick, tick, func() bool { q.send("%s", strings.Repeat("x", 1000)); return true })
			}
		case q.path("/down/chunked"):
			q.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
			pace(tick, slowFor, func() bool { q.send("3\r\nabc\r\n"); return true })
			q.send("0\r\n\r\n")
		case q.path("/down/much"):
			q.send("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", size)
			if _, err := q.conn.Write(make([]byte, size)); err != nil {
				t.Errorf("the answer to a slow reader ended with %v", err)
			}
		case q.path("/up/much"):
			readSlowly(q.req.Body)
			q.ok()
		default:
			q.ok()
		}
	})
	p := serve(t, short, b)
	run := func(name string, f func(t *testing.T)) { t.Run(name, func(t *testing.T) { t.Parallel(); f(t) }) }
	run("upload", func(t *testing.T) {
		n := int(slowFor / tick)
		c := dial(t, p.address)
		c.send("%s", head("POST", "/up", fmt.Sprintf("Content-Length: %d", n*8000)))
		for range n {
			pace(tick, tick, func() bool { c.send("%s", strings.Repeat("x", 8000)); return true })
		}
		c.answer("POST").want(t, 200, "node1")
	})
	run("small upload", func(t *testing.T) {
		c := dial(t, p.address)
		c.send("%s", head("POST", "/up", fmt.Sprintf("Content-Length: %d", int(slowFor/tick))))
		for range int(slowFor / tick) {
			pace(tick, tick, func() bool { c.send("x"); return true })
		}
		c.answer("POST").want(t, 200, "node1")
	})
	run("chunked upload", func(t *testing.T) {
		c := dial(t, p.address)
		c.send("%s", head("POST", "/up", "Transfer-Encoding: chunked"))
		pace(tick, slowFor, func() bool { c.send("3\r\nabc\r\n"); return true })
		c.send("0\r\n\r\n")
		c.answer("POST").want(t, 200, "node1")
	})
	run("download", func(t *testing.T) { p.slowGet(t, "/down/length", 1000*int(slowFor/tick)) })
	run("chunked download", func(t *testing.T) { p.slowGet(t, "/down/chunked", 0) })
	run("backend that reads slowly", func(t *testing.T) {
		c := dial(t, p.address)
		c.send("%s", head("POST", "/up/much", fmt.Sprintf("Content-Length: %d", size)))
		if _, err := c.conn.Write(make([]byte, size)); err != nil {
			t.Fatalf("the upload ended with %v", err)
		}
		c.answer("POST").want(t, 200, "node1")
	})
	run("client that reads slowly", func(t *testing.T) {
		c := dial(t, p.address)
		c.send("%s", head("GET", "/down/much"))
		resp, err := http.ReadResponse(c.r, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		n := readSlowly(resp.Body)
		rest, err := io.Copy(io.Discard, resp.Body)
		if n+rest != size || err != nil {
			t.Errorf("%d bytes and %v, wanted %d", n+rest, err, size)
		}
	})
}

// slowGet wants a whole body; size 0 is any.
func (p *program) slowGet(t *testing.T, target string, size int) {
	t.Helper()
	c := dial(t, p.address)
	a := c.get(target)
	a.wantStatus(t, 200)
	if size > 0 && len(a.body) != size {
		t.Errorf("%d bytes, wanted %d", len(a.body), size)
	}
}

// readSlowly reads 16 KiB each 100 ms, and then leaves the rest. The send buffer of the other side holds megabytes, of which it must be
// rid of a good part before more is taken from its writer: that takes far longer than any time-out.
func readSlowly(r io.Reader) (n int64) {
	pace(tick, slowFor, func() bool {
		k, err := io.CopyN(io.Discard, r, 16<<10)
		n += k
		return err == nil
	})
	return n
}

// TestStalledTransfersAreCut: what stops for longer than its time-out is ended, and whoever is left learns of it.
func TestStalledTransfersAreCut(t *testing.T) {
	t.Parallel()
	b := start(t, "node1", func(q *call) {
		switch {
		case q.path("/head"):
			q.send("HTTP/1.1 200 OK\r\nContent-")
			q.gone()
		case q.path("/length"):
			q.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc")
			q.gone()
		case q.path("/chunked"):
			q.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
			q.gone()
		default:
			q.ok()
		}
	})
	s := settings{"pool.health": {`fall = 100`}}
	for name, lines := range short {
		s[name] = lines
	}
	p := serve(t, s, b)
	for _, test := range []struct {
		name, raw string
		status    int // 0: the answer is cut, or there is none
		failure   string
	}{
		{"/head", head("GET", "/head"), 504, "first byte"},
		{"/length", head("GET", "/length"), 0, "answer stalled"},
		{"/chunked", head("GET", "/chunked"), 0, "answer stalled"},
		{"/small", head("POST", "/small", "Content-Length: 10") + "abc", 408, "body time-out"},
		{"/large", head("POST", "/large", "Content-Length: 1000000") + strings.Repeat("x", 100_000), 408, "body time-out"},
		{"/pieces", head("POST", "/pieces", "Transfer-Encoding: chunked") + "3\r\nabc\r\n", 408, "body time-out"},
		{"", "GET /unfinished HTTP/1.1\r\nHo", 408, "header time-out"},
	} {
		t.Run(test.failure+test.name, func(t *testing.T) {
			t.Parallel()
			c := dial(t, p.address)
			c.send("%s", test.raw)
			a, err := c.receive("GET")
			switch {
			case test.status != 0 && (err != nil || a.status != test.status):
				t.Errorf("got %d %v, wanted %d", a.status, err, test.status)
			case test.status == 0 && err == nil && a.err == nil:
				t.Errorf("the answer looks complete: %+v", a)
			}
			if test.status != 0 {
				c.closedOr(test.status == 504)
			}
			if got := p.waitRequest(test.name).Text("failure"); got != test.failure {
				t.Errorf("failure is %q, wanted %q", got, test.failure)
			}
		})
	}
	t.Run("idle", func(t *testing.T) {
		t.Parallel()
		c := dial(t, p.address)
		c.get("/").wantStatus(t, 200)
		c.closed()
	})
	t.Run("a head in drips, after empty lines", func(t *testing.T) {
		t.Parallel()
		c := dial(t, p.address)
		c.send("%s", "\r\n\r\nG")
		for range 30 { // ten times as long as a head may take
			c.conn.SetReadDeadline(time.Now().Add(time.Second))
			if _, err := c.r.Peek(1); !errors.Is(err, os.ErrDeadlineExceeded) {
				return // answered, or closed
			}
			c.send("x")
		}
		t.Error("a head that never ends is waited for as long as its bytes drip")
	})
}

// closedOr wants the connection closed unless it may go on.
func (c *client) closedOr(open bool) {
	c.t.Helper()
	if !open {
		c.closed()
	}
}

// TestFirstByteTimeout: a POST is not sent again, a GET goes to another backend, and nothing waits longer than once for each backend.
func TestFirstByteTimeout(t *testing.T) {
	t.Parallel()
	stuck := func(q *call) {
		if _, err := q.body(); err == nil {
			q.gone()
		}
	}
	s := settings{"pool.timeout": {`first_byte = "2s"`}, "pool.health": {`fall = 1000`}}
	one, two := start(t, "node1", stuck), start(t, "node2", nil)
	p := serve(t, s, one, two)
	c := dial(t, p.address)
	c.send("%s", head("POST", "/post", "Cookie: JSESSIONID=A.node1", "Content-Length: 5")+"hello")
	c.answer("POST").wantStatus(t, 504)
	if n := two.seen("/post"); n != 0 {
		t.Errorf("the POST was sent again, %d times", n)
	}
	for _, method := range []string{"GET", "PUT", "DELETE"} {
		target := "/" + strings.ToLower(method)
		c.send("%s", head(method, target, "Cookie: JSESSIONID=A.node1", "Content-Length: 5")+"hello")
		c.answer(method).want(t, 200, "node2")
		if one.seen(target) != 1 || two.seen(target) != 1 {
			t.Errorf("%s: %d and %d requests, wanted one each", method, one.seen(target), two.seen(target))
		}
	}
	two.handle = stuck
	c.get("/both").wantStatus(t, 504)
	if one.seen("/both") != 1 || two.seen("/both") != 1 {
		t.Errorf("%d and %d requests were waited for, wanted one each", one.seen("/both"), two.seen("/both"))
	}
	if !bytes.Contains([]byte(p.get("/both").body), []byte("in time")) {
		t.Error("the 504 does not say why")
	}
}
