package protocol

import (
	"fmt"
	"testing"

	"rehydra/e2e/harness"
)

// rig is a proxy with its backends and its store.
type rig struct {
	t     *testing.T
	cfg   harness.Config
	proxy *harness.Proxy
	nodes []*harness.Memcached // none: the embedded store
}

// setting changes the configuration of a rig.
type setting func(*harness.Config)

// session adds lines to [session].
func session(lines ...string) setting {
	return func(c *harness.Config) { c.Session = append(c.Session, lines...) }
}

// store adds lines to [store].
func store(lines ...string) setting {
	return func(c *harness.Config) { c.Store = append(c.Store, lines...) }
}

// newRig starts a proxy with the embedded store in front of backends.
func newRig(t *testing.T, backends []*backend, settings ...setting) *rig {
	t.Helper()
	return newRigOn(t, nil, backends, settings...)
}

// newRigOn starts a proxy in front of backends that keeps its copies on nodes; none: in the process.
func newRigOn(t *testing.T, nodes []*harness.Memcached, backends []*backend, settings ...setting) *rig {
	t.Helper()
	g := &rig{t: t, nodes: nodes, cfg: configOf(nodes, backends, settings...)}
	g.proxy = harness.Start(t, g.cfg)
	return g
}

func configOf(nodes []*harness.Memcached, backends []*backend, settings ...setting) harness.Config {
	pool := harness.Pool{Name: "shop", Timeout: []string{`first_byte = "20s"`}}
	for _, b := range backends {
		pool.Backends = append(pool.Backends, harness.Backend{Route: b.route, Address: b.address})
	}
	cfg := harness.Config{Store: harness.Embedded(), Pools: []harness.Pool{pool}}
	if nodes != nil {
		// These tests spoil and count copies by hand; what makes them anew in the background has tests of its own.
		cfg.Store = append(harness.Nodes(nodes...), "heal_rate = 0")
	}
	// The defaults are meant for a machine that does nothing else, and that never stands still for a second; a test that is about them sets its own.
	session(`save_timeout = "6s"`, `restore_timeout = "8s"`)(&cfg)
	store(`timeout = "3s"`)(&cfg)
	for _, s := range settings {
		s(&cfg)
	}
	return cfg
}

// twoNodes starts two memcacheds.
func twoNodes(t *testing.T) []*harness.Memcached {
	t.Helper()
	return []*harness.Memcached{harness.StartMemcached(t), harness.StartMemcached(t)}
}

// eachStore runs a test with each kind of store.
func eachStore(t *testing.T, test func(t *testing.T, nodes []*harness.Memcached)) {
	t.Parallel()
	t.Run("embedded", func(t *testing.T) { t.Parallel(); test(t, nil) })
	t.Run("memcached", func(t *testing.T) { t.Parallel(); test(t, twoNodes(t)) })
}

// get sends GET with a session id and wants 200.
func (g *rig) get(target, id string) response {
	g.t.Helper()
	return ask(g.t, g.proxy.Address(), 200, query{target: target, cookie: id})
}

// send sends any request.
func (g *rig) send(q query) response {
	g.t.Helper()
	return send(g.t, g.proxy.Address(), q)
}

// counter returns a metric of the session tier: "saves", "lost".
func (g *rig) counter(name string) float64 {
	g.t.Helper()
	return g.proxy.Metric(g.t, "rehydra_session_"+name+"_total")
}

// wantCounter waits until a metric of the session tier has a value, and fails if it never has.
func (g *rig) wantCounter(name string, want float64) {
	g.t.Helper()
	var got float64
	harness.Eventually(g.t, fmt.Sprintf("rehydra_session_%s_total = %v", name, want), func() bool {
		got = g.counter(name)
		if got > want {
			g.t.Fatalf("rehydra_session_%s_total = %v, wanted %v", name, got, want)
		}
		return got == want
	})
}

// isCounter wants a metric of the session tier to have a value now.
func (g *rig) isCounter(name string, want float64) {
	g.t.Helper()
	if got := g.counter(name); got != want {
		g.t.Errorf("rehydra_session_%s_total = %v, wanted %v", name, got, want)
	}
}

// waitBackend waits until the proxy thinks that a backend is up, or out.
func (g *rig) waitBackend(b *backend, up bool) {
	g.t.Helper()
	want := 0.0
	if up {
		want = 1
	}
	harness.Eventually(g.t, fmt.Sprintf("backend %s up = %v", b.route, up), func() bool {
		return g.proxy.Metric(g.t, fmt.Sprintf("rehydra_backend_up{backend=%q,pool=%q}", b.route, "shop")) == want
	})
}

// waitNode waits until the proxy thinks that a store node (from 1) is up, or down.
func (g *rig) waitNode(n int, up bool) {
	g.t.Helper()
	want := 0.0
	if up {
		want = 1
	}
	harness.Eventually(g.t, fmt.Sprintf("node n%d up = %v", n, up), func() bool {
		return g.proxy.Metric(g.t, fmt.Sprintf("rehydra_store_node_up{node=%q}", fmt.Sprintf("n%d", n))) == want
	})
}
