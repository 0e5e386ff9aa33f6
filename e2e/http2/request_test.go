package http2

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"rehydra/e2e/harness"
)

// TestRequest: a request by HTTP/2 is one as any other, for the backend and in the log.
func TestRequest(t *testing.T) {
	t.Parallel()
	c := start(t, nil, nil)
	client := c.client()
	resp, body := c.want(client, 200, "POST", "/echo?q=1", strings.NewReader("hello"),
		"Host: shop.test", "Cookie: a=1; b=2", "X-Forwarded-Proto: ftp", "Te: trailers")
	h := resp.Header
	if body != "hello" {
		t.Errorf("the body came back as %q", body)
	}
	for name, want := range map[string]string{
		"X-Head": "POST /echo?q=1 shop.test", "X-Got-Via": "2.0 rehydra", "X-Got-X-Forwarded-Proto": "https", "X-Got-X-Forwarded-For": "127.0.0.1",
		"X-Got-Cookie": "a=1; b=2", "X-Got-Connection": "", "X-Got-Te": "", "X-Got-Upgrade": "", "X-Got-Content-Length": "5",
	} {
		if got := strings.Join(h[http.CanonicalHeaderKey(name)], "|"); got != want {
			t.Errorf("%s is %q, wanted %q", name, got, want)
		}
	}
	e := c.request("/echo")
	if e.Text("proto") != "HTTP/2.0" || e.Text("client") != "127.0.0.1" || e["status"] != 200.0 {
		t.Errorf("logged %v", e)
	}
	resp, body = c.want(client, 200, "GET", "/full", nil)
	if body != "body" || resp.Trailer.Get("X-Trailer") != "yes" {
		t.Errorf("got %q with the trailers %v", body, resp.Trailer)
	}
	c.want(client, 204, "GET", "/nothing", nil)
	if resp, _ = c.want(client, 304, "GET", "/same", nil); resp.Header.Get("Etag") != `"x"` || resp.Header.Get("Content-Length") != "" {
		t.Errorf("the 304 has %v", resp.Header)
	}
	if resp, body = c.want(client, 200, "HEAD", "/size?n=1234", nil); body != "" || resp.ContentLength != 1234 {
		t.Errorf("the answer to HEAD has length %d and body %q", resp.ContentLength, body)
	}
	if _, body, err := c.do(client, "GET", "/cut", nil); err == nil {
		t.Errorf("an answer that was cut looks whole: %q", body)
	}
	if _, body := c.want(client, 413, "POST", "/refuse", io.LimitReader(pattern{}, 3<<20)); body != "too large" {
		t.Errorf("an early answer is %q", body)
	}
	c.want(client, 405, "TRACE", "/", nil)
	c.want(client, 417, "POST", "/echo", strings.NewReader("x"), "Expect: miracles")
}

// TestSticky: the session's route decides, stream by stream.
func TestSticky(t *testing.T) {
	t.Parallel()
	c := start(t, nil, nil)
	client := c.client()
	for n := range 20 {
		want := "node" + strconv.Itoa(1+n%2)
		if resp, _ := c.want(client, 200, "GET", "/", nil, "Cookie: x=y", "Cookie: JSESSIONID=ABC."+want); resp.Header.Get("X-Node") != want {
			t.Errorf("a session of %s went to %s", want, resp.Header.Get("X-Node"))
		}
	}
	if got := c.Metric(t, "rehydra_client_connections"); got != 1 {
		t.Errorf("%v connections for 20 requests", got)
	}
}

// TestManyAtOnce: requests of one connection run side by side, with bodies both ways, and nothing is mixed up.
func TestManyAtOnce(t *testing.T) {
	t.Parallel()
	c := start(t, nil, nil)
	client := c.client()
	var all sync.WaitGroup
	for n := range 100 {
		all.Go(func() {
			body := bytes.Repeat([]byte(fmt.Sprintf("%03d ", n)), 50_000)
			path := fmt.Sprintf("/echo?n=%d", n)
			resp, got, err := c.do(client, "PUT", path, bytes.NewReader(body))
			if err != nil {
				t.Errorf("%s: %v", path, err)
			} else if resp.StatusCode != 200 || got != string(body) {
				t.Errorf("%s: %d and %d bytes, wanted 200 and %d", path, resp.StatusCode, len(got), len(body))
			}
		})
	}
	all.Wait()
	c.WaitMetric(t, "rehydra_client_streams", 0)
}

