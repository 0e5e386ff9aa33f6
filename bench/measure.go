package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"time"
)

// A contender is a peer at work, with what was measured of it.
type contender struct {
	entry
	backends []Backend
	running  *Running
	rounds   []Round
	requests int64 // all that were answered, those of warming up included
	logged   int64 // lines of access log
	failed   error // it is out
}

// A site is where one job takes place: a folder, and what stands behind the proxies.
type site struct {
	dir      string
	self     string // this program
	stops    []func()
	backends map[backendSpec][]Backend
	cert     *Certificate
}

func (s *site) close() error {
	for _, stop := range s.stops {
		stop()
	}
	return os.RemoveAll(s.dir)
}

// measure runs every job, says on out how it goes, and writes the results after each: a run that is broken off has not been in vain.
func (p *plan) measure(ctx context.Context, out io.Writer) (*Report, error) {
	report := &Report{Machine: describeMachine(), Began: time.Now().UTC(), RoundTime: p.round, WarmTime: p.warm}
	for i := range p.jobs {
		j := &p.jobs[i]
		p.settleRate(j, report)
		fmt.Fprintf(out, "%s: %s\n", j.name, j.about)
		bounded, cancel := context.WithTimeout(ctx, j.duration(p))
		results, err := p.measureJob(bounded, j, report, out)
		cancel()
		if err != nil {
			if ctx.Err() != nil {
				return nil, err
			}
			fmt.Fprintf(out, "  %s failed: %v\n", j.name, err)
			results = []WorkloadResult{{Name: j.name, About: j.about, Failed: err.Error()}}
		}
		report.Workloads = append(report.Workloads, results...)
		report.Took = time.Since(report.Began).Round(time.Second)
		if err := report.write(p.out, p.name); err != nil {
			return nil, err
		}
	}
	return report, nil
}

// settleRate lowers a constant rate to what the machine bears.
func (p *plan) settleRate(j *job, report *Report) {
	if p.rate > 0 {
		return
	}
	slowest := math.Inf(1)
	for _, name := range []string{"haproxy", "nginx", "rehydra"} {
		if r := report.peer(keepAlive1K().Name, name); r != nil && r.PerSecond.Median > 0 {
			slowest = min(slowest, r.PerSecond.Median)
		}
	}
	for i := range j.entries {
		if w := &j.entries[i].workload; w.Rate > 0 {
			w.Rate = min(w.Rate, max(500, math.Floor(0.6*slowest/500)*500))
			report.Rate = w.Rate
		}
	}
}

func (p *plan) measureJob(ctx context.Context, j *job, report *Report, out io.Writer) (_ []WorkloadResult, err error) {
	s, err := newSite(j)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	var contenders []*contender
	for _, e := range j.entries {
		c := &contender{entry: e}
		contenders = append(contenders, c)
		version, err := e.peer.Version(ctx)
		if err != nil {
			c.failed = err
			continue
		}
		report.addPeer(e.peer.Name(), version)
		if c.backends, err = s.backendsFor(ctx, e.workload.backends(), e.peer); err != nil {
			return nil, err
		}
	}
	if len(j.entries[0].workload.Hold) > 0 {
		return p.measureIdle(ctx, s, j, contenders, out)
	}
	defer func() {
		for _, c := range contenders {
			if c.running != nil {
				c.running.stop()
			}
		}
	}()
	for _, c := range contenders {
		if c.failed == nil {
			c.failed = c.start(ctx, s)
		}
		if c.failed != nil {
			fmt.Fprintf(out, "  %s failed: %v\n", c.name, c.failed)
		}
	}
	p.measureRounds(ctx, s, j, contenders, out)
	result, err := summariseJob(ctx, j, contenders)
	if err != nil {
		return nil, err
	}
	return []WorkloadResult{*result}, ctx.Err()
}

// measureRounds lets the contenders work in turns. One that fails is out; the others go on.
func (p *plan) measureRounds(ctx context.Context, s *site, j *job, contenders []*contender, out io.Writer) {
	rounds := p.rounds
	if j.rounds > 0 {
		rounds = j.rounds
	}
	for round := range rounds {
		for turn := range contenders {
			if round%2 == 1 { // each second time the other way round: neither always follows the other
				turn = len(contenders) - 1 - turn
			}
			c := contenders[turn]
			if c.failed != nil || ctx.Err() != nil {
				continue
			}
			if err := c.measureRound(ctx, s, p.warm, cmp.Or(j.time, p.round)); err != nil {
				c.failed = fmt.Errorf("round %d: %w", round+1, err)
				fmt.Fprintf(out, "  %2d %-15s failed: %v\n", round+1, c.name, err)
				continue
			}
			fmt.Fprintf(out, "  %2d %-15s %s\n", round+1, c.name, c.rounds[round])
		}
	}
}

func newSite(j *job) (*site, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("cannot find this program: %w", err)
	}
	dir, err := os.MkdirTemp("", "rehydra-bench-")
	if err != nil {
		return nil, fmt.Errorf("cannot make a folder: %w", err)
	}
	s := &site{dir: dir, self: self, backends: make(map[backendSpec][]Backend)}
	// Some servers run as others, who must reach their folders in this one.
	if err := os.Chmod(dir, 0o755); err != nil {
		return nil, errors.Join(fmt.Errorf("cannot open %q to other users: %w", dir, err), s.close())
	}
	for _, e := range j.entries {
		if e.workload.TLS && s.cert == nil {
			if s.cert, err = newCertificate(dir); err != nil {
				return nil, errors.Join(err, s.close())
			}
		}
	}
	return s, nil
}

// start starts the contender's peer in a folder of its own.
func (c *contender) start(ctx context.Context, s *site) error {
	dir, err := os.MkdirTemp(s.dir, c.peer.Name()+"-")
	if err != nil {
		return fmt.Errorf("cannot make a folder: %w", err)
	}
	setting := Setting{Dir: dir, Backends: c.backends}
	if c.workload.TLS {
		setting.Certificate = s.cert
	}
	c.running, err = c.peer.Start(ctx, setting)
	return err
}

// takeLog counts the lines of access log that came since it last did, and empties the file: a long run need not fill the disk.
func (c *contender) takeLog() error {
	text, err := os.ReadFile(c.running.AccessLog)
	if err != nil {
		return fmt.Errorf("cannot read the access log: %w", err)
	}
	c.logged += int64(bytes.Count(text, []byte("\n")))
	if err := os.Truncate(c.running.AccessLog, 0); err != nil {
		return fmt.Errorf("cannot empty the access log: %w", err)
	}
	return nil
}

// settleLog waits until the log has a line for each request, but not for long: lines that were dropped never come.
func (c *contender) settleLog(ctx context.Context) error {
	if c.running == nil {
		return nil
	}
	for deadline := time.Now().Add(2 * time.Second); c.logged < c.requests && time.Now().Before(deadline); {
		pause(ctx, 100*time.Millisecond)
		if err := c.takeLog(); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// tail is what the peer last said of itself, for an error message.
func (c *contender) tail() string {
	text := c.running.Process.tail()
	if more, err := os.ReadFile(filepath.Join(filepath.Dir(c.running.AccessLog), "error.log")); err == nil && len(more) > 0 {
		text += "\n" + string(more[max(0, len(more)-500):])
	}
	return text
}
