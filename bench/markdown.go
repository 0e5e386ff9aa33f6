package main

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
)

// markdown renders the report for people.
func (r *Report) markdown() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "# Side by side\n\nMeasured %s in %v on %s, %d cores, Linux %s, %s; rounds of %v after %v of warming up. [README.md](../README.md) says how to read it.\n\n",
		r.Began.Format("2006-01-02 15:04 MST"), r.Took, r.Machine.CPU, r.Machine.Cores, r.Machine.Kernel, r.Machine.Go, r.RoundTime, r.WarmTime)
	for _, p := range r.Peers {
		fmt.Fprintf(&b, "- %s: %s\n", p.Name, p.Version)
	}
	r.targetsMarkdown(&b)
	r.coreMarkdown(&b)
	grows := false
	for i := range r.Workloads {
		w := &r.Workloads[i]
		if strings.HasPrefix(w.Name, "growth-") {
			grows = true
			continue
		}
		r.workloadMarkdown(w, &b)
	}
	if grows {
		r.growthMarkdown(&b)
	}
	return b.Bytes()
}

// coreMarkdown renders what a core carries when it does nothing else: the inverse of a request's processor time.
func (r *Report) coreMarkdown(b *bytes.Buffer) {
	head := "\n## What one core carries\n\nOne second of processor time, divided by what Rehydra takes of it for one request. Leave a third of it free.\n\n| work | CPU, µs | a second and core |\n|---|---|---|\n"
	for _, row := range []struct{ work, workload, peer string }{
		{"1 KB, kept connections", "keepalive-1k", "rehydra"},
		{"16 KB, kept connections", "keepalive-16k", "rehydra"},
		{"1 MB, kept connections", "keepalive-1m", "rehydra"},
		{"1 KB, a connection each", "connection-1k", "rehydra"},
		{"1 KB over TLS, kept connections", "tls-1k", "rehydra"},
		{"a TLS handshake and 1 KB", "tls-handshake", "rehydra"},
		{"1 KB, session tier with two copies, session unchanged", "session-same", "rehydra-sync-2"},
		{"1 KB, session tier with two copies, 1 KB of session changed, sync", "session-changed", "rehydra-sync-2"},
		{"the same, async", "session-changed", "rehydra-async-2"},
	} {
		p := r.peer(row.workload, row.peer)
		if p == nil || p.CPUMicros.Median <= 0 {
			continue
		}
		fmt.Fprintf(b, "%s| %s | %.1f | %.0f |\n", head, row.work, p.CPUMicros.Median, 1e6/p.CPUMicros.Median)
		head = ""
	}
}

// A column is one figure in a table of results.
type column struct {
	title    string
	decimals int
	of       func(*PeerResult) Spread
	ratio    func(*Ratio) Spread
}

func columns(unit string) []column {
	if unit == "" {
		unit = "request"
	}
	return []column{
		{"CPU a " + unit + ", µs", 1, func(p *PeerResult) Spread { return p.CPUMicros }, func(r *Ratio) Spread { return r.CPU }},
		{"requests/s", 0, func(p *PeerResult) Spread { return p.PerSecond }, func(r *Ratio) Spread { return r.PerSecond }},
		{"p50, µs", 0, func(p *PeerResult) Spread { return p.P50Micros }, func(r *Ratio) Spread { return r.P50 }},
		{"p99, µs", 0, func(p *PeerResult) Spread { return p.P99Micros }, func(r *Ratio) Spread { return r.P99 }},
		{"p99.9, µs", 0, func(p *PeerResult) Spread { return p.P999Micros }, func(r *Ratio) Spread { return r.P999 }},
		{"memory, MiB", 1, func(p *PeerResult) Spread { return p.ResidentMB }, func(r *Ratio) Spread { return r.Resident }},
	}
}

// measured returns the columns that the workload has figures for.
func (w *WorkloadResult) measured() (found []column) {
	for _, c := range columns(w.Unit) {
		for i := range w.Peers {
			if c.of(&w.Peers[i]).Max > 0 {
				found = append(found, c)
				break
			}
		}
	}
	return found
}

