package main

import (
	"bytes"
	"fmt"
)

// A target is what Rehydra is to reach: a limit to one figure's ratio to a peer, or to the figure itself.
type target struct {
	work     string // as the table says it
	workload string
	name, to string // of the ratio; to "": the figure itself
	figure   string // "cpu", "per second", "p99", "memory"
	limit    float64
	atLeast  bool
}

// targets returns all of them. They are meant to be hard.
func targets() []target {
	var all []target
	against := func(work, workload, figure string, atLeast bool, limits map[string]float64) {
		for _, peer := range []string{"haproxy", "nginx", "mod_jk"} {
			if limit, ok := limits[peer]; ok {
				all = append(all, target{work, workload, "rehydra", peer, figure, limit, atLeast})
			}
		}
	}
	against("1 KB keep-alive: CPU a request", "keepalive-1k", "cpu", false, map[string]float64{"haproxy": 0.95, "nginx": 1.05, "mod_jk": 0.40})
	against("1 KB keep-alive: requests a second", "keepalive-1k", "per second", true, map[string]float64{"haproxy": 1.0, "nginx": 0.95, "mod_jk": 2.0})
	against("1 KB at a constant rate: p99", "rate-1k", "p99", false, map[string]float64{"haproxy": 1.2, "nginx": 1.2, "mod_jk": 0.5})
	against("16 KB: CPU", "keepalive-16k", "cpu", false, map[string]float64{"haproxy": 0.75, "nginx": 0.85, "mod_jk": 0.35})
	against("1 MB: CPU", "keepalive-1m", "cpu", false, map[string]float64{"haproxy": 0.55, "nginx": 0.5, "mod_jk": 0.35})
	against("a connection for each request: CPU", "connection-1k", "cpu", false, map[string]float64{"haproxy": 1.1, "nginx": 1.3, "mod_jk": 0.55})
	all = append(all, target{"10,000 idle connections: memory, MB", "idle-10000", "rehydra", "", "memory", 80, false})
	against("10,000 idle connections: memory", "idle-10000", "memory", false, map[string]float64{"mod_jk": 0.25})
	against("TLS 1.3, 1 KB keep-alive: CPU", "tls-1k", "cpu", false, map[string]float64{"haproxy": 1.2, "nginx": 1.2})
	against("TLS 1.3 handshakes: CPU", "tls-handshake", "cpu", false, map[string]float64{"haproxy": 1.2, "nginx": 1.2})
	return append(all,
		target{"session tier, session unchanged: CPU", "session-same", "rehydra-sync-2", "rehydra", "cpu", 1.15, false},
		target{"session tier, 1 KB changed, sync, two copies: CPU", "session-changed", "rehydra-sync-2", "rehydra", "cpu", 2.5, false},
		target{"whole system, a session changed: CPU", "msm", "rehydra, 1 copy", "haproxy+MSM", "cpu", 0.8, false},
		target{"whole system, a session changed: p99", "msm", "rehydra, 1 copy", "haproxy+MSM", "p99", 0.8, false},
	)
}

// value returns what was measured; ok is false where it was not.
func (t target) value(r *Report) (s Spread, ok bool) {
	if t.to == "" {
		p := r.peer(t.workload, t.name)
		if p == nil {
			return s, false
		}
		// MB, not MiB, as the limit is.
		const factor = float64(1<<20) / 1e6
		return Spread{p.ResidentMB.Median * factor, p.ResidentMB.Min * factor, p.ResidentMB.Max * factor}, true
	}
	ratio := r.ratio(t.workload, t.name, t.to)
	if ratio == nil {
		return s, false
	}
	return t.of(ratio), true
}

// floor is what moving the bytes alone reaches, on this machine: "" where that was not measured.
func (t target) floor(r *Report) string {
	ratio := r.ratio(t.workload, forwarderName, t.to)
	if ratio == nil || t.figure == "memory" {
		return ""
	}
	return t.of(ratio).text(2)
}

// of returns the figure that the target is about.
func (t target) of(ratio *Ratio) Spread {
	return map[string]Spread{"cpu": ratio.CPU, "per second": ratio.PerSecond, "p99": ratio.P99, "memory": ratio.Resident}[t.figure]
}

// met tells whether the median of what was measured reaches the target.
func (t target) met(s Spread) bool {
	if t.atLeast {
		return s.Median >= t.limit
	}
	return s.Median <= t.limit
}

// targetsMarkdown renders what was to be reached and what was.
func (r *Report) targetsMarkdown(b *bytes.Buffer) {
	head := "\n## Targets\n\n| work | to | wanted | measured | | forwarder |\n|---|---|---|---|---|---|\n"
	for _, t := range targets() {
		s, ok := t.value(r)
		if !ok {
			continue
		}
		b.WriteString(head)
		head = ""
		sign, verdict := "≤", "missed"
		if t.atLeast {
			sign = "≥"
		}
		if t.met(s) {
			verdict = "met"
		}
		fmt.Fprintf(b, "| %s | %s | %s %g | %s | %s | %s |\n", t.work, t.to, sign, t.limit, s.text(2), verdict, t.floor(r))
	}
}
