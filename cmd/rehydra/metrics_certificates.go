package main

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// certificateCollector shows until when the certificates that clients see are valid.
type certificateCollector struct {
	p    *program
	desc *prometheus.Desc
}

func newCertificateCollector(p *program) *certificateCollector {
	return &certificateCollector{p, prometheus.NewDesc(metricPrefix+"tls_certificate_expiry_seconds",
		"When the first certificate of the chain expires, in seconds since 1970. By file, or by domain where it comes from an ACME server.", []string{"certificate"}, nil)}
}

// Describe implements prometheus.Collector.
func (c *certificateCollector) Describe(ch chan<- *prometheus.Desc) { ch <- c.desc }

// Collect implements prometheus.Collector.
func (c *certificateCollector) Collect(ch chan<- prometheus.Metric) {
	for name, end := range c.p.certificateEnds() {
		ch <- prometheus.MustNewConstMetric(c.desc, gauge, float64(end.Unix()), name)
	}
}

// certificateEnds returns until when each certificate that clients see is valid.
func (p *program) certificateEnds() map[string]time.Time {
	ends := make(map[string]time.Time)
	for _, cert := range p.server.Front().Certificates {
		ends[cert.File] = cert.Ends
	}
	if p.acme != nil {
		for domain, end := range p.acme.Ends() {
			ends[domain] = end
		}
	}
	return ends
}
