package harness

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
)

// Server is a TCP server in the test itself, whose every byte is the test's. It keeps its address while it is down.
type Server struct {
	t       testing.TB
	address string
	serve   func(*net.TCPConn)

	mu       sync.Mutex
	listener net.Listener // nil while it does not listen
	conns    map[net.Conn]bool
	accepted int
	running  sync.WaitGroup
}

// Serve starts a server that calls serve with each connection, in a goroutine of the connection's own, and closes it afterwards. The end of
// the test takes the server down and waits for those goroutines: what they wait for must have ended by then, in a Cleanup that comes after this call.
func Serve(t testing.TB, serve func(*net.TCPConn)) *Server {
	t.Helper()
	return ServeAt(t, FreeAddress(t), serve)
}

// ServeAt is Serve for those who must know the address before; see FreeAddress.
func ServeAt(t testing.TB, address string, serve func(*net.TCPConn)) *Server {
	t.Helper()
	s := &Server{t: t, address: address, serve: serve, conns: make(map[net.Conn]bool)}
	s.Up()
	t.Cleanup(func() {
		s.Down()
		s.running.Wait()
	})
	return s
}

// Address is its host:port.
func (s *Server) Address() string { return s.address }

// Up lets it listen again after Down or StopListening.
func (s *Server) Up() {
	s.t.Helper()
	var lc net.ListenConfig
	l, err := lc.Listen(context.Background(), "tcp", s.address)
	if err != nil {
		s.t.Fatal(err)
	}
	s.mu.Lock()
	s.listener = l
	s.mu.Unlock()
	s.running.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			s.accept(l, c.(*net.TCPConn))
		}
	})
}

func (s *Server) accept(l net.Listener, c *net.TCPConn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.listener != l { // it went down meanwhile
		Reset(c)
		return
	}
	s.conns[c] = true
	s.accepted++
	s.running.Go(func() {
		defer func() {
			c.Close()
			s.mu.Lock()
			delete(s.conns, c)
			s.mu.Unlock()
		}()
		s.serve(c)
	})
}

// StopListening refuses new connections and leaves those alone that are there. It returns when they are refused.
func (s *Server) StopListening() {
	s.mu.Lock()
	listening := s.listener != nil
	if listening {
		s.listener.Close()
		s.listener = nil
	}
	s.mu.Unlock()
	if listening {
		WaitRefused(s.t, s.address)
	}
}

// Down is what kill -9 does to a process: new connections are refused, and those that are there are broken off.
func (s *Server) Down() {
	s.StopListening()
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		Reset(c)
	}
}

// Open is how many connections are open now.
func (s *Server) Open() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.conns)
}

// Accepted is how many connections there have ever been.
func (s *Server) Accepted() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.accepted
}

// ServeHTTP starts a backend and returns its host:port. The end of the test stops it.
func ServeHTTP(t testing.TB, handler http.Handler) (address string) {
	t.Helper()
	s := httptest.NewServer(handler)
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

// Reset breaks a connection off with RST where it is one of TCP, and closes it.
func Reset(c net.Conn) {
	if tcp, ok := c.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // it fails on a connection that is closed already
	}
	c.Close()
}
