package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
)

// A Report is everything that one run found. Times in its JSON are nanoseconds unless the name says otherwise.
type Report struct {
	Began     time.Time
	Took      time.Duration
	Machine   Machine
	RoundTime time.Duration
	WarmTime  time.Duration
	Rate      float64 // requests a second of the constant rate; 0: none was measured
	Peers     []PeerInfo
	Workloads []WorkloadResult
}

// A PeerInfo is a peer and what it says of itself.
type PeerInfo struct{ Name, Version string }

// A Machine is what the figures depend on most.
type Machine struct {
	CPU    string
	Cores  int
	Kernel string
	Go     string
}

// A Round is what one peer did within the measured time of one round. What a workload does not measure is 0.
type Round struct {
	Requests   int
	Late       int // at a constant rate: due, and not even sent two seconds later
	PerSecond  float64
	CPUMicros  float64 // processor time of the proxy's process tree, a request
	UserMicros float64 // of these, outside the kernel
	P50Micros  float64
	P99Micros  float64
	P999Micros float64
	Resident   int64 // bytes in memory at the end
	// PartMicros is of a whole system: how much of CPUMicros each part of it takes.
	PartMicros map[string]float64 `json:",omitempty"`
}

// newRound computes a round's figures from what the load generator and the kernel counted.
func newRound(load LoadResult, before, after Usage) Round {
	requests := float64(load.Requests)
	var parts map[string]float64
	for part, used := range after.Parts {
		if parts == nil {
			parts = make(map[string]float64)
		}
		parts[part] = micros(used-before.Parts[part]) / requests
	}
	return Round{
		PartMicros: parts,
		Requests:   load.Requests,
		Late:       load.Late,
		PerSecond:  requests / load.Elapsed.Seconds(),
		CPUMicros:  micros(after.CPU()-before.CPU()) / requests,
		UserMicros: micros(after.User-before.User) / requests,
		P50Micros:  micros(load.P50),
		P99Micros:  micros(load.P99),
		P999Micros: micros(load.P999),
		Resident:   after.Resident,
	}
}

func micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

// String is the line that is shown while a run goes on.
func (r Round) String() string {
	line := fmt.Sprintf("%7.0f requests/s  cpu %6.1f µs (user %5.1f)  p50 %6.0f  p99 %7.0f  p99.9 %7.0f µs  %5.1f MiB",
		r.PerSecond, r.CPUMicros, r.UserMicros, r.P50Micros, r.P99Micros, r.P999Micros, mebibytes(r.Resident))
	for _, part := range slices.Sorted(maps.Keys(r.PartMicros)) {
		line += fmt.Sprintf("  %s %.1f", part, r.PartMicros[part])
	}
	return line
}

func mebibytes(n int64) float64 { return float64(n) / (1 << 20) }

// A WorkloadResult is one workload over all peers.
type WorkloadResult struct {
	Name, About string
	Unit        string `json:",omitempty"` // what processor time is given for
	Peers       []PeerResult
	Ratios      []Ratio
	Failed      string `json:",omitempty"` // why there is nothing
}

// A PeerResult is one peer in one workload.
type PeerResult struct {
	Name       string
	Failed     string `json:",omitempty"` // why there are no more rounds
	Rounds     []Round
	LogLines   int64 // of access log
	LogWanted  int64 // requests answered, those of warming up included
	CPUMicros  Spread
	PerSecond  Spread
	P50Micros  Spread
	P99Micros  Spread
	P999Micros Spread
	ResidentMB Spread // MiB
}

// A Ratio compares two peers round by round: each spread is over the ratios of neighbouring rounds.
type Ratio struct {
	Name, To                                 string
	CPU, PerSecond, P50, P99, P999, Resident Spread
}

// summariseJob computes the medians and ratios, after the last log lines have come.
func summariseJob(ctx context.Context, j *job, contenders []*contender) (*WorkloadResult, error) {
	result := &WorkloadResult{Name: j.name, About: j.about, Unit: j.entries[0].workload.Unit}
	rounds := make(map[string][]Round)
	for _, c := range contenders {
		if c.failed == nil {
			if err := c.settleLog(ctx); err != nil {
				return nil, err
			}
		}
		rounds[c.name] = c.rounds
		p := PeerResult{
			Name: c.name, Rounds: c.rounds, LogLines: c.logged, LogWanted: c.requests,
			CPUMicros:  over(c.rounds, cpuOf),
			PerSecond:  over(c.rounds, perSecondOf),
			P50Micros:  over(c.rounds, p50Of),
			P99Micros:  over(c.rounds, p99Of),
			P999Micros: over(c.rounds, p999Of),
			ResidentMB: over(c.rounds, func(r Round) float64 { return mebibytes(r.Resident) }),
		}
		if c.failed != nil {
			p.Failed = c.failed.Error()
		}
		result.Peers = append(result.Peers, p)
	}
	for _, pair := range j.pairs() {
		if a, b := rounds[pair[0]], rounds[pair[1]]; len(a) > 0 && len(b) > 0 {
			result.Ratios = append(result.Ratios, compare(pair[0], a, pair[1], b))
		}
	}
	return result, nil
}

