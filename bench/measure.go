package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// routes name the backends of every workload.
var routes = [...]string{"node1", "node2"}

// A contender is a peer at work in one workload, with what was measured of it.
type contender struct {
	peer     Peer
	running  *Running
	rounds   []Round
	requests int64 // all that were answered, those of warming up included
	logged   int64 // lines of access log
}

// measure runs every workload over every peer and says on out how it goes.
func (p *plan) measure(ctx context.Context, out io.Writer) (*Report, error) {
	report := &Report{Machine: describeMachine(), Began: time.Now().UTC(), RoundTime: p.round, WarmTime: p.warm}
	for _, peer := range p.peers {
		version, err := peer.Version(ctx)
		if err != nil {
			return nil, err
		}
		report.Peers = append(report.Peers, PeerInfo{Name: peer.Name(), Version: version})
	}
	for _, w := range p.workloads {
		result, err := p.measureWorkload(ctx, w, out)
		if err != nil {
			return nil, fmt.Errorf("workload %s: %w", w.Name, err)
		}
		report.Workloads = append(report.Workloads, *result)
	}
	return report, nil
}

func (p *plan) measureWorkload(ctx context.Context, w Workload, out io.Writer) (_ *WorkloadResult, err error) {
	dir, err := os.MkdirTemp("", "rehydra-bench-")
	if err != nil {
		return nil, fmt.Errorf("cannot make a folder: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("cannot find this program: %w", err)
	}
	var backends []Backend
	for _, route := range routes {
		proc, address, err := startHelper(ctx, dir, route, self, "backend", "-route", route, "-body", fmt.Sprint(w.Body), "-session", w.Session)
		if err != nil {
			return nil, err
		}
		defer proc.stop()
		backends = append(backends, Backend{Route: route, Address: address})
	}
	var contenders []*contender
	defer func() {
		for _, c := range contenders {
			c.running.Process.stop()
		}
	}()
	for i, peer := range p.peers {
		c, err := startContender(ctx, peer, filepath.Join(dir, fmt.Sprint(i)), backends)
		if err != nil {
			return nil, err
		}
		contenders = append(contenders, c)
	}
	fmt.Fprintf(out, "%s: %s\n", w.Name, w.About)
	for round := range p.rounds {
		for turn := range contenders {
			if round%2 == 1 { // each second time the other way round: neither always follows the other
				turn = len(contenders) - 1 - turn
			}
			if err := p.measureRound(ctx, self, w, contenders[turn]); err != nil {
				return nil, fmt.Errorf("%s, round %d: %w", contenders[turn].peer.Name(), round+1, err)
			}
			fmt.Fprintf(out, "  %2d %-8s %s\n", round+1, contenders[turn].peer.Name(), contenders[turn].rounds[round])
		}
	}
	return summariseWorkload(ctx, w, contenders)
}

// startContender starts a peer in a folder of its own.
func startContender(ctx context.Context, peer Peer, dir string, backends []Backend) (*contender, error) {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, fmt.Errorf("cannot make a folder: %w", err)
	}
	running, err := peer.Start(ctx, Setting{Dir: dir, Backends: backends})
	if err != nil {
		return nil, err
	}
	return &contender{peer: peer, running: running}, nil
}

// startHelper starts one of this program's subcommands and returns the address that it says it listens on.
func startHelper(ctx context.Context, dir, name, self string, args ...string) (*process, string, error) {
	proc, err := startProcess(ctx, dir, name, self, args...)
	if err != nil {
		return nil, "", err
	}
	var address string
	err = proc.waitFor(ctx, "said where it listens", func() bool {
		text, readErr := os.ReadFile(proc.logs)
		line, _, whole := strings.Cut(string(text), "\n")
		address = strings.TrimPrefix(line, "listening ")
		return readErr == nil && whole && address != line
	})
	if err != nil {
		proc.stop()
		return nil, "", err
	}
	return proc, address, nil
}

// measureRound lets a load generator loose on a contender and reads what its processes used between the edges of the measured time.
func (p *plan) measureRound(ctx context.Context, self string, w Workload, c *contender) error {
	spec, err := json.Marshal(LoadSpec{
		Address: c.running.Address, Routes: routes[:], Connections: w.Connections,
		Head: w.Head, Body: w.Body, Warm: p.warm, Time: p.round,
	})
	if err != nil {
		return fmt.Errorf("cannot say what load is wanted: %w", err)
	}
	var complaints bytes.Buffer
	load := exec.CommandContext(ctx, self, "load")
	load.Stdin, load.Stderr = bytes.NewReader(spec), &complaints
	said, err := load.StdoutPipe()
	if err != nil {
		return fmt.Errorf("cannot listen to the load generator: %w", err)
	}
	if err := load.Start(); err != nil {
		return fmt.Errorf("cannot start the load generator: %w", err)
	}
	var before, after Usage
	var result LoadResult
	scanner := bufio.NewScanner(said)
	for scanner.Scan() && err == nil {
		switch line := scanner.Bytes(); string(line) {
		case loadStarts:
			before, err = treeUsage(c.running.Process.cmd.Process.Pid)
		case loadEnds:
			after, err = treeUsage(c.running.Process.cmd.Process.Pid)
		default:
			err = json.Unmarshal(line, &result)
		}
	}
	if err = errors.Join(err, scanner.Err(), load.Wait()); err != nil {
		return fmt.Errorf("load: %w\n%s%s", err, &complaints, c.running.Process.tail())
	}
	if !c.running.Process.alive() {
		return fmt.Errorf("the proxy: %w\n%s", errEnded, c.running.Process.tail())
	}
	if result.Requests == 0 {
		return errors.New("no request was answered within the measured time")
	}
	c.rounds = append(c.rounds, newRound(result, before, after))
	c.requests += int64(result.Requests + result.Warm)
	return c.takeLog()
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
	for deadline := time.Now().Add(2 * time.Second); c.logged < c.requests && time.Now().Before(deadline); {
		pause(ctx, 100*time.Millisecond)
		if err := c.takeLog(); err != nil {
			return err
		}
	}
	return ctx.Err()
}
