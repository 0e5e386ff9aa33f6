package serve

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"rehydra/e2e/harness"
)

// patience is the limit of anything that should happen; only a failing test uses it up.
const patience = 20 * time.Second

// client is one connection of a client.
type client struct {
	t    *testing.T
	conn *net.TCPConn
	r    *bufio.Reader
	got  int64 // bytes that were read
}

// answer is one response.
type answer struct {
	status int
	header http.Header
	body   string
	err    error // of the body: it was cut
	close  bool  // it says Connection: close
}

// dial connects.
func dial(t *testing.T, address string) *client {
	t.Helper()
	return dialFrom(t, "", address)
}

// dialFrom connects from one of this machine's addresses; "" is any.
func dialFrom(t *testing.T, from, address string) *client {
	t.Helper()
	d := net.Dialer{Timeout: patience}
	if from != "" {
		d.LocalAddr = &net.TCPAddr{IP: net.ParseIP(from)}
	}
	conn, err := d.DialContext(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	c := &client{t: t, conn: conn.(*net.TCPConn)}
	c.r = bufio.NewReader(c)
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(patience))
	return c
}

// Read counts what is read.
func (c *client) Read(p []byte) (int, error) {
	n, err := c.conn.Read(p)
	c.got += int64(n)
	return n, err
}

// send writes raw bytes.
func (c *client) send(format string, args ...any) {
	c.t.Helper()
	raw := format
	if len(args) > 0 {
		raw = fmt.Sprintf(format, args...)
	}
	if _, err := io.WriteString(c.conn, raw); err != nil {
		c.t.Fatalf("cannot send: %v", err)
	}
}

// receive reads one response, an interim one too; err says why there is none.
func (c *client) receive(method string) (answer, error) {
	resp, err := http.ReadResponse(c.r, &http.Request{Method: method})
	if err != nil {
		return answer{}, err
	}
	a := answer{status: resp.StatusCode, header: resp.Header, close: resp.Close}
	if resp.StatusCode >= 200 {
		body, err := io.ReadAll(resp.Body)
		a.body, a.err = string(body), err
	}
	return a, nil
}

// answer reads one response and wants one.
func (c *client) answer(method string) answer {
	c.t.Helper()
	a, err := c.receive(method)
	if err != nil {
		c.t.Fatalf("no answer: %v", err)
	}
	return a
}

// get sends GET on the connection and returns the answer.
func (c *client) get(target string, fields ...string) answer {
	c.t.Helper()
	c.send("%s", head("GET", target, fields...))
	return c.answer("GET")
}

// post sends POST with a body and returns the answer.
func (c *client) post(target, body string) answer {
	c.t.Helper()
	c.send("%s%s", head("POST", target, fmt.Sprintf("Content-Length: %d", len(body))), body)
	return c.answer("POST")
}

// head is a request's head.
func head(method, target string, fields ...string) string {
	fields = append([]string{method + " " + target + " HTTP/1.1", "Host: shop.test"}, fields...)
	return strings.Join(fields, "\r\n") + "\r\n\r\n"
}

// closed waits until the other side closes, and fails if anything else comes.
func (c *client) closed() {
	c.t.Helper()
	b, err := c.r.ReadByte()
	switch {
	case err == nil:
		c.t.Errorf("got byte %q, wanted the end of the connection", b)
	case isTimeout(err):
		c.t.Errorf("the connection stays open")
	}
}

// reset breaks the connection off with RST.
func (c *client) reset() { harness.Reset(c.conn) }

func isTimeout(err error) bool {
	var ne net.Error
	return errors.As(err, &ne) && ne.Timeout()
}

// get sends one GET on a connection of its own.
func (p *program) get(target string, fields ...string) answer {
	p.t.Helper()
	c := dial(p.t, p.address)
	defer c.conn.Close()
	return c.get(target, fields...)
}

// want fails the test unless the answer has this status and body.
func (a answer) want(t *testing.T, status int, body string) {
	t.Helper()
	if a.status != status || a.body != body || a.err != nil {
		t.Errorf("got %d %q (%v), wanted %d %q", a.status, a.body, a.err, status, body)
	}
}

// wantStatus fails the test unless the answer has this status.
func (a answer) wantStatus(t *testing.T, status int) {
	t.Helper()
	if a.status != status || a.err != nil {
		t.Errorf("got %d %q (%v), wanted %d", a.status, a.body, a.err, status)
	}
}
