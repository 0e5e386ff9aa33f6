package upgrade

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"syscall"
	"testing"
	"time"

	"rehydra/e2e/harness"
)

// patience is the limit of anything that should happen; only a failing test uses it up.
const patience = 30 * time.Second

// client is one connection, on which nothing is sent twice.
type client struct {
	conn net.Conn
	r    *bufio.Reader
}

// answer is one response, read to its end.
type answer struct {
	status int
	header http.Header
	body   string
	close  bool // the connection ends with it
}

func connect(ctx context.Context, address string) (*client, error) {
	d := net.Dialer{Timeout: patience}
	conn, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	return &client{conn, bufio.NewReader(conn)}, nil
}

// dial connects, and closes the connection when the test ends.
func dial(t *testing.T, address string) *client {
	t.Helper()
	c, err := connect(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.conn.Close() })
	return c
}

// send writes a request with a body of some length.
func (c *client) send(method, target string, length int, fields ...string) error {
	head := fmt.Sprintf("%s %s HTTP/1.1\r\nHost: shop.test\r\n", method, target)
	for _, f := range fields {
		head += f + "\r\n"
	}
	if method == "POST" {
		head += fmt.Sprintf("Content-Length: %d\r\n", length)
	}
	_, err := c.conn.Write(append([]byte(head+"\r\n"), make([]byte, length)...))
	return err
}

// receive reads a response.
func (c *client) receive(method string) (answer, error) {
	if err := c.conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		return answer{}, err
	}
	resp, err := http.ReadResponse(c.r, &http.Request{Method: method})
	if err != nil {
		return answer{}, err
	}
	body, err := io.ReadAll(resp.Body)
	return answer{status: resp.StatusCode, header: resp.Header, body: string(body), close: resp.Close}, errors.Join(err, resp.Body.Close())
}

// do sends a request and reads the answer.
func (c *client) do(method, target string, length int, fields ...string) (answer, error) {
	if err := c.send(method, target, length, fields...); err != nil {
		return answer{}, err
	}
	return c.receive(method)
}

// get wants status 200 for a GET.
func (c *client) get(t *testing.T, target string, fields ...string) answer {
	t.Helper()
	a, err := c.do("GET", target, 0, fields...)
	if err != nil || a.status != 200 {
		t.Fatalf("GET %s: %d %q %v, wanted 200", target, a.status, a.body, err)
	}
	return a
}

// getLast asks a process that is handing over until an answer says that the connection ends with it. The next process is ready, and says so, before
// this one knows.
func (c *client) getLast(t *testing.T) {
	t.Helper()
	harness.Eventually(t, "an answer with Connection: close", func() bool { return c.get(t, "/").close })
}

// closed wants the end of the connection and nothing before.
func (c *client) closed(t *testing.T) {
	t.Helper()
	if err := c.conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	if b, err := c.r.ReadByte(); err != io.EOF {
		t.Errorf("byte %q, error %v; wanted the end of the connection", b, err)
	}
}

// refused wants that nobody listens there any more.
func refused(t *testing.T, address string) bool {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	c, err := connect(ctx, address)
	if err == nil {
		c.conn.Close()
	}
	return errors.Is(err, syscall.ECONNREFUSED)
}
