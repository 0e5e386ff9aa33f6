package seal

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"testing"

	rehydra "rehydra/adapters/go"
	"rehydra/e2e/harness"
)

// backend is a Go application with the adapter in front of it, and before both a listener for all states that come in. Its application keeps
// one text in each session: /set?text=x sets it, everything else answers it, or "no session".
type backend struct {
	route, address string
	server         *http.Server

	mu     sync.Mutex
	states []string // that arrived, decoded
}

func startBackend(t *testing.T, route string) *backend {
	t.Helper()
	sessions, err := rehydra.New(rehydra.Options{Token: harness.Token, Route: route})
	if err != nil {
		t.Fatal(err)
	}
	b := &backend{route: route, address: harness.FreeAddress(t)}
	b.server = &http.Server{Handler: b.listen(t, sessions.Middleware(http.HandlerFunc(application)))}
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", b.address)
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	running.Go(func() { _ = b.server.Serve(l) }) // always http.ErrServerClosed: kill ends it
	t.Cleanup(func() { b.server.Close(); running.Wait() })
	return b
}

// kill breaks all connections off and leaves the port refusing.
func (b *backend) kill(t *testing.T) {
	t.Helper()
	b.server.Close()
	harness.WaitRefused(t, b.address)
}

// listen notes every state that a request brings, in its header or as the body of an operation.
func (b *backend) listen(t *testing.T, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for _, coded := range r.Header.Values("Rehydra-State") {
			state, err := base64.RawURLEncoding.DecodeString(coded)
			if err != nil {
				t.Errorf("%s got a state that cannot be read: %v", b.route, err)
			}
			b.note(string(state))
		}
		if r.Header.Get("Rehydra-Op") != "" {
			body, err := io.ReadAll(r.Body)
			if err != nil {
				t.Errorf("%s cannot read an operation's body: %v", b.route, err)
			}
			if len(body) > 0 {
				b.note(string(body))
			}
			r.Body = io.NopCloser(bytes.NewReader(body))
		}
		next.ServeHTTP(w, r)
	})
}

func (b *backend) note(state string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.states = append(b.states, state)
}

// received returns the states that arrived so far.
func (b *backend) received() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.states)
}

func application(w http.ResponseWriter, r *http.Request) {
	var text string
	if r.URL.Path == "/set" {
		s, err := rehydra.FromRequest(r)
		if err == nil {
			text = r.FormValue("text")
			err = s.Set("text", text)
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
	} else if s, ok := rehydra.Existing(r); !ok {
		text = "no session"
	} else if _, err := s.Get("text", &text); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	fmt.Fprint(w, text)
}
