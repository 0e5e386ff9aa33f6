package upgrade

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"testing"
	"time"
)

// backend is a server that answers with its route; what a path asks of it is below.
type backend struct {
	route   string
	address string
	checks  atomic.Int64 // requests of /health
	served  atomic.Int64 // all others
	held    chan string  // the path of each request of /held that has come
	release chan struct{}
}

// startBackend starts a backend. It answers
//
//	/health   the checks
//	/held     when release is closed
//	/slow     in pieces, for half a second
//	others    at once, with the length of the body that came
func startBackend(t *testing.T, route string) *backend {
	t.Helper()
	b := &backend{route: route, held: make(chan string, 100), release: make(chan struct{})}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b.address = listener.Addr().String()
	server := &http.Server{Handler: b, ReadHeaderTimeout: time.Minute}
	done := make(chan struct{})
	go func() { _ = server.Serve(listener); close(done) }() // ends with Close
	t.Cleanup(func() {
		server.Close()
		<-done
	})
	return b
}

func (b *backend) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("X-Route", b.route)
	switch r.URL.Path {
	case "/health":
		b.checks.Add(1)
		return
	case "/held":
		b.held <- r.URL.Path
		select {
		case <-b.release:
		case <-r.Context().Done():
			return
		}
	case "/slow":
		b.served.Add(1)
		pieces := time.NewTicker(50 * time.Millisecond)
		defer pieces.Stop()
		for range 10 {
			<-pieces.C
			fmt.Fprint(w, "0123456789")
			_ = http.NewResponseController(w).Flush() // a client that is gone is no fault
		}
		return
	}
	n, err := io.Copy(io.Discard, r.Body)
	if err != nil {
		return // the client is gone
	}
	b.served.Add(1)
	fmt.Fprintf(w, "%s %d", b.route, n)
}
