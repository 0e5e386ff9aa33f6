package main

import (
	"github.com/prometheus/client_golang/prometheus"

	"rehydra/sessiontier"
)

// collector turns the program's own counters into metrics when they are asked for.
type collector struct {
	p *program

	saves, restores, lost, fenced, conflicts, unprotected *prometheus.Desc
	sessions, savedBytes, dropped, corrupt                *prometheus.Desc
	nodeUp, nodeErrors                                    *prometheus.Desc
	backendUp, backendRequests, backendInFlight           *prometheus.Desc
	connections                                           *prometheus.Desc
}

func newCollector(p *program) *collector {
	d := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("rehydra_"+name, help, labels, nil)
	}
	return &collector{
		p:               p,
		saves:           d("session_saves_total", "Session states stored in every copy."),
		restores:        d("session_restores_total", "Sessions brought to another backend."),
		lost:            d("session_lost_total", "Sessions that a request came for and that were not to be had."),
		fenced:          d("session_fenced_total", "Late writes of former owners that were refused."),
		conflicts:       d("session_conflicts_total", "Races of compare-and-swap lost between writers of non-sticky mode."),
		unprotected:     d("session_unprotected_total", "Responses whose session change was not on every copy in time."),
		sessions:        d("sessions_known", "Sessions that this proxy has seen lately."),
		savedBytes:      d("session_saved_bytes_total", "Bytes of session state stored."),
		dropped:         d("session_saves_dropped_total", "Asynchronous saves that were dropped."),
		corrupt:         d("session_copies_corrupt_total", "Copies that were not believed."),
		nodeUp:          d("store_node_up", "1 while the store node answers.", "node"),
		nodeErrors:      d("store_node_errors_total", "Exchanges with the store node that failed.", "node"),
		backendUp:       d("backend_up", "1 while the backend is thought to answer.", "pool", "backend"),
		backendRequests: d("backend_requests_total", "Requests sent to the backend.", "pool", "backend"),
		backendInFlight: d("backend_requests_in_flight", "Requests that the backend has now.", "pool", "backend"),
		connections:     d("client_connections", "Client connections that are open."),
	}
}

// Describe implements prometheus.Collector.
func (c *collector) Describe(ch chan<- *prometheus.Desc) { prometheus.DescribeByCollect(c, ch) }

// Collect implements prometheus.Collector.
func (c *collector) Collect(ch chan<- prometheus.Metric) {
	count := func(d *prometheus.Desc, n uint64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(n), labels...)
	}
	gauge := func(d *prometheus.Desc, n float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, n, labels...)
	}
	var store sessiontier.Stats
	if c.p.store != nil {
		store = c.p.store.Stats()
	}
	n := &c.p.counters
	count(c.saves, n.Saves.Load())
	count(c.restores, n.Restores.Load())
	count(c.lost, n.Lost.Load())
	count(c.fenced, n.Fenced.Load())
	count(c.conflicts, 0) // non-sticky mode is what would count here
	count(c.unprotected, n.Unprotected.Load())
	count(c.savedBytes, store.SavedBytes)
	count(c.dropped, store.Dropped)
	count(c.corrupt, store.Corrupt)
	for _, node := range store.Nodes {
		gauge(c.nodeUp, number(node.Up), node.Name)
		count(c.nodeErrors, node.Errors, node.Name)
	}
	gauge(c.connections, float64(c.p.server.Connections()))
	routing := c.p.server.Routing()
	known := 0
	for _, tier := range routing.Tiers {
		known += tier.Sessions()
	}
	gauge(c.sessions, float64(known))
	for _, pool := range routing.Table.Pools() {
		for _, b := range pool.Backends() {
			s := b.Stats()
			gauge(c.backendUp, number(s.Up), pool.Name(), b.Route())
			count(c.backendRequests, s.Requests, pool.Name(), b.Route())
			gauge(c.backendInFlight, float64(s.InFlight), pool.Name(), b.Route())
		}
	}
}

func number(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
