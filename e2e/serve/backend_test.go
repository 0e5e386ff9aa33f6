package serve

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"rehydra/e2e/harness"
)

// backend is a server whose every byte belongs to the test. It keeps its address when it is down.
type backend struct {
	*harness.Server // its connections

	t       *testing.T
	route   string
	address string
	handle  func(*call)
	stop    context.Context // ends with the test: what handlers may wait for

	mu      sync.Mutex
	targets map[string]int // requests whose head arrived
}

// call is one request at a backend.
type call struct {
	b      *backend
	req    *http.Request
	conn   *net.TCPConn
	r      *bufio.Reader
	nth    int  // request on this connection, from 1
	broken bool // the handler closed the connection, or wants it closed
}

// start starts a backend that answers with handle; nil is ok.
func start(t *testing.T, route string, handle func(*call)) *backend {
	t.Helper()
	if handle == nil {
		handle = (*call).ok
	}
	b := &backend{t: t, route: route, handle: handle, targets: make(map[string]int)}
	var stop context.CancelFunc
	b.stop, stop = context.WithCancel(context.Background())
	b.Server = harness.Serve(t, b.serve)
	b.address = b.Address()
	t.Cleanup(stop)
	return b
}

func (b *backend) serve(c *net.TCPConn) {
	r := bufio.NewReader(c)
	for n := 1; ; n++ {
		req, err := http.ReadRequest(r)
		if err != nil {
			return
		}
		b.mu.Lock()
		b.targets[req.RequestURI]++
		b.mu.Unlock()
		q := &call{b: b, req: req, conn: c, r: r, nth: n}
		b.handle(q)
		if q.broken {
			return
		}
		if _, err := io.Copy(io.Discard, req.Body); err != nil {
			return
		}
	}
}

// seen returns how many requests with this target arrived.
func (b *backend) seen(target string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.targets[target]
}

// waitSeen waits for n requests with this target.
func (b *backend) waitSeen(target string, n int) {
	b.t.Helper()
	harness.Eventually(b.t, fmt.Sprintf("%d requests of %s at %s", n, target, b.route), func() bool { return b.seen(target) >= n })
}

// body reads the request's body.
func (q *call) body() (string, error) {
	data, err := io.ReadAll(q.req.Body)
	return string(data), err
}

// send writes raw bytes; a client that is gone is no fault.
func (q *call) send(format string, args ...any) {
	raw := format
	if len(args) > 0 {
		raw = fmt.Sprintf(format, args...)
	}
	if _, err := io.WriteString(q.conn, raw); err != nil {
		q.broken = true
	}
}

// reply answers with a status and a body of known length.
func (q *call) reply(status int, body string, fields ...string) {
	lines := ""
	for _, f := range fields {
		lines += f + "\r\n"
	}
	q.send("HTTP/1.1 %d %s\r\n%sContent-Length: %d\r\n\r\n%s", status, http.StatusText(status), lines, len(body), body)
}

// ok reads the body and answers with the backend's route.
func (q *call) ok() {
	if _, err := q.body(); err != nil {
		q.broken = true
		return
	}
	q.reply(200, q.b.route)
}

// close closes the connection after the handler.
func (q *call) close() { q.broken = true }

// reset breaks the connection off.
func (q *call) reset() {
	harness.Reset(q.conn)
	q.broken = true
}

// gone waits until the proxy ends the connection, and reports whether it did before the test ended.
func (q *call) gone() bool {
	q.broken = true
	_, err := q.conn.Read(make([]byte, 1))
	return err != nil && q.b.stop.Err() == nil
}

// until waits for a channel, or for the end of the test.
func (q *call) until(ch <-chan struct{}) {
	select {
	case <-ch:
	case <-q.b.stop.Done():
	}
}

// path reports whether the request's target begins with this.
func (q *call) path(beginning string) bool { return strings.HasPrefix(q.req.RequestURI, beginning) }

// pace calls step every interval until it returns false or the time is over.
func pace(interval, during time.Duration, step func() bool) {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for end := time.Now().Add(during); time.Now().Before(end); <-tick.C {
		if !step() {
			return
		}
	}
}
