package admin

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	rehydra "rehydra/adapters/go"
	"rehydra/e2e/harness"
)

// app is what the backends' sessions belong to, unless a test says otherwise.
const app = "localhost/shop"

// backend is a server with the Go adapter. It keeps its address when it is down.
type backend struct {
	route   string
	address string
	app     string

	server  *http.Server
	serving sync.WaitGroup
}

// startBackend starts a backend of a route.
func startBackend(t *testing.T, route, app string) *backend {
	t.Helper()
	b := &backend{route: route, address: harness.FreeAddress(t), app: app}
	b.up(t)
	t.Cleanup(b.down)
	return b
}

// up starts it, with no session in its memory.
func (b *backend) up(t *testing.T) {
	t.Helper()
	sessions, err := rehydra.New(rehydra.Options{Token: harness.Token, Route: b.route, App: b.app})
	if err != nil {
		t.Fatal(err)
	}
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", b.address)
	if err != nil {
		t.Fatal(err)
	}
	b.server = &http.Server{Handler: sessions.Middleware(http.HandlerFunc(shop)), ReadHeaderTimeout: 10 * time.Second}
	b.serving.Go(func() {
		_ = b.server.Serve(l) // ends by down
	})
}

// down closes the listener and every connection.
func (b *backend) down() {
	_ = b.server.Close() // what its connections have to say is of no interest
	b.serving.Wait()
}

// shop is the application: /count counts up, /end ends the session, /status/N answers with N and no session.
func shop(w http.ResponseWriter, r *http.Request) {
	var status int
	if _, err := fmt.Sscanf(r.URL.Path, "/status/%d", &status); err == nil {
		w.WriteHeader(status)
		return
	}
	s, err := rehydra.FromRequest(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	if strings.HasSuffix(r.URL.Path, "/end") {
		s.Invalidate()
		return
	}
	n := 0
	if _, err := s.Get("n", &n); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	if err := s.Set("n", n+1); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	fmt.Fprintf(w, "%d", n+1)
}

// user is a client with a cookie jar.
type user struct {
	t      *testing.T
	proxy  *harness.Proxy
	client *http.Client
	id     string // of the session, as the last answer set it
}

func newUser(t *testing.T, p *harness.Proxy) *user {
	t.Helper()
	return &user{t: t, proxy: p, client: harness.NewVisitor(t)}
}

// get sends a request through the proxy and returns the answer's status and body.
func (u *user) get(path string) (status int, body string) {
	u.t.Helper()
	request, err := http.NewRequestWithContext(u.t.Context(), http.MethodGet, "http://"+u.proxy.Address()+path, nil)
	if err != nil {
		u.t.Fatal(err)
	}
	response, err := u.client.Do(request)
	if err != nil {
		u.t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		u.t.Fatal(err)
	}
	for _, c := range response.Cookies() {
		if c.Name == "JSESSIONID" && c.Value != "" {
			u.id = c.Value
		}
	}
	return response.StatusCode, string(text)
}

// count counts up and wants to be at n afterwards.
func (u *user) count(n int) {
	u.t.Helper()
	if status, body := u.get("/shop/count"); status != http.StatusOK || body != fmt.Sprint(n) {
		u.t.Fatalf("counting: %d %s, wanted 200 %d", status, body, n)
	}
}

func (u *user) base() string  { base, _, _ := strings.Cut(u.id, "."); return base }
func (u *user) route() string { _, route, _ := strings.Cut(u.id, "."); return route }

// cluster is two backends, and nodes, behind a proxy.
type cluster struct {
	backends map[string]*backend
	nodes    []*harness.Memcached
	config   harness.Config
}

func startCluster(t *testing.T, nodes int) *cluster {
	t.Helper()
	c := &cluster{backends: map[string]*backend{}}
	pool := harness.Pool{Name: "shop", Lines: []string{`match = ["/shop/*", "/status/*"]`}}
	for _, route := range []string{"node1", "node2"} {
		b := startBackend(t, route, app)
		c.backends[route] = b
		pool.Backends = append(pool.Backends, harness.Backend{Route: route, Address: b.address})
	}
	for range nodes {
		c.nodes = append(c.nodes, harness.StartMemcached(t))
	}
	c.config = harness.Config{Store: append(harness.Nodes(c.nodes...), `timeout = "3s"`), Session: []string{`save_timeout = "8s"`}, Pools: []harness.Pool{pool}}
	return c
}

// other returns the route that is not route.
func other(route string) string {
	if route == "node1" {
		return "node2"
	}
	return "node1"
}
