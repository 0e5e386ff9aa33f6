package proxy_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"rehydra/jvmroute"
	"rehydra/proxy"
	"rehydra/proxy/upstream"
)

// plainRequest is one of a logged-in user: no more than every request needs happens to it.
const plainRequest = "GET /shop/page?item=17 HTTP/1.1\r\nHost: shop.example.com\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n" +
	"Accept: text/html,application/xhtml+xml;q=0.9,*/*;q=0.8\r\nAccept-Language: en-GB,en;q=0.5\r\nAccept-Encoding: gzip, deflate\r\n" +
	"Cookie: theme=light; JSESSIONID=7F000000000000000000000000000001.node1\r\n\r\n"

// lineCount counts the lines of an access log.
type lineCount struct {
	mu    sync.Mutex
	lines int
}

func (l *lineCount) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines += bytes.Count(p, []byte("\n"))
	return len(p), nil
}

// backendOf accepts connections until the test ends, and hands each to answer.
func backendOf(tb testing.TB, answer func(net.Conn)) (address string) {
	tb.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	var (
		running sync.WaitGroup
		mu      sync.Mutex
		open    []net.Conn
	)
	running.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			open = append(open, conn)
			mu.Unlock()
			running.Go(func() {
				defer conn.Close()
				answer(conn)
			})
		}
	})
	tb.Cleanup(func() {
		ln.Close()
		mu.Lock()
		for _, conn := range open {
			conn.Close()
		}
		mu.Unlock()
		running.Wait()
	})
	return ln.Addr().String()
}

// wholeProxy starts a proxy with one backend, node1, and returns its address.
func wholeProxy(tb testing.TB, backend string, limits proxy.Limits, timeouts upstream.Timeouts, access *proxy.AccessLog) string {
	tb.Helper()
	table, err := upstream.NewTable([]upstream.Config{{
		Name: "shop", Timeouts: timeouts, Backends: []upstream.BackendConfig{{Route: "node1", Address: backend, Weight: 1}},
	}}, nil, zerolog.Nop())
	if err != nil {
		tb.Fatal(err)
	}
	finder, err := jvmroute.NewFinder("JSESSIONID", "jsessionid")
	if err != nil {
		tb.Fatal(err)
	}
	s := proxy.NewServer(limits, &proxy.Routing{Table: table, Finder: finder}, access, zerolog.Nop())
	proxy.OwnLoops(tb, s)
	if err := s.Listen([]string{"127.0.0.1:0"}); err != nil {
		tb.Fatal(err)
	}
	s.Start()
	tb.Cleanup(func() {
		ended, cancel := context.WithCancel(context.Background())
		cancel()
		s.Shutdown(ended)
		table.Close()
	})
	return s.Addresses()[0]
}

func plainLimits() proxy.Limits {
	return proxy.Limits{HeaderTimeout: 30 * time.Second, BodyTimeout: 30 * time.Second, KeepAliveTimeout: time.Minute, HeaderBytes: 65536, HeaderCount: 200}
}

// plainAnswers answers each head with the same bytes, without allocating.
func plainAnswers(size int) func(net.Conn) {
	page := append(fmt.Appendf(nil, "HTTP/1.1 200 \r\nContent-Type: text/html;charset=UTF-8\r\nContent-Length: %d\r\nDate: Tue, 01 Sep 2026 08:00:00 GMT\r\n\r\n", size),
		bytes.Repeat([]byte("x"), size)...)
	return func(conn net.Conn) {
		buffer, have := make([]byte, 8<<10), 0
		for {
			n, err := conn.Read(buffer[have:])
			if err != nil {
				return
			}
			if have += n; !bytes.HasSuffix(buffer[:have], []byte("\r\n\r\n")) {
				continue
			}
			have = 0
			if _, err := conn.Write(page); err != nil {
				return
			}
		}
	}
}

// asker sends the plain request over one connection and reads the answers, without allocating.
type asker struct {
	tb      testing.TB
	conn    net.Conn
	buffer  []byte
	request []byte
	length  int // of an answer, known after the first
}

func newAsker(tb testing.TB, address string) *asker {
	tb.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { conn.Close() })
	a := &asker{tb: tb, conn: conn, buffer: make([]byte, 128<<10), request: []byte(plainRequest)}
	if _, err := conn.Write(a.request); err != nil {
		tb.Fatal(err)
	}
	r := bufio.NewReader(conn)
	for body := 0; ; {
		line, err := r.ReadString('\n')
		if err != nil {
			tb.Fatal(err)
		}
		a.length += len(line)
		_, _ = fmt.Sscanf(line, "Content-Length: %d", &body)
		if line == "\r\n" {
			a.length += body
			if _, err := io.CopyN(io.Discard, r, int64(body)); err != nil {
				tb.Fatal(err)
			}
			return a
		}
	}
}

// ask makes one request.
func (a *asker) ask() {
	if _, err := a.conn.Write(a.request); err != nil {
		a.tb.Fatal(err)
	}
	for left := a.length; left > 0; {
		n, err := a.conn.Read(a.buffer[:min(left, len(a.buffer))])
		if err != nil {
			a.tb.Fatal(err)
		}
		left -= n
	}
}

// BenchmarkWholeRequest is a request and its answer over loopback connections, with one client: client and backend are part of it.
func BenchmarkWholeRequest(b *testing.B) {
	for _, size := range []int{1 << 10, 16 << 10, 1 << 20} {
		b.Run(fmt.Sprintf("body=%dKiB", size>>10), func(b *testing.B) {
			access := proxy.NewAccessLog(zerolog.New(io.Discard).With().Timestamp().Logger())
			a := newAsker(b, wholeProxy(b, backendOf(b, plainAnswers(size)), plainLimits(), upstream.Timeouts{}, access))
			b.ReportAllocs()
			b.SetBytes(int64(size))
			for b.Loop() {
				a.ask()
			}
		})
	}
}