// What of a round is compared.
func cpuOf(r Round) float64       { return r.CPUMicros }
func perSecondOf(r Round) float64 { return r.PerSecond }
func p50Of(r Round) float64       { return r.P50Micros }
func p99Of(r Round) float64       { return r.P99Micros }
func p999Of(r Round) float64      { return r.P999Micros }
func residentOf(r Round) float64  { return float64(r.Resident) }

func over(rounds []Round, figure func(Round) float64) Spread {
	values := make([]float64, 0, len(rounds))
	for _, r := range rounds {
		values = append(values, figure(r))
	}
	return spread(values)
}

// compare divides pair by pair: round i of the one by round i of the other, as far as both have come.
func compare(name string, rounds []Round, to string, base []Round) Ratio {
	pairs := func(figure func(Round) float64) Spread {
		var values []float64
		for i := range min(len(rounds), len(base)) {
			if below := figure(base[i]); below > 0 {
				values = append(values, figure(rounds[i])/below)
			}
		}
		return spread(values)
	}
	return Ratio{
		Name: name, To: to, CPU: pairs(cpuOf), PerSecond: pairs(perSecondOf),
		P50: pairs(p50Of), P99: pairs(p99Of), P999: pairs(p999Of), Resident: pairs(residentOf),
	}
}

// addPeer remembers what a peer says of itself.
func (r *Report) addPeer(name, version string) {
	info := PeerInfo{Name: name, Version: version}
	if !slices.Contains(r.Peers, info) {
		r.Peers = append(r.Peers, info)
	}
}

// workload returns the result of a workload, nil where there is none.
func (r *Report) workload(name string) *WorkloadResult {
	for i := range r.Workloads {
		if r.Workloads[i].Name == name {
			return &r.Workloads[i]
		}
	}
	return nil
}

// peer returns a peer's result in a workload, nil where there is none.
func (r *Report) peer(workload, name string) *PeerResult {
	w := r.workload(workload)
	if w == nil {
		return nil
	}
	for i := range w.Peers {
		if p := &w.Peers[i]; p.Name == name && len(p.Rounds) > 0 {
			return p
		}
	}
	return nil
}

// ratio returns how a peer compares with another in a workload, nil where that was not measured.
func (r *Report) ratio(workload, name, to string) *Ratio {
	w := r.workload(workload)
	if w == nil {
		return nil
	}
	for i := range w.Ratios {
		if x := &w.Ratios[i]; x.Name == name && x.To == to {
			return x
		}
	}
	return nil
}

// failures names what did not come to its end.
func (r *Report) failures() error {
	var failed []error
	for _, w := range r.Workloads {
		if w.Failed != "" {
			failed = append(failed, fmt.Errorf("%s failed", w.Name))
		}
		for _, p := range w.Peers {
			if p.Failed != "" {
				first := shortened(p.Failed)
				failed = append(failed, fmt.Errorf("%s: %s failed: %s", w.Name, p.Name, first))
			}
		}
	}
	return errors.Join(failed...)
}

// shortened returns the lines of an error on one, as far as they go.
func shortened(text string) string {
	text = strings.Join(strings.FieldsFunc(text, func(r rune) bool { return r == '\n' }), "; ")
	return text[:min(len(text), 300)]
}

// write puts the report as NAME.json, NAME.md and the charts NAME-*.svg into dir.
func (r *Report) write(dir, name string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("cannot make a folder for the results: %w", err)
	}
	figures, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("cannot render the results: %w", err)
	}
	files := map[string][]byte{name + ".json": append(figures, '\n')}
	for _, c := range charts() {
		drawn, err := c.draw(r)
		if err != nil {
			return err
		}
		if drawn != nil {
			files[name+"-"+c.name+".svg"] = drawn
		}
	}
	files[name+".md"] = r.markdown()
	for file, text := range files {
		path := filepath.Join(dir, file)
		if err := os.WriteFile(path, text, 0o644); err != nil {
			return fmt.Errorf("cannot write %q: %w", path, err)
		}
	}
	return nil
}

// describeMachine reads what the kernel says; what it does not say stays "unknown".
func describeMachine() Machine {
	m := Machine{CPU: "unknown CPU", Cores: runtime.NumCPU(), Kernel: "unknown", Go: runtime.Version()}
	if text, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		m.Kernel = strings.TrimSpace(string(text))
	}
	text, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return m
	}
	for line := range strings.Lines(string(text)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			m.CPU = strings.TrimSpace(value)
			break
		}
	}
	return m
}
