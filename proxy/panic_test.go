package proxy

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"rehydra/proxy/upstream"
)

// TestPanicCostsOneRequest: whatever fails in one request, it is answered 500, its connection ends, and the others go on.
func TestPanicCostsOneRequest(t *testing.T) {
	table, err := upstream.NewTable(nil, nil, zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	defer table.Close()
	var log bytes.Buffer
	s := NewServer(Limits{HeaderTimeout: time.Minute, BodyTimeout: time.Minute, KeepAliveTimeout: time.Minute, HeaderBytes: 4096, HeaderCount: 10},
		&Routing{Table: table}, nil, zerolog.New(&log))
	if err := s.Listen([]string{"127.0.0.1:0"}); err != nil {
		t.Fatal(err)
	}
	s.Start()
	defer func() {
		s.Shutdown(context.Background())
		if n := strings.Count(log.String(), "panic in a request"); n != 1 {
			t.Errorf("the log has %d panics, wanted 1: %s", n, log.String())
		}
	}()
	dial := func() (net.Conn, *bufio.Reader) {
		t.Helper()
		c, err := net.Dial("tcp", s.Addresses()[0])
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		if err := c.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
			t.Fatal(err)
		}
		return c, bufio.NewReader(c)
	}
	get := func(c net.Conn, r *bufio.Reader, want int) *http.Response {
		t.Helper()
		if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		resp, err := http.ReadResponse(r, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if _, err := io.Copy(io.Discard, resp.Body); err != nil || resp.StatusCode != want {
			t.Fatalf("got %d %v, wanted %d", resp.StatusCode, err, want)
		}
		return resp
	}
	other, otherReader := dial()
	get(other, otherReader, 404)
	s.routing.Store(&Routing{}) // without a table, which no request can do without
	c, r := dial()
	if resp := get(c, r, 500); !resp.Close {
		t.Error("the answer does not say Connection: close")
	}
	if _, err := r.ReadByte(); err == nil {
		t.Error("the connection goes on")
	}
	s.routing.Store(&Routing{Table: table})
	get(other, otherReader, 404)
	c, r = dial()
	get(c, r, 404)
}
