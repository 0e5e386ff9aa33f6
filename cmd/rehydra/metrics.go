package main

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"rehydra/proxy"
	"rehydra/proxy/upstream"
	"rehydra/sessiontier"
)

// newRegistry returns everything that GET /metrics shows of p.
func newRegistry(p *program) (*prometheus.Registry, error) {
	registry := prometheus.NewRegistry()
	build := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: metricPrefix + "build_info", Help: "1; the label says which version runs.", ConstLabels: prometheus.Labels{"version": version},
	}, func() float64 { return 1 })
	for _, c := range []prometheus.Collector{
		newCollector(p), newCertificateCollector(p), p.timings.saves, p.timings.restores, build,
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{Namespace: "rehydra"}),
	} {
		if err := registry.Register(c); err != nil {
			return nil, fmt.Errorf("cannot register metrics: %w", err)
		}
	}
	return registry, nil
}

// collector turns the parts' own counters into metrics when they are asked for.
type collector struct {
	p        *program
	plain    []family[*snapshot]
	nodes    []family[*sessiontier.NodeStats]
	backends []family[*upstream.Stats]
	pools    []family[*upstream.Pool]
	crowd    []family[*proxy.ConnectionCounts]
	requests *prometheus.Desc
}

// family is one metric: its name without the prefix, and how to read it from what it is of.
type family[Of any] struct {
	name string
	kind prometheus.ValueType
	help string
	read func(Of) float64
	desc *prometheus.Desc
}

const (
	metricPrefix = "rehydra_"

	counter = prometheus.CounterValue
	gauge   = prometheus.GaugeValue
)

func newCollector(p *program) *collector {
	return &collector{
		p:        p,
		plain:    described(plainMetrics()),
		nodes:    described(nodeMetrics(), "node"),
		backends: described(backendMetrics(), "pool", "backend"),
		pools:    described(poolMetrics(), "pool"),
		crowd:    described(crowdMetrics()),
		requests: prometheus.NewDesc(metricPrefix+"requests_total",
			"Requests by the class of the status that the client got; none: it got no status. No pool: none matched.", []string{"pool", "class"}, nil),
	}
}

// described gives each family its description.
func described[Of any](families []family[Of], labels ...string) []family[Of] {
	for i := range families {
		f := &families[i]
		f.desc = prometheus.NewDesc(metricPrefix+f.name, f.help, labels, nil)
	}
	return families
}

// Describe implements prometheus.Collector.
func (c *collector) Describe(ch chan<- *prometheus.Desc) {
	announce(ch, c.plain)
	announce(ch, c.nodes)
	announce(ch, c.backends)
	announce(ch, c.pools)
	announce(ch, c.crowd)
	ch <- c.requests
}

func announce[Of any](ch chan<- *prometheus.Desc, families []family[Of]) {
	for i := range families {
		ch <- families[i].desc
	}
}

// Collect implements prometheus.Collector.
func (c *collector) Collect(ch chan<- prometheus.Metric) {
	s := c.p.snapshot()
	collect(ch, c.plain, s)
	for i := range s.store.Nodes {
		collect(ch, c.nodes, &s.store.Nodes[i], s.store.Nodes[i].Name)
	}
	crowd := c.p.server.ConnectionCounts()
	collect(ch, c.crowd, &crowd)
	for _, pool := range s.routing.Table.Pools() {
		collect(ch, c.pools, pool, pool.Name())
		for _, b := range pool.Backends() {
			stats := b.Stats()
			collect(ch, c.backends, &stats, pool.Name(), b.Route())
		}
	}
	for pool, counts := range s.requests {
		for class, n := range counts {
			ch <- prometheus.MustNewConstMetric(c.requests, counter, float64(n), pool, statusClass(class))
		}
	}
}

func collect[Of any](ch chan<- prometheus.Metric, families []family[Of], of Of, labels ...string) {
	for i := range families {
		f := &families[i]
		ch <- prometheus.MustNewConstMetric(f.desc, f.kind, f.read(of), labels...)
	}
}

// statusClass names an index of proxy.RequestCount.
func statusClass(class int) string {
	if class == 0 {
		return "none"
	}
	return fmt.Sprintf("%dxx", class)
}

func number(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
