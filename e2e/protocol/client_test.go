package protocol

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// answerTime is how long a client waits for an answer.
const answerTime = 30 * time.Second

// query is a request of a client.
type query struct {
	method string // GET if empty
	target string // "/" if empty
	cookie string // the session id; "" sends none
	fields []string
	body   string // with a Content-Length, unless chunked
	raw    string // everything after the head, in place of body: its framing is in fields
	close  bool   // HTTP/1.0
}

func (q query) bytes() string {
	var b strings.Builder
	method, target, version := q.method, q.target, "1.1"
	if method == "" {
		method = "GET"
	}
	if target == "" {
		target = "/"
	}
	if q.close {
		version = "1.0"
	}
	fmt.Fprintf(&b, "%s %s HTTP/%s\r\nHost: shop.example\r\n", method, target, version)
	if q.cookie != "" {
		fmt.Fprintf(&b, "Cookie: JSESSIONID=%s\r\n", q.cookie)
	}
	for _, f := range q.fields {
		b.WriteString(f + "\r\n")
	}
	if q.raw == "" && (q.body != "" || method == "POST") {
		fmt.Fprintf(&b, "Content-Length: %d\r\n", len(q.body))
	}
	b.WriteString("\r\n")
	return b.String() + q.body + q.raw
}

// response is what a client got.
type response struct {
	status  int
	header  http.Header
	trailer http.Header
	body    string
	raw     string
	err     error         // why the answer is not whole
	took    time.Duration // until the end
	first   time.Duration // until the first byte
}

// send sends a request on a connection of its own and reads the answer, which need not be whole.
func send(t testing.TB, address string, q query) response {
	t.Helper()
	return sendOn(t, dial(t, address), q)
}

// sendOn sends q on conn, and closes that.
func sendOn(t testing.TB, conn net.Conn, q query) response {
	t.Helper()
	defer conn.Close()
	start := time.Now()
	writing := make(chan struct{})
	go func() { // an answer may come before the request is out
		defer close(writing)
		_, _ = io.WriteString(conn, q.bytes())
	}()
	r := receive(t, conn, start, q.method)
	conn.Close()
	<-writing
	return r
}

// ask is send for an answer that must be whole and have the status.
func ask(t testing.TB, address string, status int, q query) response {
	t.Helper()
	r := send(t, address, q)
	if r.err != nil {
		t.Fatalf("%s %s: no whole answer: %v\n%q", q.method, q.target, r.err, clip(r.raw))
	}
	if r.status != status {
		t.Fatalf("%s %s: status %d, wanted %d: %q", q.method, q.target, r.status, status, clip(r.body))
	}
	return r
}

func dial(t testing.TB, address string) net.Conn {
	t.Helper()
	conn, err := tryDial(t, address)
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

// tryDial is dial, but for a server that may be gone.
func tryDial(t testing.TB, address string) (net.Conn, error) {
	var d net.Dialer
	conn, err := d.DialContext(t.Context(), "tcp", address)
	if err == nil {
		conn.SetDeadline(time.Now().Add(answerTime))
	}
	return conn, err
}

// receive reads one final answer and holds it to what every answer must be: nothing of the session protocol is in it.
func receive(t testing.TB, conn net.Conn, start time.Time, method string) (r response) {
	t.Helper()
	var raw bytes.Buffer
	br := bufio.NewReader(&firstByte{r: io.TeeReader(conn, &raw), at: func() { r.first = time.Since(start) }})
	defer func() {
		r.took, r.raw = time.Since(start), raw.String()
		if strings.Contains(strings.ToLower(r.raw), "rehydra-") {
			t.Errorf("the client got a field of the session protocol: %q", clip(r.raw))
		}
	}()
	for {
		resp, err := http.ReadResponse(br, &http.Request{Method: method})
		if err != nil {
			r.err = err
			return r
		}
		if resp.StatusCode < 200 && resp.StatusCode != 101 {
			resp.Body.Close()
			continue
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		r.status, r.header, r.trailer, r.body, r.err = resp.StatusCode, resp.Header, resp.Trailer, string(body), err
		return r
	}
}

// firstByte tells when the first byte came.
type firstByte struct {
	r   io.Reader
	at  func()
	got bool
}

func (f *firstByte) Read(p []byte) (int, error) {
	n, err := f.r.Read(p)
	if n > 0 && !f.got {
		f.got = true
		f.at()
	}
	return n, err
}

func clip(s string) string {
	if len(s) > 400 {
		return s[:400] + "…"
	}
	return s
}

// cutOff reports whether an answer visibly broke off.
func (r response) cutOff() bool {
	return r.err != nil && (errors.Is(r.err, io.ErrUnexpectedEOF) || errors.Is(r.err, io.EOF) || strings.Contains(r.err.Error(), "reset"))
}
