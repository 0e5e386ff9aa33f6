package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"runtime"
	"strings"
	"sync"
)

// runBackend is some small, fast servers: every GET gets the same page. For each route it prints the addresses where it speaks HTTP and
// AJP, and serves until ctx ends.
func runBackend(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("bench backend", flag.ContinueOnError)
	list := flags.String("routes", "", "the backends' names, by commas; said in the field X-Node and at the start of the page")
	body := flags.Int("body", 1024, "bytes of the page")
	session := flags.String("session", "", "what is said of sessions; empty: nothing")
	if err := flags.Parse(args); err != nil {
		return err
	}
	runtime.GOMAXPROCS(1) // two of these, a load generator and a proxy share the machine
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var serving sync.WaitGroup
	for route := range strings.SplitSeq(*list, ",") {
		if err := startBackend(ctx, cancel, &serving, route, *body, *session, out); err != nil {
			cancel(err)
			break
		}
	}
	serving.Wait()
	if err := context.Cause(ctx); !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// startBackend lets serving serve one route until ctx ends; failed is told of an error.
func startBackend(ctx context.Context, failed func(error), serving *sync.WaitGroup, route string, size int, session string, out io.Writer) error {
	page, err := renderPage(route, size)
	if err != nil {
		return err
	}
	answer := func(conn net.Conn) { answerRequests(conn, page) }
	if session != "" {
		b, err := newSessionBackend(session, page)
		if err != nil {
			return err
		}
		answer = b.answerRequests
	}
	packets := renderAJP(route, page[len(page)-size:])
	line := "listening"
	for _, answer := range []func(net.Conn){answer, func(conn net.Conn) { answerAJP(conn, packets) }} {
		var config net.ListenConfig
		listener, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
		if err != nil {
			return fmt.Errorf("cannot listen: %w", err)
		}
		line += " " + listener.Addr().String()
		serving.Go(func() {
			if err := serveBackend(ctx, listener, answer); err != nil {
				failed(err)
			}
		})
	}
	fmt.Fprintln(out, line)
	return nil
}

// serveBackend answers on listener until ctx ends, and returns when every connection is closed.
func serveBackend(ctx context.Context, listener net.Listener, answer func(net.Conn)) error {
	var (
		mu    sync.Mutex
		open  = map[net.Conn]bool{}
		conns sync.WaitGroup
	)
	stop := context.AfterFunc(ctx, func() {
		listener.Close()
		mu.Lock()
		defer mu.Unlock()
		for c := range open {
			c.Close()
		}
	})
	defer stop()
	defer conns.Wait()
	for {
		conn, err := listener.Accept()
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return fmt.Errorf("cannot accept: %w", err)
		}
		mu.Lock()
		open[conn] = true
		mu.Unlock()
		if ctx.Err() != nil {
			conn.Close() // the connection came between the end and its notice
		}
		conns.Go(func() {
			answer(conn)
			conn.Close()
			mu.Lock()
			delete(open, conn)
			mu.Unlock()
		})
	}
}

// renderPage returns the whole answer: a head like Tomcat's and a page that begins with the backend's name.
func renderPage(route string, size int) ([]byte, error) {
	if route == "" || size < len(route)+1 {
		return nil, fmt.Errorf("cannot make a page of %d bytes for route %q: wanted a route and room for it", size, route)
	}
	body := route + " " + strings.Repeat("0123456789abcdef", size/16+1)
	head := fmt.Sprintf("HTTP/1.1 200 \r\nX-Node: %s\r\nContent-Type: text/html;charset=UTF-8\r\nContent-Length: %d\r\n"+
		"Date: Tue, 01 Sep 2026 08:00:00 GMT\r\n\r\n", route, size)
	return append([]byte(head), body[:size]...), nil
}

// answerRequests answers what comes over one connection. Requests have no bodies here; the blank line ends them.
func answerRequests(conn net.Conn, page []byte) {
	reader := bufio.NewReaderSize(conn, 8192)
	for {
		last, err := skipHead(reader)
		if err != nil {
			return // the other side has closed: nothing to tell anyone
		}
		if _, err := conn.Write(page); err != nil || last {
			return
		}
	}
}

// skipHead reads one request head and tells whether it asks to close the connection after the answer.
func skipHead(reader *bufio.Reader) (last bool, err error) {
	for first := true; ; first = false {
		line, err := reader.ReadSlice('\n')
		if err != nil {
			return false, err
		}
		line = bytes.TrimRight(line, "\r\n")
		if len(line) == 0 && !first {
			return last, nil
		}
		if first && !bytes.HasPrefix(line, []byte("GET ")) {
			return false, errors.New("not a GET")
		}
		if len(line) > 11 && (line[0]|0x20) == 'c' && bytes.EqualFold(line[:11], []byte("connection:")) {
			last = last || bytes.Contains(bytes.ToLower(line[11:]), []byte("close"))
		}
	}
}
