//go:build !race

// Under the race detector pools forget on purpose.

package proxy

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"rehydra/proxy/upstream"
)

// TestExchangesAreUsedAgain: what a connection needed for its only request serves the next connection, but not after a panic, nor where the client may still
// be sending.
func TestExchangesAreUsedAgain(t *testing.T) {
	table, err := upstream.NewTable(nil, nil, zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	defer table.Close()
	s := NewServer(Limits{HeaderTimeout: time.Minute, BodyTimeout: time.Minute, KeepAliveTimeout: time.Minute, HeaderBytes: 4096, HeaderCount: 10},
		&Routing{Table: table}, nil, zerolog.Nop())
	var made atomic.Int32
	newExchange := s.exchanges.New
	s.exchanges.New = func() any { made.Add(1); return newExchange() }
	OwnLoops(t, s)
	if err := s.Listen([]string{"127.0.0.1:0"}); err != nil {
		t.Fatal(err)
	}
	s.Start()
	defer s.Shutdown(context.Background())
	const requests = 100
	ask := func(request string, want int) (exchanges int) {
		t.Helper()
		before := made.Load()
		for range requests {
			c, err := net.Dial("tcp", s.Addresses()[0])
			if err != nil {
				t.Fatal(err)
			}
			if err := c.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
				t.Fatal(err)
			}
			if _, err := io.WriteString(c, request); err != nil {
				t.Fatal(err)
			}
			resp, err := http.ReadResponse(bufio.NewReader(c), nil)
			if err != nil || resp.StatusCode != want {
				t.Fatalf("got %v, %v, wanted %d", resp, err, want)
			}
			if err := resp.Body.Close(); err != nil {
				t.Fatal(err)
			}
			c.Close()
		}
		return int(made.Load() - before)
	}
	const closing = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
	if n := ask(closing, 404); n > requests/2 { // a collection may empty the pool, and each P has one of its own
		t.Errorf("%d exchanges were made for %d connections", n, requests)
	}
	spare := int(made.Load()) // there can be no more in the pool
	const sending = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n"
	if n := ask(sending, 404); n < requests-spare {
		t.Errorf("%d exchanges were made for %d clients that may still be sending", n, requests)
	}
	s.routing.Store(&Routing{}) // without a table, which no request can do without
	if n := ask(closing, 500); n < requests-spare {
		t.Errorf("%d exchanges were made for %d panics", n, requests)
	}
}