// TestCancel: what a client gives up is given up at the backend too, and counts against nobody.
func TestCancel(t *testing.T) {
	t.Parallel()
	c := start(t, nil, nil)
	client := c.client()
	for _, path := range []string{"/hang", "/events"} {
		ctx, cancel := context.WithCancel(t.Context())
		req, err := http.NewRequestWithContext(ctx, "GET", c.url(path), nil)
		if err != nil {
			t.Fatal(err)
		}
		asked, left := c.asked(), c.left()
		go func() {
			harness.Eventually(t, "the backend has the request", func() bool { return c.asked() > asked })
			cancel()
		}()
		resp, err := client.Do(req)
		if err == nil {
			_, err = io.ReadAll(resp.Body)
			resp.Body.Close()
		}
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", path, err)
		}
		harness.Eventually(t, "the backend was told", func() bool { return c.left() > left })
		if e := c.request(path); e.Text("failure") != "client gone" {
			t.Errorf("logged %v", e)
		}
	}
	c.want(client, 200, "GET", "/", nil)
	for _, route := range []string{"node1", "node2"} {
		if down := c.Events(harness.Message("backend out")); len(down) > 0 {
			t.Errorf("%s is out: %v", route, down)
		}
	}
}

func (c *cluster) asked() int64 { return c.backends[0].asked.Load() + c.backends[1].asked.Load() }

func (c *cluster) left() int64 { return c.backends[0].left.Load() + c.backends[1].left.Load() }

