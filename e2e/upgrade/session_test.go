package upgrade

import (
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	rehydra "rehydra/adapters/go"
	"rehydra/e2e/harness"
)

// startShop starts a backend whose application counts the requests of each session, with the adapter in front of it. kill ends it.
func startShop(t *testing.T, route string) (b *backend, kill func()) {
	t.Helper()
	sessions, err := rehydra.New(rehydra.Options{Token: harness.Token, Route: route})
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b = &backend{route: route, address: listener.Addr().String()}
	server := &http.Server{ReadHeaderTimeout: time.Minute, Handler: sessions.Middleware(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/health" {
			return
		}
		s, err := rehydra.FromRequest(r)
		n := 0
		if err == nil {
			_, err = s.Get("n", &n)
		}
		if err == nil {
			err = s.Set("n", n+1)
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		fmt.Fprintf(w, "%s %d", route, n+1)
	}))}
	done := make(chan struct{})
	go func() { _ = server.Serve(listener); close(done) }() // ends with Close
	t.Cleanup(func() { server.Close(); <-done })
	return b, func() {
		server.Close()
		harness.WaitRefused(t, b.address)
	}
}

// TestSessionsOutliveHandOvers: a process that knows nothing of a session keeps it where it is, stores what changes, and brings it to another backend when its own
// is gone, whether that was before or after the hand-over.
func TestSessionsOutliveHandOvers(t *testing.T) {
	t.Parallel()
	shops, kill := make([]*backend, 2), make([]func(), 2)
	for i := range shops {
		shops[i], kill[i] = startShop(t, fmt.Sprintf("node%d", i+1))
	}
	c := config{
		backends: shops,
		// What is tested is what becomes of sessions, not what a loaded machine has time for.
		session: []string{fmt.Sprintf("token = %q", harness.Token), `save_timeout = "10s"`, `restore_timeout = "10s"`},
		store:   append(harness.Nodes(harness.StartMemcached(t), harness.StartMemcached(t)), `timeout = "2s"`),
	}
	s := start(t, c.toml(), options{})
	cookies := make([]string, 6)
	count := 0
	visit := func(i int) (route string) {
		t.Helper()
		fields := []string{"Connection: close"}
		if cookies[i] != "" {
			fields = append(fields, "Cookie: "+cookies[i])
		}
		a := dial(t, s.address()).get(t, "/", fields...)
		if set := a.header.Get("Set-Cookie"); set != "" {
			cookies[i], _, _ = strings.Cut(set, ";")
		}
		route, n, _ := strings.Cut(a.body, " ")
		if n != fmt.Sprint(count) {
			t.Fatalf("session %d: %q, wanted request %d of it", i, a.body, count)
		}
		return route
	}
	everybody := func() (routes []string) {
		t.Helper()
		count++
		for i := range cookies {
			routes = append(routes, visit(i))
		}
		return routes
	}
	before := everybody()
	s.handOver()
	if after := everybody(); fmt.Sprint(after) != fmt.Sprint(before) {
		t.Errorf("after a hand-over the sessions are at %v, wanted %v as before", after, before)
	}
	s.handOver()
	kill[0]()
	for i, route := range everybody() {
		if route != "node2" {
			t.Errorf("session %d is at %s, wanted node2: the other is gone", i, route)
		}
	}
	s.handOver()
	everybody()
	s.stop()
}
