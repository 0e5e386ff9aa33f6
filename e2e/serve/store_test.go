package serve

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	rehydra "rehydra/adapters/go"
	"rehydra/e2e/harness"
)

const token = "serve-token-0123456789abcdef"

// counting is an application with a session that counts requests; it says where it is and what it counted. kill ends it.
func counting(t *testing.T, route string) (b *backend, kill func()) {
	t.Helper()
	sessions, err := rehydra.New(rehydra.Options{Token: token, Route: route, App: "/shop"})
	if err != nil {
		t.Fatal(err)
	}
	app := sessions.Middleware(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s, err := rehydra.FromRequest(r)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		if r.URL.Path == "/logout" {
			s.Invalidate()
			return
		}
		var n int
		if _, err := s.Get("n", &n); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		if err := s.Set("n", n+1); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		fmt.Fprintf(w, "%s %d", route, n+1)
	}))
	server := httptest.NewServer(app)
	kill = func() {
		server.CloseClientConnections()
		server.Close()
	}
	t.Cleanup(kill)
	return &backend{route: route, address: server.Listener.Addr().String()}, kill
}

// cookie returns the session id that an answer sets.
func (a answer) cookie(t *testing.T) string {
	t.Helper()
	for _, line := range a.header.Values("Set-Cookie") {
		if set, err := http.ParseSetCookie(line); err == nil && set.Name == "JSESSIONID" {
			return set.Value
		}
	}
	t.Fatalf("no session cookie in %v", a.header)
	return ""
}

// TestStoreThatDoesNotAnswerAtStart: refused or silent, the program starts, says so, serves, and uses the store once it answers.
func TestStoreThatDoesNotAnswerAtStart(t *testing.T) {
	t.Parallel()
	for _, how := range []string{"refused", "silent"} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			node := harness.UnstartedMemcached(t)
			if how == "silent" {
				node = harness.StartMemcached(t)
				node.Freeze(t)
			}
			one, killOne := counting(t, "node1")
			two, killTwo := counting(t, "node2")
			p := serve(t, settings{
				"session": {fmt.Sprintf("token = %q", token), `save_timeout = "8s"`, `restore_timeout = "8s"`},
				"store":   {fmt.Sprintf(`nodes = ["n1=%s"]`, node.Address()), `retry = "100ms"`, `timeout = "2s"`},
			}, one, two)
			down := p.waitEvent("store node down")
			if down.Text("node") != "n1" || down.Text("address") != node.Address() || down.Text("level") != "warn" || down.Text("reason") == "" {
				t.Errorf("the event is %v", down)
			}
			first := p.get("/")
			first.wantStatus(t, 200)
			id := "Cookie: JSESSIONID=" + first.cookie(t)
			p.get("/", id).wantStatus(t, 200)
			if how == "silent" {
				node.Thaw(t)
			} else {
				node.Restart(t)
			}
			p.waitEvent("store node up")
			a := p.get("/", id)
			a.wantStatus(t, 200)
			if !strings.HasSuffix(a.body, " 3") {
				t.Errorf("the session says %q, wanted a count of 3", a.body)
			}
			kill, other := killOne, "node2"
			if strings.HasPrefix(a.body, "node2") {
				kill, other = killTwo, "node1"
			}
			kill()
			p.get("/", id).want(t, 200, other+" 4")
			p.terminate()
		})
	}
}
