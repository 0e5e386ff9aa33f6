package main

import (
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	rehydra "rehydra/adapters/go"
)

// demoApp is the name of the application whose sessions the sample backends hold.
const demoApp = "/demo"

// sampleBackend is one of the demo's backends: a server whose sessions live in its memory, as a Tomcat's do. It can be killed:
// its listener and its connections are closed and what it remembered is gone. It keeps its address.
type sampleBackend struct {
	route string
	token string

	mu      sync.Mutex
	address string     // "127.0.0.1:0" until the first start
	life    *sampleRun // nil while it is dead
}

// sampleRun is what a sample backend is between a start and a kill.
type sampleRun struct {
	sessions *rehydra.Manager
	server   *http.Server
	serving  sync.WaitGroup // the server's loop

	mu       sync.Mutex
	dead     bool           // no request may begin any more
	requests sync.WaitGroup // the requests that run
}

func newSampleBackend(route, token string) *sampleBackend {
	return &sampleBackend{route: route, token: token, address: "127.0.0.1:0"}
}

// Start starts the backend, with no session in its memory; after Kill it comes back under the address that it had. The error
// says which address cannot be listened on. A backend that runs stays as it is.
func (b *sampleBackend) Start() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.life != nil {
		return nil
	}
	sessions, err := rehydra.New(rehydra.Options{Token: b.token, Route: b.route, App: demoApp})
	if err != nil {
		return fmt.Errorf("cannot start backend %q: %w", b.route, err)
	}
	listener, err := net.Listen("tcp", b.address)
	if err != nil {
		return fmt.Errorf("cannot start backend %q: %w", b.route, err)
	}
	b.address = listener.Addr().String()
	run := &sampleRun{sessions: sessions}
	run.server = &http.Server{Handler: run.counted(sessions.Middleware(newDemoAPI(b.route))), ReadHeaderTimeout: 10 * time.Second}
	run.serving.Go(func() {
		_ = run.server.Serve(listener) // ends by end, with http.ErrServerClosed
	})
	b.life = run
	return nil
}

// Kill closes the listener and every connection, in whatever state they are, waits for the requests that were running and
// forgets all sessions. A backend that does not run stays as it is.
func (b *sampleBackend) Kill() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.life != nil {
		b.life.end()
		b.life = nil
	}
}

func (r *sampleRun) end() {
	r.mu.Lock()
	r.dead = true
	r.mu.Unlock()
	_ = r.server.Close() // the listener's and connections' own errors: they are gone either way
	r.serving.Wait()
	r.requests.Wait()
}

// counted lets end wait for the requests in h, which see their context end when the connection closes.
func (r *sampleRun) counted(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		r.mu.Lock()
		if r.dead {
			r.mu.Unlock()
			panic(http.ErrAbortHandler) // the dead do not answer
		}
		r.requests.Add(1)
		r.mu.Unlock()
		defer r.requests.Done()
		h.ServeHTTP(w, request)
	})
}

// sampleBackendState is what the page shows of a backend.
type sampleBackendState struct {
	Name     string `json:"name"`
	Address  string `json:"address"`
	Up       bool   `json:"up"`
	Sessions int    `json:"sessions"` // in its memory
}

// State returns what the page shows.
func (b *sampleBackend) State() sampleBackendState {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := sampleBackendState{Name: b.route, Address: b.address, Up: b.life != nil}
	if s.Up {
		s.Sessions = b.life.sessions.Len()
	}
	return s
}

// findBackend returns the backend of that route.
func findBackend(backends []*sampleBackend, route string) (*sampleBackend, bool) {
	for _, b := range backends {
		if b.route == route {
			return b, true
		}
	}
	return nil, false
}
