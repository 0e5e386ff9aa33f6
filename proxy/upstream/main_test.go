package upstream

import (
	"bytes"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// server is a real TCP server on a free port of 127.0.0.1.
type server struct {
	net.Listener
	addr string
	wg   sync.WaitGroup

	mu       sync.Mutex
	accepted []net.Conn
}

// serve starts a server that gives each connection to handle and closes it when handle returns.
func serve(t testing.TB, addr string, handle func(net.Conn)) *server {
	t.Helper()
	l, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	s := &server{Listener: l, addr: l.Addr().String()}
	s.wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			s.mu.Lock()
			s.accepted = append(s.accepted, c)
			s.mu.Unlock()
			s.wg.Go(func() {
				defer c.Close()
				handle(c)
			})
		}
	})
	t.Cleanup(s.kill)
	return s
}

// kill closes the listener and resets every connection, as the death of a process does.
func (s *server) kill() {
	s.Close()
	s.mu.Lock()
	for _, c := range s.accepted {
		_ = c.(*net.TCPConn).SetLinger(0)
		c.Close()
	}
	s.mu.Unlock()
	s.wg.Wait()
}

func (s *server) connections() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.accepted)
}

// hold keeps a connection open and silent until the other side ends it.
func hold(c net.Conn) { _, _ = io.Copy(io.Discard, c) }

// echo sends back what it gets.
func echo(c net.Conn) { _, _ = io.Copy(c, c) }

// answer answers each connection's first bytes with text and closes.
func answer(text string) func(net.Conn) {
	return func(c net.Conn) {
		buf := make([]byte, 4096)
		if _, err := c.Read(buf); err == nil {
			_, _ = io.WriteString(c, text)
		}
	}
}

// table makes a table that is closed at the end of the test.
func table(t testing.TB, log io.Writer, old *Table, configs ...Config) *Table {
	t.Helper()
	tab, err := NewTable(configs, old, zerolog.New(log))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(tab.Close)
	return tab
}

// onePool makes an unstarted table with one pool of one backend at addr and returns the backend.
func onePool(t testing.TB, addr string, timeouts Timeouts) *Backend {
	t.Helper()
	tab := table(t, io.Discard, nil, Config{Name: "p", Timeouts: timeouts, Backends: []BackendConfig{{Route: "node1", Address: addr}}})
	return tab.Pools()[0].Backends()[0]
}

// eventually waits until ok holds.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !ok(); {
		if time.Now().After(end) {
			t.Fatalf("not within 30 s: %s", what)
		}
		time.Sleep(time.Millisecond)
	}
}

// logBuffer is a log that may be read while it is written.
type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}
