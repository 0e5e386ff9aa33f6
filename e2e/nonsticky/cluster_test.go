package nonsticky

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"rehydra/e2e/harness"
	"rehydra/e2e/tomcat"
)

func TestMain(m *testing.M) { os.Exit(harness.Main(m)) }

// cluster is two Tomcats and two memcacheds, which all cases share; each case has proxies and sessions of its own.
type cluster struct {
	nodes map[string]*tomcat.Server // by route
	mem   []*harness.Memcached
}

// TestNonSticky runs each case with real servers.
func TestNonSticky(t *testing.T) {
	c := &cluster{nodes: make(map[string]*tomcat.Server)}
	for _, route := range []string{"node1", "node2"} {
		s := tomcat.New(t, tomcat.Config{Release: tomcat.Tomcat10, Route: route, Token: harness.Token})
		s.Launch()
		c.nodes[route] = s
		c.mem = append(c.mem, harness.StartMemcached(t))
	}
	for _, s := range c.nodes {
		s.WaitReady()
	}
	t.Run("together", func(t *testing.T) { c.together(t) })
	t.Run("a Tomcat is killed", func(t *testing.T) { c.killed(t) })
}

// together runs the cases that can share the Tomcats.
func (c *cluster) together(t *testing.T) {
	for _, tc := range []struct {
		name string
		run  func(*cluster, *testing.T)
	}{
		{"any backend sees the latest state", (*cluster).anyBackend},
		{"a change after the head is seen", (*cluster).afterTheHead},
		{"two proxies see the latest state", (*cluster).twoProxies},
		{"what a backend holds is not sent again", (*cluster).nothingTwice},
		{"a session is in the memory of one backend", (*cluster).oneMemory},
		{"both copies are written", (*cluster).bothCopies},
		{"one memcached has one copy", (*cluster).oneCopy},
		{"a session that is only read lives on", (*cluster).readLivesOn},
		{"a session is not dropped under a request", (*cluster).dropUnderRequest},
		{"parallel requests lose nothing", (*cluster).parallel},
		{"parallel requests of two proxies lose nothing", (*cluster).parallelProxies},
		{"a reader under a writer costs it nothing", (*cluster).readerUnderWriter},
		{"requests that only read do not block", (*cluster).readersDoNotBlock},
		{"a path that does not match does not lock", (*cluster).pattern},
		{"an end gives the lock back", (*cluster).endUnlocks},
		{"a client that goes gives the lock back", (*cluster).abortUnlocks},
		{"a dead holder's lock expires", (*cluster).deadHolder},
		{"no lock in time", (*cluster).noLockInTime},
		{"a lock that was lost does not let old changes in", (*cluster).lockLost},
		{"conflicts are counted", (*cluster).conflicts},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			tc.run(c, t)
		})
	}
}

// proxy starts a proxy in front of some of the Tomcats, all if none are named.
func (c *cluster) proxy(t *testing.T, session []string, routes ...string) *harness.Proxy {
	t.Helper()
	return c.proxyOn(t, c.mem, session, routes...)
}

func (c *cluster) proxyOn(t *testing.T, mem []*harness.Memcached, session []string, routes ...string) *harness.Proxy {
	t.Helper()
	return c.proxyWith(t, mem, nil, session, routes...)
}

func (c *cluster) proxyWith(t *testing.T, mem []*harness.Memcached, log, session []string, routes ...string) *harness.Proxy {
	t.Helper()
	if len(routes) == 0 {
		routes = []string{"node1", "node2"}
	}
	pool := harness.Pool{Name: "shop", Health: []string{`path = "/shop/static.txt"`, `interval = "1s"`, `timeout = "5s"`, `fall = 3`}}
	for _, route := range routes {
		address := net.JoinHostPort("127.0.0.1", strconv.Itoa(c.nodes[route].Port))
		pool.Backends = append(pool.Backends, harness.Backend{Route: route, Address: address})
	}
	return harness.Start(t, harness.Config{
		Log:     log,
		Session: append([]string{`mode = "non-sticky"`, `save_timeout = "8s"`, `restore_timeout = "10s"`}, session...),
		Store:   append(harness.Nodes(mem...), `timeout = "3s"`), Pools: []harness.Pool{pool},
	})
}

// counter is a metric of a proxy's session tier.
func counter(t *testing.T, p *harness.Proxy, name string) float64 {
	t.Helper()
	return p.Metric(t, "rehydra_session_"+name+"_total")
}

// wantCounter checks a metric of a proxy's session tier.
func wantCounter(t *testing.T, p *harness.Proxy, name string, want float64) {
	t.Helper()
	if got := counter(t, p, name); got != want {
		t.Errorf("rehydra_session_%s_total = %v, wanted %v", name, got, want)
	}
}

// keys are the keys of a prefix ("r1:" copies, "l1:" locks) that the memcacheds hold of a session.
func keys(t *testing.T, mem []*harness.Memcached, prefix, base string) (found []string) {
	t.Helper()
	for _, m := range mem {
		for _, key := range m.Keys(t, base) {
			if _, there := m.Get(t, key); there && strings.HasPrefix(key, prefix) {
				found = append(found, key)
			}
		}
	}
	return found
}

// waitLocked waits until somebody holds a session's lock.
func (c *cluster) waitLocked(t *testing.T, base string) {
	t.Helper()
	harness.Eventually(t, "the session is locked", func() bool { return len(keys(t, c.mem, "l1:", base)) == 1 })
}

// holds reports whether a Tomcat has a session in its memory, by the adapter's own list.
func (c *cluster) holds(t *testing.T, route, base string) bool {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), "REPORT", c.nodes[route].URL("/shop/session"), http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Rehydra-Tier", harness.Token)
	req.Header.Set("Rehydra-Op", "list")
	transport := &http.Transport{DisableKeepAlives: true}
	resp, err := (&http.Client{Transport: transport, Timeout: 10 * time.Second}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	list, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("list at %s: status %d, %v", route, resp.StatusCode, err)
	}
	for line := range strings.Lines(string(list)) {
		if strings.HasPrefix(line, base+".") {
			return true
		}
	}
	return false
}

// numbered is prefix1, prefix2, ... prefixN.
func numbered(prefix string, n int) (names []string) {
	for i := range n {
		names = append(names, fmt.Sprintf("%s%d", prefix, i+1))
	}
	return names
}
