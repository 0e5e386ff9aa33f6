package proxy

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"rehydra/jvmroute"
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
	OwnLoops(t, s)
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

// lateLog is a log that is read when everybody who writes to it has ended, or while they do.
type lateLog struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lateLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *lateLog) count(message string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.buf.String(), message)
}

// panicking returns a server before a backend, and its log. It listens nowhere yet.
func panicking(t *testing.T, backend http.HandlerFunc) (*Server, *lateLog) {
	t.Helper()
	b := httptest.NewServer(backend)
	t.Cleanup(b.Close)
	table, err := upstream.NewTable([]upstream.Config{{Name: "shop", Backends: []upstream.BackendConfig{{Route: "node1", Address: b.Listener.Addr().String()}}}}, nil, zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(table.Close)
	finder, err := jvmroute.NewFinder("JSESSIONID", "jsessionid")
	if err != nil {
		t.Fatal(err)
	}
	log := &lateLog{}
	limits := Limits{HeaderTimeout: time.Minute, BodyTimeout: time.Minute, KeepAliveTimeout: time.Minute, HeaderBytes: 4096, HeaderCount: 20}
	s := NewServer(limits, &Routing{Table: table, Finder: finder}, nil, zerolog.New(log))
	OwnLoops(t, s)
	t.Cleanup(func() {
		ended, cancel := context.WithCancel(context.Background())
		cancel()
		s.Shutdown(ended)
	})
	return s, log
}

// TestPanicInAStream: a request by HTTP/2 that fails is answered 500, and the others of its connection go on, those that had begun too.
func TestPanicInAStream(t *testing.T) {
	held, release := make(chan struct{}), make(chan struct{})
	s, log := panicking(t, func(_ http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/held" {
			close(held)
			<-release
		}
	})
	if err := s.SpeakHTTP2(10); err != nil {
		t.Fatal(err)
	}
	front, config := tlsFront(t)
	front.TLS.NextProtos = []string{"h2"}
	s.SetFront(front)
	if err := s.ListenTLS([]string{"127.0.0.1:0"}); err != nil {
		t.Fatal(err)
	}
	s.Start()
	var protocols http.Protocols
	protocols.SetHTTP2(true)
	var dials atomic.Int64
	transport := &http.Transport{Protocols: &protocols, TLSClientConfig: config, DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		dials.Add(1)
		return (&net.Dialer{}).DialContext(ctx, network, s.Addresses()[0])
	}}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, Timeout: patience}
	get := func(path string, want int) error {
		resp, err := client.Get("https://shop.test" + path)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		if _, err := io.Copy(io.Discard, resp.Body); err != nil || resp.StatusCode != want || resp.ProtoMajor != 2 {
			return fmt.Errorf("%s: got %s %s, %w, wanted %d", path, resp.Proto, resp.Status, err, want)
		}
		return nil
	}
	if err := get("/before", 200); err != nil { // and one connection is there
		t.Fatal(err)
	}
	other := make(chan error, 1)
	go func() { other <- get("/held", 200) }()
	select {
	case <-held:
	case err := <-other:
		t.Fatalf("a request ended before its time: %v", err)
	}
	whole := s.Routing()
	s.routing.Store(&Routing{}) // without a table, which no request can do without
	err := get("/panics", 500)
	s.routing.Store(whole)
	close(release)
	if err := errors.Join(err, get("/after", 200), <-other); err != nil {
		t.Error(err)
	}
	if n := log.count("panic in a request"); n != 1 || dials.Load() != 1 {
		t.Errorf("the log has %d panics, and %d connections were made, wanted one of each", n, dials.Load())
	}
}

// touchy is a client's connection that panics at the first read after we have asked for a body.
type touchy struct {
	net.Conn
	asked, panicked atomic.Bool
}

func (c *touchy) Write(p []byte) (int, error) {
	c.asked.Store(c.asked.Load() || bytes.Contains(p, []byte("100 Continue")))
	return c.Conn.Write(p)
}

func (c *touchy) Read(p []byte) (int, error) {
	if c.asked.Load() && !c.panicked.Swap(true) {
		panic("on purpose")
	}
	return c.Conn.Read(p)
}

// TestPanicInAnUpload: what fails while a body is streamed, in a goroutine of its own, costs that request and its connection, and nobody else's.
func TestPanicInAnUpload(t *testing.T) {
	s, log := panicking(t, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // cut in one case
	})
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	var serving sync.WaitGroup
	defer serving.Wait()
	dial := func() (net.Conn, *bufio.Reader) {
		t.Helper()
		c, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		c.SetDeadline(time.Now().Add(patience))
		accepted, err := ln.Accept()
		if err != nil {
			t.Fatal(err)
		}
		s.running.Add(1)
		serving.Go(func() { s.serve(s.join(&touchy{Conn: accepted}, false), Plain, nil) })
		return c, bufio.NewReader(c)
	}
	other, otherReader := dial()
	defer other.Close()
	ask(t, other, otherReader, "/before")

	c, r := dial()
	defer c.Close()
	if _, err := io.WriteString(c, "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 1000000\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(r, nil)
	if err != nil || resp.StatusCode != 100 {
		t.Fatalf("got %v %v, wanted 100", resp, err)
	}
	if resp, err = http.ReadResponse(r, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, resp.Body); err != nil || resp.StatusCode != 502 || !resp.Close {
		t.Errorf("got %s, close: %v, %v; wanted 502 and the end", resp.Status, resp.Close, err)
	}
	c.(*net.TCPConn).CloseWrite() // it would be read for a while
	ended(t, c)
	if resp, _ := ask(t, other, otherReader, "/after"); resp.StatusCode != 200 {
		t.Errorf("the next request got %s", resp.Status)
	}
	if n := log.count("panic in an upload"); n != 1 || log.count("panic in a") != 1 {
		t.Errorf("the log has %d panics in an upload and %d in all, wanted one", n, log.count("panic in a"))
	}
}