// TestSlowReader: an answer waits for its client, in little memory, and other streams go on.
func TestSlowReader(t *testing.T) {
	t.Parallel()
	c := start(t, nil, nil)
	client := c.client()
	const size = 64 << 20
	req, err := http.NewRequestWithContext(t.Context(), "GET", c.url("/size?n="+strconv.Itoa(size)), nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	for range 20 { // while nobody reads
		c.want(client, 200, "GET", "/", nil)
	}
	if n, err := io.Copy(io.Discard, resp.Body); n != size || err != nil {
		t.Errorf("got %d bytes, %v", n, err)
	}
}

// TestStalledReader: a client that takes nothing for body_timeout loses that request.
func TestStalledReader(t *testing.T) {
	t.Parallel()
	c := start(t, []string{`body_timeout = "1s"`}, nil)
	client := c.client()
	client.Timeout = 0
	req, err := http.NewRequestWithContext(t.Context(), "GET", c.url("/size?n=100000000"), nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if e := c.request("/size"); e.Text("failure") != "client gone" {
		t.Errorf("logged %v", e)
	}
	if _, err := io.Copy(io.Discard, resp.Body); err == nil {
		t.Error("the answer looks whole")
	}
	c.want(client, 200, "GET", "/", nil)
}

// TestGRPC: gRPC is refused in its own terms, gRPC-Web passes.
func TestGRPC(t *testing.T) {
	t.Parallel()
	c := start(t, nil, nil)
	client := c.client()
	resp, body := c.want(client, 200, "POST", "/pkg.Service/Method", strings.NewReader("\x00\x00\x00\x00\x00"), "Content-Type: application/grpc", "Te: trailers")
	if resp.Header.Get("Grpc-Status") != "12" || resp.Header.Get("Grpc-Message") == "" || resp.Header.Get("Content-Type") != "application/grpc" || body != "" {
		t.Errorf("got %v %q", resp.Header, body)
	}
	if e := c.request("/pkg.Service/Method"); e.Text("failure") != "grpc" {
		t.Errorf("logged %v", e)
	}
	if _, body := c.want(client, 200, "POST", "/echo", strings.NewReader("web"), "Content-Type: application/grpc-web+proto"); body != "web" {
		t.Errorf("gRPC-Web got %q", body)
	}
}

// TestLimits: the limits of any request hold, and those of HTTP/2.
func TestLimits(t *testing.T) {
	t.Parallel()
	c := start(t, []string{"max_header_bytes = 8192", "max_header_count = 20", "max_uri_bytes = 1000"}, []string{"http2_max_streams = 2"})
	client := c.client()
	c.want(client, 431, "GET", "/", nil, "X-Large: "+strings.Repeat("x", 8190))
	many := make([]string, 25)
	for n := range many {
		many[n] = fmt.Sprintf("X-%d: y", n)
	}
	c.want(client, 431, "GET", "/", nil, many...)
	c.want(client, 414, "GET", "/"+strings.Repeat("x", 1000), nil)
	c.want(client, 200, "GET", "/", nil)
}

// TestRequestsEach: a connection that has had its requests takes no more, and nothing is lost by that.
func TestRequestsEach(t *testing.T) {
	t.Parallel()
	c := start(t, []string{"max_requests_per_connection = 5"}, nil)
	client := c.client()
	var made atomic.Int64
	transport := client.Transport.(*http.Transport)
	transport.DialTLSContext = func(context.Context, string, string) (net.Conn, error) {
		made.Add(1)
		return c.dial("h2"), nil
	}
	for range 23 {
		c.want(client, 200, "GET", "/", nil)
	}
	// A request may leave before its client has read that the connection takes no more.
	if n := made.Load(); n < 2 {
		t.Errorf("%d connections for 23 requests", n)
	}
}

// TestOff: http2 = false leaves HTTP/1.1, and a reload may change it.
func TestOff(t *testing.T) {
	t.Parallel()
	c := start(t, nil, []string{"http2 = false"})
	if got := c.dial("http/1.1").ConnectionState().NegotiatedProtocol; got != "http/1.1" {
		t.Errorf("chosen: %q", got)
	}
	if _, _, err := c.do(c.client(), "GET", "/", nil); err == nil {
		t.Error("HTTP/2 is spoken")
	}
	c.config.TLSMore = nil
	c.Reload(t, c.config)
	c.want(c.client(), 200, "GET", "/", nil)
}

// TestCancelStorm: requests that are given up at any moment take nothing away from those beside them, whose connections to backends are the same ones.
func TestCancelStorm(t *testing.T) {
	t.Parallel()
	c := start(t, nil, nil)
	client := c.client()
	body := strings.Repeat("0123456789", 300)
	var all sync.WaitGroup
	for worker := range 16 {
		all.Go(func() {
			for n := range 60 {
				path := fmt.Sprintf("/echo?%d.%d", worker, n)
				if worker%2 == 0 {
					ctx, cancel := context.WithTimeout(t.Context(), time.Duration(n*50)*time.Microsecond)
					if req, err := http.NewRequestWithContext(ctx, "PUT", c.url(path), strings.NewReader(body)); err != nil {
						t.Error(err)
					} else if resp, err := client.Do(req); err == nil {
						_, _ = io.Copy(io.Discard, resp.Body) // it may be cut
						resp.Body.Close()
					}
					cancel()
					continue
				}
				resp, got, err := c.do(client, "PUT", path, strings.NewReader(body))
				if err != nil {
					t.Errorf("%s: %v", path, err)
				} else if resp.StatusCode != 200 || got != body || resp.Header.Get("X-Head") != "PUT "+path+" "+c.Secure() {
					t.Errorf("%s: %d, %d bytes, %q", path, resp.StatusCode, len(got), resp.Header.Get("X-Head"))
				}
			}
		})
	}
	all.Wait()
	c.WaitMetric(t, "rehydra_client_streams", 0)
}

// TestDrain: at SIGTERM a request under way ends as it should, a connection without one is told to go, and the process ends.
func TestDrain(t *testing.T) {
	t.Parallel()
	c := start(t, []string{`drain_timeout = "60s"`}, nil)
	idle, busy := c.wire(), c.client()
	stream, err := idle.send(true, ":path: /")
	if err != nil {
		t.Fatal(err)
	}
	if o := idle.outcome(stream); o.status != "200" {
		t.Fatalf("got %q %v, wanted 200", o.status, o.reset)
	}
	reader, writer := io.Pipe()
	got := make(chan string, 1)
	go func() {
		_, body, err := c.do(busy, "POST", "/echo", reader)
		if err != nil {
			t.Errorf("the request under way: %v", err)
		}
		got <- body
	}()
	if _, err := io.WriteString(writer, "begun "); err != nil {
		t.Fatal(err)
	}
	harness.Eventually(t, "the backend has the request", func() bool { return c.asked() == 2 })
	stopped := make(chan struct{})
	go func() { c.Stop(t); close(stopped) }()
	c.WaitEvent(t, "draining", harness.Message("draining"))
	if o := idle.outcome(0); o.reset == nil || *o.reset != http2.ErrCodeNo {
		t.Errorf("the connection without a request got %q %v, wanted GOAWAY without an error", o.status, o.reset)
	}
	if _, err := io.WriteString(writer, "ended"); err != nil {
		t.Fatal(err)
	}
	writer.Close()
	if body := <-got; body != "begun ended" {
		t.Errorf("got %q", body)
	}
	select {
	case <-stopped:
	case <-time.After(patience):
		t.Error("it does not end")
	}
}

// TestDrainOfASlowReader: at SIGTERM a client that reads an answer slowly, which the proxy has given to the kernel by then, gets all of it, and gives the process its time.
func TestDrainOfASlowReader(t *testing.T) {
	t.Parallel()
	c := start(t, []string{`drain_timeout = "60s"`}, nil)
	const size, window = 1 << 20, 1 << 30
	conn := c.dial("h2")
	if err := conn.NetConn().(*net.TCPConn).SetReadBuffer(32 << 10); err != nil {
		t.Fatal(err)
	}
	w := c.wireOver(conn, http2.Setting{ID: http2.SettingInitialWindowSize, Val: window})
	if err := w.framer.WriteWindowUpdate(0, window); err != nil {
		t.Fatal(err)
	}
	stream, err := w.send(true, fmt.Sprintf(":path: /size?n=%d", size))
	if err != nil {
		t.Fatal(err)
	}
	c.request("/size") // has ended, as the proxy sees it
	stopped := make(chan struct{})
	go func() { c.Stop(t); close(stopped) }()
	c.WaitEvent(t, "draining", harness.Message("draining"))
	begun := time.Now()
	told := false
	for got := 0; ; {
		frame, err := w.framer.ReadFrame()
		if errors.Is(err, io.EOF) && got == size && told {
			break
		}
		if err != nil {
			t.Fatalf("got %d of %d bytes, GOAWAY: %v, and %v", got, size, told, err)
		}
		switch f := frame.(type) {
		case *http2.GoAwayFrame:
			told = f.ErrCode == http2.ErrCodeNo && f.LastStreamID == stream
		case *http2.DataFrame:
			got += len(f.Data())
			if n := f.Header().Length; n > 0 {
				if err := w.framer.WriteWindowUpdate(0, n); err != nil {
					t.Fatalf("after %d of %d bytes: %v", got, size, err)
				}
			}
			time.Sleep(2*time.Second*time.Duration(got)/size - time.Since(begun)) // a reset would come a second after GOAWAY
		}
	}
	conn.NetConn().Close()
	select {
	case <-stopped:
	case <-time.After(patience):
		t.Error("it does not end")
	}
}

// TestBodyGap: a body that stops for longer than body_timeout is answered 408.
func TestBodyGap(t *testing.T) {
	t.Parallel()
	c := start(t, []string{`body_timeout = "1s"`}, nil)
	for _, length := range []int64{-1, 1000, 1_000_000} {
		reader, writer := io.Pipe()
		go func() { _, _ = io.WriteString(writer, "begun") }() // it ends with the request
		req, err := http.NewRequestWithContext(t.Context(), "POST", c.url("/count"), reader)
		if err != nil {
			t.Fatal(err)
		}
		req.ContentLength = length
		resp, err := c.client().Do(req)
		if err != nil {
			t.Fatalf("length %d: %v", length, err)
		}
		resp.Body.Close()
		writer.Close()
		if resp.StatusCode != http.StatusRequestTimeout {
			t.Errorf("length %d: %s, wanted 408", length, resp.Status)
		}
	}
	if e := c.request("/count"); e.Text("failure") != "body time-out" {
		t.Errorf("logged %v", e)
	}
}
