package history

import (
	"fmt"
	"testing"

	"rehydra/e2e/harness"
)

// cluster is three memcacheds, three backends, and two proxies that share all of them.
type cluster struct {
	t        *testing.T
	nodes    []*harness.Memcached
	backends []*harness.Program
	proxies  []*harness.Proxy
	config   harness.Config
	fenced   float64 // late saves refused by proxies that have been killed since
}

// strict is a proxy that says no rather than acknowledge what is not stored twice.
var strict = []string{
	`save = "sync"`, `save_failure = "fail"`, `save_timeout = "1s"`, `lookup_failure = "refuse"`, `restore_timeout = "2s"`,
}

func newCluster(t *testing.T) *cluster {
	t.Helper()
	c := &cluster{t: t}
	for range 3 {
		c.nodes = append(c.nodes, harness.StartMemcached(t))
	}
	pool := harness.Pool{
		Name:    "shop",
		Health:  []string{`path = "/health"`, `interval = "50ms"`, `timeout = "150ms"`, `fall = 2`},
		Timeout: []string{`connect = "500ms"`, `first_byte = "4s"`},
	}
	binary := harness.Build(t, "rehydra/e2e/history/backend")
	for i := range 3 {
		route := fmt.Sprintf("node%d", i+1)
		b := harness.StartProgram(t, binary, "-route", route, "-token", harness.Token)
		c.backends = append(c.backends, b)
		pool.Backends = append(pool.Backends, harness.Backend{Route: route, Address: b.Address()})
	}
	c.config = harness.Config{Log: []string{`access = false`}, Session: strict, Store: harness.Nodes(c.nodes...), Pools: []harness.Pool{pool}}
	for range 2 {
		at := c.config
		at.Listen = harness.FreeAddress(t)
		c.proxies = append(c.proxies, harness.Start(t, at))
	}
	return c
}

// restartProxy starts a proxy again, where it was, after a kill.
func (c *cluster) restartProxy(i int) {
	at := c.config
	at.Listen = c.proxies[i].Address()
	c.proxies[i] = harness.Start(c.t, at)
}

// count adds up a counter of both proxies.
func (c *cluster) count(metric string) (sum float64) {
	for _, p := range c.proxies {
		sum += p.Metric(c.t, metric)
	}
	return sum
}
