package http2front_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"rehydra/proxy/http2front"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is the limit of anything that should happen; only a failing test uses it up.
const patience = 20 * time.Second

// rig is a front behind a listener, and a client that speaks HTTP/2 with it from the first byte.
type rig struct {
	t      *testing.T
	front  *http2front.Front
	client *http.Client
	url    string
}

// start serves with answer, which reads the request of a stream by net/http and writes its answer by hand.
func start(t *testing.T, change func(*http2front.Config), answer func(st *http2front.Stream, r *http.Request)) *rig {
	t.Helper()
	c := http2front.Config{MaxStreams: 100, HeaderBytes: 16 << 10, IdleTimeout: patience, StallTimeout: patience, Log: zerolog.Nop()}
	if change != nil {
		change(&c)
	}
	front, err := http2front.New(c)
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			running.Go(func() {
				defer conn.Close()
				front.Begin(conn, nil).Serve(func(st *http2front.Stream) {
					r, err := http.ReadRequest(bufio.NewReader(st))
					if err != nil {
						io.WriteString(st, "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
						return
					}
					answer(st, r)
				})
			})
		}
	})
	transport := newTransport()
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		ln.Close()
		front.Drain()
		running.Wait()
	})
	return &rig{t, front, &http.Client{Transport: transport, Timeout: patience}, "http://" + ln.Addr().String()}
}

// newTransport returns one that speaks HTTP/2 from the first byte, and waits for 100 (Continue) for as long as it takes.
func newTransport() *http.Transport {
	var protocols http.Protocols
	protocols.SetUnencryptedHTTP2(true)
	return &http.Transport{Protocols: &protocols, ExpectContinueTimeout: patience}
}

// get wants an answer to GET.
func (r *rig) get(path string) *http.Response {
	r.t.Helper()
	resp, err := r.client.Get(r.url + path)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { resp.Body.Close() })
	return resp
}

func say(st *http2front.Stream, format string, args ...any) {
	fmt.Fprintf(st, format, args...)
}

