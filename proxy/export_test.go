package proxy

import (
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
