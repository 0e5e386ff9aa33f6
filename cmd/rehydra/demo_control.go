package main

import (
	"context"
	"embed"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"rehydra/sessiontier"
)

//go:embed demo
var demoFiles embed.FS

// demoControl serves the page, and lets it kill and revive the backends. It is a backend of the proxy too, in a pool of its
// own, so that the page has one origin and outlives the backend that serves the visitor's session.
type demoControl struct {
	backends []*sampleBackend
	copies   func(ctx context.Context, base string) []sessiontier.Copy

	listener net.Listener
	server   *http.Server
	serving  sync.WaitGroup
}

// listenDemoControl listens on a free port of the loopback interface, without answering yet. copies tells where a session's
// copies are.
func listenDemoControl(backends []*sampleBackend, copies func(context.Context, string) []sessiontier.Copy) (*demoControl, error) {
	c := &demoControl{backends: backends, copies: copies}
	handler, err := c.handler()
	if err != nil {
		return nil, err
	}
	c.server = &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	if c.listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		return nil, fmt.Errorf("cannot start the demo's page: %w", err)
	}
	return c, nil
}

// Start begins to answer.
func (c *demoControl) Start() {
	c.serving.Go(func() {
		_ = c.server.Serve(c.listener) // ends by Close, with http.ErrServerClosed
	})
}

// Address returns where the page is, behind the proxy.
func (c *demoControl) Address() string { return c.listener.Addr().String() }

// Close ends the page's server and waits for its end.
func (c *demoControl) Close() {
	_ = c.server.Close()   // a connection's own error: it is gone either way
	_ = c.listener.Close() // where Start never handed it over; else it is closed already
	c.serving.Wait()
}

func (c *demoControl) handler() (http.Handler, error) {
	files, err := fs.Sub(demoFiles, "demo")
	if err != nil {
		return nil, fmt.Errorf("cannot open the demo's page: %w", err)
	}
	static := http.FileServerFS(files)
	mux := http.NewServeMux()
	mux.Handle("GET /{$}", secured(static))
	mux.Handle("GET /demo/page/", secured(http.StripPrefix("/demo/page/", static)))
	mux.Handle("GET /favicon.ico", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }))
	mux.HandleFunc("GET /demo/control/state", c.state)
	mux.HandleFunc("POST /demo/control/kill/{node}", c.change(func(b *sampleBackend) error { b.Kill(); return nil }))
	mux.HandleFunc("POST /demo/control/revive/{node}", c.change((*sampleBackend).Start))
	return mux, nil
}

// secured lets the page load nothing from elsewhere, and always anew: the next release of it has the same address.
func secured(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", "default-src 'self'; img-src 'self' data:; frame-ancestors 'none'")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Cache-Control", "no-cache")
		h.ServeHTTP(w, r)
	})
}

// demoCopy is what one store node holds of the visitor's session.
type demoCopy struct {
	Node    string `json:"node"`
	State   string `json:"state"` // one of sessiontier's Copy constants
	Newest  bool   `json:"newest"`
	Version string `json:"version"`
	Owner   string `json:"owner"`
	Size    int    `json:"size"` // bytes as stored
	Age     int64  `json:"age"`  // milliseconds
}

// state answers with the backends, and with the copies of the session that the request's cookie names. The store is asked
// here and not by the backends: what they knew is gone when they are.
func (c *demoControl) state(w http.ResponseWriter, r *http.Request) {
	view := struct {
		Backends []sampleBackendState `json:"backends"`
		Copies   []demoCopy           `json:"copies"`
	}{Copies: []demoCopy{}}
	for _, b := range c.backends {
		view.Backends = append(view.Backends, b.State())
	}
	if cookie, err := r.Cookie(demoCookie); err == nil {
		base, _, _ := strings.Cut(cookie.Value, ".")
		for _, copied := range c.copies(r.Context(), base) {
			view.Copies = append(view.Copies, demoCopy{Node: copied.Node, State: copied.State, Newest: copied.Newest,
				Version: copied.Version.String(), Owner: copied.Owner, Size: copied.Size, Age: copied.Age.Milliseconds()})
		}
	}
	writeJSON(w, view)
}

// change answers a button. A field that no form and no other site's script can set without asking must be there: another
// page in the same browser cannot push the buttons.
func (c *demoControl) change(do func(*sampleBackend) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Demo") == "" {
			http.Error(w, "the field X-Demo is wanted: only the demo's page may do this", http.StatusForbidden)
			return
		}
		b, ok := findBackend(c.backends, r.PathValue("node"))
		if !ok {
			http.Error(w, fmt.Sprintf("no backend %q", r.PathValue("node")), http.StatusNotFound)
			return
		}
		if err := do(b); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		writeJSON(w, b.State())
	}
}
