package protocol

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http/httputil"
	"strconv"
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
	handle  func(*call) // answers a request; it may do to the connection what it likes
	loose   bool        // requests are not held to section 1

	mu    sync.Mutex
	calls []*call
}

// call is one request as it arrived.
type call struct {
	b       *backend
	method  string
	target  string
	fields  []string // "Name: value", as they came
	conn    net.Conn
	r       *bufio.Reader
	body    []byte // after readBody, which the answer's end does too
	gotBody bool
	err     error // of the body
	at      time.Time
}

// startBackend starts a backend of a route; handle nil leaves it to the caller to set one before the first request.
func startBackend(t *testing.T, route string, handle func(*call)) *backend {
	t.Helper()
	b := &backend{t: t, route: route, handle: handle}
	b.Server = harness.Serve(t, b.serve)
	b.address = b.Address()
	return b
}

func (b *backend) serve(c *net.TCPConn) {
	for r := bufio.NewReader(c); ; {
		q, err := b.readHead(c, r)
		if err != nil {
			return
		}
		b.mu.Lock()
		b.calls = append(b.calls, q)
		b.mu.Unlock()
		if !b.loose {
			b.check(q)
		}
		b.handle(q)
		if q.readBody() != nil {
			return
		}
	}
}

func (b *backend) readHead(c net.Conn, r *bufio.Reader) (*call, error) {
	q := &call{b: b, conn: c, r: r, at: time.Now()}
	for first := true; ; first = false {
		line, err := r.ReadString('\n')
		if err != nil {
			return nil, err
		}
		line = strings.TrimSuffix(line, "\r\n")
		switch {
		case first:
			parts := strings.Split(line, " ")
			if len(parts) != 3 {
				return nil, fmt.Errorf("request line %q", line)
			}
			q.method, q.target = parts[0], parts[1]
		case line == "":
			return q, nil
		default:
			q.fields = append(q.fields, line)
		}
	}
}

// check holds a request to section 1.
func (b *backend) check(q *call) {
	var tier, other int
	for _, f := range q.fields {
		name, value, _ := strings.Cut(f, ": ")
		switch lower := strings.ToLower(name); {
		case strings.Contains(name, "_"):
			b.t.Errorf("%s got a field with an underscore: %s", b.route, f)
		case lower == "rehydra-tier":
			tier++
			if value != harness.Token {
				b.t.Errorf("%s got the token %q", b.route, value)
			}
		case strings.HasPrefix(lower, "rehydra"):
			other++
		}
	}
	if strings.HasSuffix(q.path(), ".png") {
		if tier+other != 0 {
			b.t.Errorf("%s got fields of the tier with an ignored request: %q", b.route, q.fields)
		}
		return
	}
	if tier != 1 {
		b.t.Errorf("%s got Rehydra-Tier %d times, wanted it once: %q", b.route, tier, q.fields)
	}
	if state, ok := q.lookup("Rehydra-State"); ok && (strings.Contains(state, "=") || len(state) > 4*4096/3+2 || !isVersion(q.get("Rehydra-Have"))) {
		b.t.Errorf("%s got a Rehydra-State of %d characters with Rehydra-Have %q", b.route, len(state), q.get("Rehydra-Have"))
	}
	if q.get("Rehydra-Op") != "" && q.method != "REPORT" {
		b.t.Errorf("%s got an operation with method %s", b.route, q.method)
	}
}

func isVersion(s string) bool {
	var g, c int
	n, err := fmt.Sscanf(s, "%d.%d", &g, &c)
	return err == nil && n == 2
}

// lookup returns the value of the only field of that name; two of them fail the test.
func (q *call) lookup(name string) (value string, ok bool) {
	for _, f := range q.fields {
		n, v, _ := strings.Cut(f, ":")
		if strings.EqualFold(n, name) {
			if ok {
				q.b.t.Errorf("%s got %s twice", q.b.route, name)
			}
			value, ok = strings.TrimSpace(v), true
		}
	}
	return value, ok
}

// get is lookup with "" for a field that is missing.
func (q *call) get(name string) string {
	v, _ := q.lookup(name)
	return v
}

func (q *call) op() string   { return q.get("Rehydra-Op") }
func (q *call) id() string   { return q.get("Rehydra-Id") }
func (q *call) have() string { return q.get("Rehydra-Have") }

// path is the target without its query and path parameters.
func (q *call) path() string {
	if i := strings.IndexAny(q.target, "?;"); i >= 0 {
		return q.target[:i]
	}
	return q.target
}

// readBody reads the request's body, once.
func (q *call) readBody() error {
	if q.gotBody {
		return q.err
	}
	q.gotBody = true
	var err error
	switch {
	case strings.EqualFold(q.get("Transfer-Encoding"), "chunked"):
		if q.body, err = io.ReadAll(httputil.NewChunkedReader(q.r)); err != nil {
			break
		}
		for line := ""; err == nil && line != "\r\n"; { // trailer section
			if line, err = q.r.ReadString('\n'); err == nil && line != "\r\n" {
				q.fields = append(q.fields, "Trailer-"+strings.TrimSpace(line))
			}
		}
	case q.get("Content-Length") != "":
		n, cerr := strconv.Atoi(q.get("Content-Length"))
		if cerr != nil {
			q.err = cerr
			return cerr
		}
		q.body = make([]byte, n)
		_, err = io.ReadFull(q.r, q.body)
	}
	q.err = err
	return err
}

// say writes raw bytes; a client that has gone away is nobody's fault.
func (q *call) say(parts ...string) { _, _ = io.WriteString(q.conn, strings.Join(parts, "")) }

// requests returns the calls so far that are for the application, operations those that are not.
func (b *backend) requests() []*call   { return b.filter(func(q *call) bool { return q.op() == "" }) }
func (b *backend) operations() []*call { return b.filter(func(q *call) bool { return q.op() != "" }) }

func (b *backend) filter(keep func(*call) bool) (kept []*call) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, q := range b.calls {
		if keep(q) {
			kept = append(kept, q)
		}
	}
	return kept
}

// forget drops the calls so far.
func (b *backend) forget() {
	b.mu.Lock()
	b.calls = nil
	b.mu.Unlock()
}
