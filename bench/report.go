package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

// A Report is everything that one run found. Times in its JSON are nanoseconds unless the name says otherwise.
type Report struct {
	Began     time.Time
	Machine   Machine
	RoundTime time.Duration
	WarmTime  time.Duration
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

// A Round is what one peer did within the measured time of one round.
type Round struct {
	Requests   int
	PerSecond  float64
	CPUMicros  float64 // processor time of the proxy's process tree, a request
	UserMicros float64 // of these, outside the kernel
	P50Micros  float64
	P99Micros  float64
	Resident   int64 // bytes in memory at the end
}

// newRound computes a round's figures from what the load generator and the kernel counted.
func newRound(load LoadResult, before, after Usage) Round {
	requests := float64(load.Requests)
	return Round{
		Requests:   load.Requests,
		PerSecond:  requests / load.Elapsed.Seconds(),
		CPUMicros:  micros(after.CPU()-before.CPU()) / requests,
		UserMicros: micros(after.User-before.User) / requests,
		P50Micros:  micros(load.P50),
		P99Micros:  micros(load.P99),
		Resident:   after.Resident,
	}
}

func micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

// String is the line that is shown while a run goes on.
func (r Round) String() string {
	return fmt.Sprintf("%7.0f requests/s  cpu %5.1f µs (user %4.1f)  p50 %5.0f µs  p99 %6.0f µs  %5.1f MiB",
		r.PerSecond, r.CPUMicros, r.UserMicros, r.P50Micros, r.P99Micros, mebibytes(r.Resident))
}

func mebibytes(n int64) float64 { return float64(n) / (1 << 20) }

// A WorkloadResult is one workload over all peers.
type WorkloadResult struct {
	Name, About string
	Peers       []PeerResult
	Ratios      []Ratio // of each peer but the first to the first
}

// A PeerResult is one peer in one workload.
type PeerResult struct {
	Name       string
	Rounds     []Round
	LogLines   int64 // of access log
	LogWanted  int64 // requests answered, those of warming up included
	CPUMicros  Spread
	PerSecond  Spread
	P50Micros  Spread
	P99Micros  Spread
	ResidentMB Spread // MiB
}

// A Ratio compares a peer with the first one, round by round: each spread is over the ratios of neighbouring rounds.
type Ratio struct {
	Name, To                           string
	CPU, PerSecond, P50, P99, Resident Spread
}

// summariseWorkload computes the medians and ratios, after the last log lines have come.
func summariseWorkload(ctx context.Context, w Workload, contenders []*contender) (*WorkloadResult, error) {
	result := &WorkloadResult{Name: w.Name, About: w.About}
	for _, c := range contenders {
		if err := c.settleLog(ctx); err != nil {
			return nil, err
		}
		result.Peers = append(result.Peers, PeerResult{
			Name: c.peer.Name(), Rounds: c.rounds, LogLines: c.logged, LogWanted: c.requests,
			CPUMicros:  over(c.rounds, func(r Round) float64 { return r.CPUMicros }),
			PerSecond:  over(c.rounds, func(r Round) float64 { return r.PerSecond }),
			P50Micros:  over(c.rounds, func(r Round) float64 { return r.P50Micros }),
			P99Micros:  over(c.rounds, func(r Round) float64 { return r.P99Micros }),
			ResidentMB: over(c.rounds, func(r Round) float64 { return mebibytes(r.Resident) }),
		})
	}
	for _, c := range contenders[1:] {
		result.Ratios = append(result.Ratios, compare(c.peer.Name(), c.rounds, contenders[0].peer.Name(), contenders[0].rounds))
	}
	return result, nil
}

func over(rounds []Round, figure func(Round) float64) Spread {
	values := make([]float64, 0, len(rounds))
	for _, r := range rounds {
		values = append(values, figure(r))
	}
	return spread(values)
}

// compare divides pair by pair: round i of the one by round i of the other.
func compare(name string, rounds []Round, to string, base []Round) Ratio {
	pairs := func(figure func(Round) float64) Spread {
		values := make([]float64, 0, len(rounds))
		for i := range rounds {
			if below := figure(base[i]); below > 0 {
				values = append(values, figure(rounds[i])/below)
			}
		}
		return spread(values)
	}
	return Ratio{
		Name: name, To: to,
		CPU:       pairs(func(r Round) float64 { return r.CPUMicros }),
		PerSecond: pairs(func(r Round) float64 { return r.PerSecond }),
		P50:       pairs(func(r Round) float64 { return r.P50Micros }),
		P99:       pairs(func(r Round) float64 { return r.P99Micros }),
		Resident:  pairs(func(r Round) float64 { return float64(r.Resident) }),
	}
}

// write puts the report as NAME.json and NAME.md into dir, and the latter on out as well.
func (r *Report) write(dir, name string, out io.Writer) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("cannot make a folder for the results: %w", err)
	}
	figures, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("cannot render the results: %w", err)
	}
	table := r.markdown()
	for file, text := range map[string][]byte{name + ".json": append(figures, '\n'), name + ".md": table} {
		path := filepath.Join(dir, file)
		if err := os.WriteFile(path, text, 0o644); err != nil {
			return fmt.Errorf("cannot write %q: %w", path, err)
		}
	}
	if _, err := out.Write(append([]byte("\n"), table...)); err != nil {
		return fmt.Errorf("cannot print the results: %w", err)
	}
	return nil
}

func (r *Report) markdown() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "# Side by side\n\nMeasured %s on %s, %d cores, Linux %s, %s; rounds of %v after %v of warming up.\n\n",
		r.Began.Format("2006-01-02 15:04 MST"), r.Machine.CPU, r.Machine.Cores, r.Machine.Kernel, r.Machine.Go, r.RoundTime, r.WarmTime)
	for _, p := range r.Peers {
		fmt.Fprintf(&b, "- %s: %s\n", p.Name, p.Version)
	}
	for _, w := range r.Workloads {
		w.markdown(&b)
	}
	return b.Bytes()
}

func (w *WorkloadResult) markdown(b *bytes.Buffer) {
	fmt.Fprintf(b, "\n## %s\n\n%s; %d rounds. Medians, with the least and the most in brackets.\n\n", w.Name, w.About, len(w.Peers[0].Rounds))
	b.WriteString("| | CPU a request, µs | requests/s | p50, µs | p99, µs | memory, MiB | logged |\n|---|---|---|---|---|---|---|\n")
	for _, p := range w.Peers {
		fmt.Fprintf(b, "| %s | %s | %s | %s | %s | %s | %.2f %% |\n", p.Name, p.CPUMicros.text(1), p.PerSecond.text(0),
			p.P50Micros.text(0), p.P99Micros.text(0), p.ResidentMB.text(1), 100*min(1, float64(p.LogLines)/float64(p.LogWanted)))
	}
	for _, ratio := range w.Ratios {
		fmt.Fprintf(b, "| **%s : %s** | %s | %s | %s | %s | %s | |\n", ratio.Name, ratio.To, ratio.CPU.text(2),
			ratio.PerSecond.text(2), ratio.P50.text(2), ratio.P99.text(2), ratio.Resident.text(2))
	}
}

// text renders the spread with that many decimals.
func (s Spread) text(decimals int) string {
	return fmt.Sprintf("%.*f (%.*f–%.*f)", decimals, s.Median, decimals, s.Min, decimals, s.Max)
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
