package failover

import (
	"net"
	"os"
	"strconv"
	"testing"

	"rehydra/e2e/harness"
	"rehydra/e2e/tomcat"
)

func TestMain(m *testing.M) { os.Exit(harness.Main(m)) }

// cluster is two Tomcats, two memcacheds and a proxy in front of them.
type cluster struct {
	t     testing.TB
	nodes map[string]*tomcat.Server // by route
	mem   [2]*harness.Memcached
	proxy *harness.Proxy
}

// start starts a cluster of one release. session is lines of [session].
func start(t *testing.T, release tomcat.Release, session ...string) *cluster {
	t.Helper()
	return startNodes(t, func(string) tomcat.Config { return tomcat.Config{Release: release} }, session...)
}

// startNodes is start for Tomcats that are set up in a way of their own: node says it for each route.
func startNodes(t *testing.T, node func(route string) tomcat.Config, session ...string) *cluster {
	t.Helper()
	c := &cluster{t: t, nodes: make(map[string]*tomcat.Server)}
	pool := harness.Pool{
		Name:   "shop",
		Health: []string{`path = "/shop/static.txt"`, `interval = "200ms"`, `timeout = "4s"`},
	}
	for _, route := range []string{"node1", "node2"} {
		config := node(route)
		config.Route, config.Token = route, harness.Token
		s := tomcat.New(t, config)
		s.Launch()
		c.nodes[route] = s
		pool.Backends = append(pool.Backends, harness.Backend{Route: route, Address: net.JoinHostPort("127.0.0.1", strconv.Itoa(s.Port))})
	}
	for i := range c.mem {
		c.mem[i] = harness.StartMemcached(t)
	}
	for _, s := range c.nodes {
		s.WaitReady()
	}
	// What is tested is what becomes of sessions, not what a loaded machine has time for.
	session = append([]string{`save_timeout = "15s"`, `restore_timeout = "10s"`}, session...)
	c.proxy = harness.Start(t, harness.Config{
		Session: session, Store: append(harness.Nodes(c.mem[:]...), `timeout = "10s"`), Pools: []harness.Pool{pool},
	})
	return c
}

// waitNodesUp waits until the proxy uses every memcached.
func (c *cluster) waitNodesUp(t *testing.T) {
	t.Helper()
	for _, n := range []string{"n1", "n2"} {
		harness.Eventually(t, n+" to be up", func() bool {
			return c.proxy.Metric(t, `rehydra_store_node_up{node="`+n+`"}`) == 1
		})
	}
}

// noBadLines fails the test for lines in catalina.out that the adapter must not cause.
func (c *cluster) noBadLines(t *testing.T) {
	t.Helper()
	for route, s := range c.nodes {
		if bad := s.BadLines(); len(bad) > 0 {
			t.Errorf("%s has lines in catalina.out:\n%q", route, bad)
		}
	}
}