func TestAnswers(t *testing.T) {
	r := start(t, nil, func(st *http2front.Stream, r *http.Request) {
		switch r.URL.Path {
		case "/length":
			say(st, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\nX-A: 1\r\nX-A: 2\r\n\r\nhello")
		case "/chunks":
			say(st, "HTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
			say(st, "2\r\nhe\r\n3\r\nllo\r\n0\r\nX-Trailer: yes\r\n\r\n")
		case "/none":
			say(st, "HTTP/1.1 204 No Content\r\n\r\n")
		case "/unchanged":
			say(st, "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\nEtag: x\r\n\r\n")
		}
	})
	for _, c := range []struct {
		method, path string
		status       int
		length       int64
		body         string
	}{
		{"GET", "/length", 200, 5, "hello"}, {"HEAD", "/length", 200, 5, ""}, {"GET", "/chunks", 200, -1, "hello"},
		{"GET", "/none", 204, 0, ""}, {"GET", "/unchanged", 304, -1, ""},
	} {
		req, err := http.NewRequest(c.method, r.url+c.path, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := r.client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != c.status || string(body) != c.body || c.length >= 0 && resp.ContentLength != c.length {
			t.Errorf("%s %s: got %d, length %d, %q, %v", c.method, c.path, resp.StatusCode, resp.ContentLength, body, err)
		}
		if ct, ok := resp.Header["Content-Type"]; ok {
			t.Errorf("%s: a Content-Type was invented: %q", c.path, ct)
		}
		if got := resp.Header["X-A"]; c.path == "/length" && strings.Join(got, ",") != "1,2" {
			t.Errorf("%s: X-A is %q", c.path, got)
		}
		if c.path == "/chunks" && (resp.Trailer.Get("X-Trailer") != "yes" || resp.Header.Get("Link") != "") {
			t.Errorf("trailers are %v, fields %v", resp.Trailer, resp.Header)
		}
		resp.Body.Close()
	}
}

// TestCut: an answer that ends early never looks whole, wherever it ends.
func TestCut(t *testing.T) {
	parts := []string{"", "HTTP/1.1 200", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n", "HTTP/1.1 200 OK\r\n\r\nhello", "HTTP/1.1 103 Early Hints\r\n\r\n"}
	r := start(t, nil, func(st *http2front.Stream, r *http.Request) {
		var n int
		fmt.Sscanf(r.URL.Path, "/%d", &n)
		say(st, "%s", parts[n])
	})
	for n, part := range parts {
		resp, err := r.client.Get(fmt.Sprintf("%s/%d", r.url, n))
		if err == nil {
			_, err = io.ReadAll(resp.Body)
			resp.Body.Close()
		}
		if err == nil {
			t.Errorf("%q looks whole", part)
		}
	}
}

// TestUpload: a body arrives as it was sent, with its trailers, and the reader sees where one was cut.
func TestUpload(t *testing.T) {
	ends := make(chan error, 1)
	r := start(t, nil, func(st *http2front.Stream, r *http.Request) {
		n, err := io.Copy(io.Discard, r.Body)
		ends <- err
		say(st, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX-Bytes: %d\r\nX-Got: %s\r\nX-Framing: %v\r\n\r\n", n, r.Trailer.Get("X-Trailer"), r.TransferEncoding)
	})
	const size = 3 << 20
	req, _ := http.NewRequest("POST", r.url, struct{ io.Reader }{io.LimitReader(zeros{}, size)})
	req.Trailer = http.Header{"X-Trailer": {"sum"}}
	resp, err := r.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if err := <-ends; err != nil {
		t.Error(err)
	}
	if h := resp.Header; h.Get("X-Bytes") != fmt.Sprint(size) || h.Get("X-Framing") != "[chunked]" {
		t.Errorf("the answer has %v", h)
	}
	req, _ = http.NewRequest("POST", r.url, io.MultiReader(io.LimitReader(zeros{}, size), broken{}))
	if resp, err := r.client.Do(req); err == nil {
		resp.Body.Close()
		t.Errorf("an upload that broke off got %d", resp.StatusCode)
	}
	if err := <-ends; err == nil {
		t.Error("an upload that broke off looks whole")
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errors.New("broken on purpose") }

// TestEarlyAnswer: an answer during an upload reaches the client, which need not end it.
func TestEarlyAnswer(t *testing.T) {
	r := start(t, nil, func(st *http2front.Stream, r *http.Request) {
		io.CopyN(io.Discard, r.Body, 1000)
		say(st, "HTTP/1.1 413 Content Too Large\r\nContent-Length: 2\r\n\r\nno")
	})
	reader, writer := io.Pipe() // an upload without an end
	defer writer.Close()
	go func() { io.Copy(writer, io.LimitReader(zeros{}, 1<<20)) }()
	req, _ := http.NewRequest("POST", r.url, reader)
	resp, err := r.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, err := io.ReadAll(resp.Body); resp.StatusCode != 413 || string(body) != "no" || err != nil {
		t.Errorf("got %d %q, %v", resp.StatusCode, body, err)
	}
}

// TestContinue: a client that asks is told to send its body when somebody reads it, and not before.
func TestContinue(t *testing.T) {
	r := start(t, nil, func(st *http2front.Stream, r *http.Request) {
		if r.URL.Path == "/read" {
			io.Copy(io.Discard, r.Body)
		}
		say(st, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
	})
	transport := newTransport()
	defer transport.CloseIdleConnections()
	for path, wanted := range map[string]bool{"/read": true, "/leave": false} {
		body := &told{r: strings.NewReader("body")}
		req, _ := http.NewRequest("POST", r.url+path, body)
		req.ContentLength = 4
		req.Header.Set("Expect", "100-continue")
		resp, err := (&http.Client{Transport: transport, Timeout: patience}).Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if body.read() != wanted {
			t.Errorf("%s: the body was sent: %v, wanted %v", path, body.read(), wanted)
		}
	}
}

// told is a body that knows whether it was read.
type told struct {
	mu sync.Mutex
	r  io.Reader
	ok bool
}

func (b *told) Read(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ok = true
	return b.r.Read(p)
}

func (b *told) read() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.ok
}

// TestCancel: who answers learns that the client has given up.
func TestCancel(t *testing.T) {
	ended := make(chan struct{}, 1)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	r := start(t, nil, func(st *http2front.Stream, _ *http.Request) {
		cancel() // the client's patience is over once its request is here
		<-st.Context().Done()
		ended <- struct{}{}
	})
	req, _ := http.NewRequestWithContext(ctx, "GET", r.url, nil)
	if resp, err := r.client.Do(req); err == nil {
		resp.Body.Close()
		t.Errorf("got %d", resp.StatusCode)
	}
	select {
	case <-ended:
	case <-time.After(patience):
		t.Error("it goes on")
	}
}

// TestStall: a client that takes nothing is given up, and whoever writes to it learns that.
func TestStall(t *testing.T) {
	failed := make(chan error, 1)
	r := start(t, func(c *http2front.Config) { c.StallTimeout = 50 * time.Millisecond }, func(st *http2front.Stream, _ *http.Request) {
		say(st, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
		for {
			if _, err := io.WriteString(st, "1000\r\n"+strings.Repeat("x", 0x1000)+"\r\n"); err != nil {
				failed <- err
				return
			}
		}
	})
	resp := r.get("/")
	select {
	case <-failed:
	case <-time.After(patience):
		t.Fatal("it writes for ever")
	}
	if _, err := io.Copy(io.Discard, resp.Body); err == nil {
		t.Error("the answer looks whole")
	}
}

// TestDrain: a request under way is answered, the connection takes no other.
func TestDrain(t *testing.T) {
	begun, goOn := make(chan struct{}), make(chan struct{})
	r := start(t, nil, func(st *http2front.Stream, _ *http.Request) {
		close(begun)
		<-goOn
		say(st, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
	})
	got := make(chan error, 1)
	go func() {
		resp, err := r.client.Get(r.url)
		if err == nil {
			defer resp.Body.Close()
			if resp.StatusCode != 200 {
				err = fmt.Errorf("status %d", resp.StatusCode)
			}
		}
		got <- err
	}()
	<-begun
	r.front.Drain()
	close(goOn)
	if err := <-got; err != nil {
		t.Error(err)
	}
}

func TestGRPC(t *testing.T) {
	r := start(t, nil, func(st *http2front.Stream, _ *http.Request) {
		say(st, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX-Grpc: %v\r\n\r\n", st.GRPC())
	})
	for kind, want := range map[string]string{
		"application/grpc": "true", "application/grpc+proto": "true", "Application/GRPC; x=y": "true",
		"application/grpc-web": "false", "application/grpc-web+proto": "false", "text/plain": "false", "": "false",
	} {
		req, _ := http.NewRequest("POST", r.url, http.NoBody)
		if kind != "" {
			req.Header.Set("Content-Type", kind)
		}
		resp, err := r.client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if got := resp.Header.Get("X-Grpc"); got != want {
			t.Errorf("%q: %s, wanted %s", kind, got, want)
		}
	}
}