func (r *Report) workloadMarkdown(w *WorkloadResult, b *bytes.Buffer) {
	fmt.Fprintf(b, "\n## %s\n\n%s", w.Name, w.About)
	if w.Name == constantRate().Name {
		fmt.Fprintf(b, "; %.0f a second", r.Rate)
	}
	if w.Failed != "" {
		fmt.Fprintf(b, ".\n\n**Failed**: %s\n", w.Failed)
		return
	}
	rounds := 0
	for _, p := range w.Peers {
		rounds = max(rounds, len(p.Rounds))
	}
	fmt.Fprintf(b, "; %d rounds. Medians, with the least and the most in brackets.\n\n", rounds)
	shown := w.measured()
	logged := false
	for _, p := range w.Peers {
		logged = logged || p.LogWanted > 0
	}
	b.WriteString("| |")
	for _, c := range shown {
		fmt.Fprintf(b, " %s |", c.title)
	}
	if logged {
		b.WriteString(" logged |")
	}
	b.WriteString("\n|---|" + strings.Repeat("---|", len(shown)))
	if logged {
		b.WriteString("---|")
	}
	b.WriteString("\n")
	for i := range w.Peers {
		p := &w.Peers[i]
		if p.Failed != "" {
			first := shortened(p.Failed)
			fmt.Fprintf(b, "| %s | **failed**: %s |\n", p.Name, strings.ReplaceAll(first, "|", "/"))
			continue
		}
		fmt.Fprintf(b, "| %s |", p.Name)
		for _, c := range shown {
			fmt.Fprintf(b, " %s |", c.of(p).text(c.decimals))
		}
		if p.LogWanted > 0 {
			fmt.Fprintf(b, " %.2f %% |", 100*min(1, float64(p.LogLines)/float64(p.LogWanted)))
		}
		b.WriteString("\n")
	}
	for i := range w.Ratios {
		ratio := &w.Ratios[i]
		fmt.Fprintf(b, "| **%s : %s** |", ratio.Name, ratio.To)
		for _, c := range shown {
			fmt.Fprintf(b, " %s |", c.ratio(ratio).text(2))
		}
		b.WriteString("\n")
	}
	w.partsMarkdown(b)
}

// partsMarkdown renders how a whole system's processor time is made up, where that was measured.
func (w *WorkloadResult) partsMarkdown(b *bytes.Buffer) {
	parts := []string{}
	for _, p := range w.Peers {
		for _, r := range p.Rounds {
			for part := range r.PartMicros {
				if !slices.Contains(parts, part) {
					parts = append(parts, part)
				}
			}
		}
	}
	if len(parts) == 0 {
		return
	}
	slices.Sort(parts)
	fmt.Fprintf(b, "\n| processor time, µs | %s |\n|---|%s\n", strings.Join(parts, " | "), strings.Repeat("---|", len(parts)))
	for _, p := range w.Peers {
		fmt.Fprintf(b, "| %s |", p.Name)
		for _, part := range parts {
			fmt.Fprintf(b, " %s |", over(p.Rounds, func(r Round) float64 { return r.PartMicros[part] }).text(1))
		}
		b.WriteString("\n")
	}
}

// growthMarkdown renders how a request's cost grows with what there is to look after.
func (r *Report) growthMarkdown(b *bytes.Buffer) {
	b.WriteString("\n## How cost grows\n\nProcessor time of Rehydra for a GET of 1 KiB, median of the rounds, and its ratio to the first row of its kind.\n\n")
	b.WriteString("| | how many | CPU a request, µs | to the first | p99, µs | memory, MiB |\n|---|---|---|---|---|---|\n")
	for i := range r.Workloads {
		w := &r.Workloads[i]
		kind, ok := strings.CutPrefix(w.Name, "growth-")
		if !ok {
			continue
		}
		if w.Failed != "" {
			fmt.Fprintf(b, "| %s | | **failed**: %s |\n", kind, w.Failed)
		}
		for _, p := range w.Peers {
			if len(p.Rounds) == 0 {
				fmt.Fprintf(b, "| %s | %s | **failed** |\n", kind, p.Name)
				continue
			}
			ratio := "1"
			if x := r.ratio(w.Name, p.Name, w.Peers[0].Name); x != nil {
				ratio = x.CPU.text(2)
			}
			fmt.Fprintf(b, "| %s | %s | %s | %s | %s | %s |\n", kind, p.Name, p.CPUMicros.text(1), ratio, p.P99Micros.text(0), p.ResidentMB.text(1))
		}
	}
}

// text renders the spread with that many decimals. One round has no spread.
func (s Spread) text(decimals int) string {
	if s.Min == s.Max {
		return fmt.Sprintf("%.*f", decimals, s.Median)
	}
	return fmt.Sprintf("%.*f (%.*f–%.*f)", decimals, s.Median, decimals, s.Min, decimals, s.Max)
}
