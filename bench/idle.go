package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

// holdTime bounds how long a contender's memory may take to be measured at one number of connections.
const holdTime = 30 * time.Second

// measureIdle measures one contender after the other: memory does not depend on what else the machine does. Each number of connections is
// a result of its own.
func (p *plan) measureIdle(ctx context.Context, s *site, j *job, contenders []*contender, out io.Writer) ([]WorkloadResult, error) {
	steps := j.entries[0].workload.Hold
	memory := make(map[*contender][]int64)
	for _, c := range contenders {
		if c.failed == nil {
			memory[c], c.failed = c.holdConnections(ctx, s)
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if c.failed != nil {
			fmt.Fprintf(out, "  %-15s failed: %v\n", c.name, c.failed)
			continue
		}
		fmt.Fprintf(out, "  %-15s", c.name)
		for i, n := range memory[c] {
			fmt.Fprintf(out, "  %d: %.1f MiB", steps[i], mebibytes(n))
		}
		fmt.Fprintln(out)
	}
	var results []WorkloadResult
	for i, n := range steps {
		step := *j
		step.name = fmt.Sprintf("%s-%d", j.name, n)
		step.about = strings.Replace(j.about, "so many", strconv.Itoa(n), 1)
		for _, c := range contenders {
			c.rounds = nil
			if i < len(memory[c]) {
				c.rounds = []Round{{Resident: memory[c][i]}}
			}
		}
		result, err := summariseJob(ctx, &step, contenders)
		if err != nil {
			return nil, err
		}
		results = append(results, *result)
	}
	return results, nil
}

// holdConnections starts the contender, opens connections to it step by step and returns its memory at each step.
func (c *contender) holdConnections(ctx context.Context, s *site) (memory []int64, err error) {
	if err := c.start(ctx, s); err != nil {
		return nil, err
	}
	defer func() {
		c.running.stop()
		c.running = nil
	}()
	ctx, cancel := context.WithTimeout(ctx, time.Duration(len(c.workload.Hold))*holdTime)
	defer cancel()
	l, err := startLoad(ctx, s.self, c.spec(s, 0, 0))
	if err != nil {
		return nil, err
	}
	for err == nil && l.said.Scan() {
		if !strings.HasPrefix(l.said.Text(), loadHolds) {
			err = fmt.Errorf("the load generator said %q, wanted how many connections are open", l.said.Text())
			break
		}
		var n int64
		if n, err = settledMemory(ctx, c.running.Process.pid()); err != nil {
			break
		}
		memory = append(memory, n)
		err = l.goOn()
	}
	if err = errors.Join(err, l.wait()); err != nil {
		return nil, fmt.Errorf("%w\n%s", err, c.tail())
	}
	if len(memory) != len(c.workload.Hold) {
		return nil, fmt.Errorf("memory at %d numbers of connections, wanted %d", len(memory), len(c.workload.Hold))
	}
	return memory, nil
}

// settledMemory returns the memory of a process tree when it has come to rest, or after five seconds: what the last requests needed may
// be given back a little later.
func settledMemory(ctx context.Context, pid int) (int64, error) {
	last, err := treeMemory(pid)
	for range 5 {
		if err != nil {
			return 0, err
		}
		pause(ctx, time.Second)
		var now int64
		now, err = treeMemory(pid)
		if err == nil && now > last-last/200 && now < last+last/200 {
			return now, ctx.Err()
		}
		last = now
	}
	return last, errors.Join(err, ctx.Err())
}
