package upstream

import (
	"bufio"
	"errors"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/valyala/fasthttp"
)

// TestErrorsQuoteNoAnswer: what a backend answers to an operation may hold a session's state.
func TestErrorsQuoteNoAnswer(t *testing.T) {
	const secret = "rO0ABXNyABFqYXZh"
	for _, c := range []struct {
		name, answer string
		want         error
	}{
		{"no HTTP", secret + "\r\n\r\n", ErrNoHTTP},
		{"two lengths", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\nRehydra-Session: " + secret + "\r\n\r\nabc", ErrNoHTTP},
		{"length and chunks", "HTTP/1.1 200 OK\r\nContent-Length: 16\r\nTransfer-Encoding: chunked\r\n\r\n" + secret, ErrNoHTTP},
		{"cut head", "HTTP/1.1 200 OK\r\nRehydra-Session: " + secret, io.ErrUnexpectedEOF},
		{"cut body", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n" + secret, io.ErrUnexpectedEOF},
		{"cut between chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n10\r\n" + secret + "\r\n", io.ErrUnexpectedEOF},
	} {
		var resp fasthttp.Response
		err := resp.ReadLimitBody(bufio.NewReader(strings.NewReader(c.answer)), 1000)
		if err == nil {
			t.Errorf("%s: it was read", c.name)
			continue
		}
		got := Unquoted(err)
		if !errors.Is(got, c.want) || strings.Contains(got.Error(), secret[:8]) {
			t.Errorf("%s: %v, wanted %v", c.name, got, c.want)
		}
	}
	if got := Unquoted(os.ErrDeadlineExceeded); !errors.Is(got, os.ErrDeadlineExceeded) {
		t.Errorf("a time-out became %v", got)
	}
}
