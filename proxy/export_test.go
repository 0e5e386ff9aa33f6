package proxy

import (
	"net"
	"testing"

	"rehydra/proxy/eventloop"
)

// OwnLoops gives s event loops that end with the test, after its other cleanups. It is called before the server starts.
func OwnLoops(tb testing.TB, s *Server) {
	tb.Helper()
	loops, err := eventloop.New(2)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(loops.Close)
	s.UseLoops(loops)
}

// Connected returns the two ends of a connection.
func Connected(t *testing.T) (near, far net.Conn) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	if near, err = net.Dial("tcp", ln.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if far, err = ln.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { near.Close(); far.Close() })
	return near, far
}
