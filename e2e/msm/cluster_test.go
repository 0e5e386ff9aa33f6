package msm

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"rehydra/e2e/harness"
	"rehydra/e2e/tomcat"
)

func TestMain(m *testing.M) { os.Exit(harness.Main(m)) }

// cluster is two Tomcats that share their sessions through two memcacheds by themselves, behind a Rehydra without a tier.
type cluster struct {
	nodes map[string]*tomcat.Server // by route
	mem   [2]*harness.Memcached
	proxy *harness.Proxy
}

// start starts a cluster. attributes are those of MSM's Manager beside its nodes. The routes in changed have been changed over: they have the
// valve in place of MSM, and Rehydra keeps sessions, in the same memcacheds.
func start(t *testing.T, attributes string, changed ...string) *cluster {
	t.Helper()
	c := &cluster{nodes: make(map[string]*tomcat.Server)}
	for i := range c.mem {
		c.mem[i] = harness.StartMemcached(t)
	}
	lib, err := tomcat.MSM(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	manager := fmt.Sprintf(`<Manager className="de.javakaffee.web.msm.MemcachedBackupSessionManager" memcachedNodes="n1:%s,n2:%s" %s/>`,
		c.mem[0].Address(), c.mem[1].Address(), attributes)
	pool := harness.Pool{Name: "shop", Health: []string{`path = "/shop/static.txt"`, `interval = "200ms"`, `timeout = "4s"`}}
	for _, route := range []string{"node1", "node2"} {
		config := tomcat.Config{Release: tomcat.Tomcat9, Route: route, NoAdapter: true, ContextXML: manager, Lib: lib}
		if slices.Contains(changed, route) {
			config = tomcat.Config{Release: tomcat.Tomcat9, Route: route, Token: harness.Token}
		}
		s := tomcat.New(t, config)
		s.Launch()
		c.nodes[route] = s
		pool.Backends = append(pool.Backends, harness.Backend{Route: route, Address: net.JoinHostPort("127.0.0.1", strconv.Itoa(s.Port))})
	}
	for _, s := range c.nodes {
		s.WaitReady()
	}
	config := harness.Config{NoToken: true, Pools: []harness.Pool{pool}}
	if len(changed) > 0 {
		// What is tested is what becomes of sessions, not what a loaded machine has time for.
		config.NoToken, config.Store = false, append(harness.Nodes(c.mem[:]...), `timeout = "2s"`)
		config.Session = []string{`save_timeout = "10s"`, `restore_timeout = "10s"`}
	}
	c.proxy = harness.Start(t, config)
	return c
}

// user is a browser's worth of client.
type user struct {
	t      *testing.T
	base   string
	client *http.Client
}

func (c *cluster) user(t *testing.T) *user {
	t.Helper()
	return &user{t: t, base: "http://" + c.proxy.Address(), client: harness.NewVisitor(t)}
}

// page is what the test application printed.
type page struct {
	harness.SessionPage
	header http.Header
}

// get requests a path, which must be answered with 200.
func (u *user) get(path string) page {
	u.t.Helper()
	req, err := http.NewRequestWithContext(u.t.Context(), http.MethodGet, u.base+path, nil)
	if err != nil {
		u.t.Fatal(err)
	}
	resp, err := u.client.Do(req)
	if err != nil {
		u.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		u.t.Fatal(err)
	}
	if resp.StatusCode != http.StatusOK {
		u.t.Fatalf("GET %s: status %d, wanted 200:\n%s", path, resp.StatusCode, text)
	}
	return page{harness.ParseSessionPage(string(text)), resp.Header}
}

// id splits the session's id: ABC-n1.node1 is ABC, n1 and node1.
func (p page) id() (session, memcached, route string) {
	base, route, _ := strings.Cut(p.Session, ".")
	dash := strings.LastIndexByte(base, '-')
	if dash < 0 {
		return base, "", route
	}
	return base[:dash], base[dash+1:], route
}
