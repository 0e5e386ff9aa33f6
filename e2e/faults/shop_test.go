package faults

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"rehydra/e2e/harness"
)

// patience is how long users wait for an answer; a loaded machine takes its time.
const patience = time.Minute

// shop is one proxy, two memcacheds and some backends that count in the session.
type shop struct {
	t        *testing.T
	config   harness.Config
	proxy    *harness.Proxy
	nodes    []*harness.Memcached
	backends []*harness.Program
	client   *http.Client
}

// newShop starts everything, with time-outs for servers that stand still; store are further lines of [store].
func newShop(t *testing.T, backends int, store ...string) *shop {
	t.Helper()
	s := prepareShop(t, backends, store...)
	s.proxy = harness.Start(t, s.config)
	return s
}

// calmShop is newShop where nothing stands still, except that a loaded machine may: nothing is given up for that.
func calmShop(t *testing.T, backends int) *shop {
	t.Helper()
	s := prepareShop(t, backends, `timeout = "5s"`)
	s.config.Session = append(s.config.Session, `save_timeout = "10s"`, `restore_timeout = "30s"`)
	pool := &s.config.Pools[0]
	pool.Health = append(pool.Health, `timeout = "10s"`)
	pool.Timeout = append(pool.Timeout, `connect = "10s"`, `first_byte = "50s"`)
	s.proxy = harness.Start(t, s.config)
	return s
}

// prepareShop starts all but the proxy.
func prepareShop(t *testing.T, backends int, store ...string) *shop {
	t.Helper()
	s := &shop{t: t, nodes: []*harness.Memcached{harness.StartMemcached(t), harness.StartMemcached(t)}}
	pool := harness.Pool{
		Name:    "shop",
		Health:  []string{`path = "/health"`, `interval = "100ms"`, `timeout = "2s"`, `fall = 2`},
		Timeout: []string{`connect = "3s"`, `first_byte = "15s"`},
	}
	binary := harness.Build(t, "rehydra/e2e/history/backend")
	for i := range backends {
		route := fmt.Sprintf("node%d", i+1)
		b := harness.StartProgram(t, binary, "-route", route, "-token", harness.Token)
		s.backends = append(s.backends, b)
		pool.Backends = append(pool.Backends, harness.Backend{Route: route, Address: b.Address()})
	}
	s.config = harness.Config{
		Log:     []string{`access = false`},
		Session: []string{`save = "sync"`, `save_timeout = "5s"`, `save_failure = "respond"`, `restore_timeout = "10s"`},
		Store:   append(append(harness.Nodes(s.nodes...), `timeout = "400ms"`), store...),
		Pools:   []harness.Pool{pool},
	}
	transport := &http.Transport{MaxIdleConnsPerHost: 64}
	t.Cleanup(transport.CloseIdleConnections)
	s.client = &http.Client{Transport: transport, Timeout: patience}
	return s
}

// owned counts the users of a backend, by the route in their cookies.
func owned(users []*user, route string) (n int) {
	for _, u := range users {
		if u.route() == route {
			n++
		}
	}
	return n
}
