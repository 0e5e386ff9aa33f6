package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"time"
)

// spec is what the load generator has to do to the contender.
func (c *contender) spec(s *site, warm, length time.Duration) LoadSpec {
	w := &c.workload
	spec := LoadSpec{
		Address: c.running.Address, Connections: w.Connections, Workers: w.Workers, Sessions: w.Sessions,
		Head: w.Head, Body: w.Body, Follow: w.Tomcat, Fresh: w.Fresh, Rate: w.Rate, Hold: w.Hold, Warm: warm, Time: length,
	}
	if len(c.rounds) == 0 || w.Rehearsals > 0 {
		spec.WarmUp = w.WarmUp
	}
	for _, b := range c.backends {
		spec.Routes = append(spec.Routes, b.Route)
	}
	if len(spec.Routes) == 0 {
		spec.Routes = []string{""} // the peer has its own backends
	}
	if w.TLS {
		spec.CA = s.cert.PEM
	}
	return spec
}

// A loader is a load generator at work.
type loader struct {
	cmd        *exec.Cmd
	said       *bufio.Scanner
	tell       io.WriteCloser
	complaints bytes.Buffer
}

// startLoad starts a load generator that ends with ctx.
func startLoad(ctx context.Context, self string, spec LoadSpec) (*loader, error) {
	text, err := json.Marshal(spec)
	if err != nil {
		return nil, fmt.Errorf("cannot say what load is wanted: %w", err)
	}
	l := &loader{cmd: exec.CommandContext(ctx, self, "load")}
	l.cmd.Stderr = &l.complaints
	out, err := l.cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("cannot listen to the load generator: %w", err)
	}
	if l.tell, err = l.cmd.StdinPipe(); err != nil {
		return nil, fmt.Errorf("cannot talk to the load generator: %w", err)
	}
	l.said = bufio.NewScanner(out)
	if err := l.cmd.Start(); err != nil {
		return nil, fmt.Errorf("cannot start the load generator: %w", err)
	}
	if _, err := l.tell.Write(append(text, '\n')); err != nil {
		return nil, errors.Join(fmt.Errorf("cannot talk to the load generator: %w", err), l.wait())
	}
	return l, nil
}

// goOn tells a load generator that waits to go on.
func (l *loader) goOn() error {
	_, err := io.WriteString(l.tell, "go on\n")
	return err
}

// wait waits for the load generator's end and adds what it complained of to its error.
func (l *loader) wait() error {
	l.tell.Close()
	if err := errors.Join(l.said.Err(), l.cmd.Wait()); err != nil {
		return fmt.Errorf("load: %w\n%s", err, strings.TrimSpace(l.complaints.String()))
	}
	return nil
}

// grace is how much longer than its load a round may take.
const grace = 20 * time.Second

// measureRound lets a load generator loose on a contender and keeps what came of it.
func (c *contender) measureRound(ctx context.Context, s *site, warm, length time.Duration) error {
	if len(c.rounds) == 0 {
		for range c.workload.Rehearsals {
			if _, err := c.load(ctx, s, c.spec(s, 0, time.Millisecond)); err != nil {
				return fmt.Errorf("rehearsal: %w", err)
			}
		}
	}
	round, err := c.load(ctx, s, c.spec(s, warm, length))
	if err != nil {
		return err
	}
	if round.Requests == 0 {
		return errors.New("no request was answered within the measured time")
	}
	c.rounds = append(c.rounds, round)
	return nil
}

// load does what spec says and reads what the contender's processes used between the edges of the measured time.
func (c *contender) load(ctx context.Context, s *site, spec LoadSpec) (Round, error) {
	limit := spec.Warm + spec.Time + grace
	if spec.WarmUp > 0 {
		limit += mostWarm
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	l, err := startLoad(ctx, s.self, spec)
	if err != nil {
		return Round{}, err
	}
	var before, after Usage
	var result LoadResult
	for err == nil && l.said.Scan() {
		switch line := l.said.Bytes(); string(line) {
		case loadStarts:
			before, err = c.running.usage()
			err = errors.Join(err, l.goOn())
		case loadEnds:
			after, err = c.running.usage()
			err = errors.Join(err, l.goOn())
		default:
			err = json.Unmarshal(line, &result)
		}
	}
	if err = errors.Join(err, l.wait()); err != nil {
		return Round{}, fmt.Errorf("%w\n%s", err, c.tail())
	}
	if !c.running.Process.alive() {
		return Round{}, fmt.Errorf("the proxy: %w\n%s", errEnded, c.running.Process.tail())
	}
	c.requests += int64(result.Requests + result.Warm)
	return newRound(result, before, after), c.takeLog()
}
