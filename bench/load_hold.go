package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// holders is how many open connections at the same time.
const holders = 32

// hold opens connections step by step, uses each for one request, and calls atStep when as many are open as a step wants.
func hold(ctx context.Context, spec LoadSpec, atStep func(n int) error) (err error) {
	g := &generator{spec: &spec, begin: time.Now()}
	spec.Connections, spec.Workers = spec.Hold[len(spec.Hold)-1], 0
	if err := g.prepare(); err != nil {
		return err
	}
	defer func() {
		for _, w := range g.workers {
			w.close()
		}
	}()
	done := 0
	for _, n := range spec.Hold {
		if n < done {
			return fmt.Errorf("cannot hold %d connections after %d: wanted ascending numbers", n, done)
		}
		if err := openAll(ctx, g.workers[done:n]); err != nil {
			return fmt.Errorf("cannot hold %d connections: %w", n, err)
		}
		done = n
		if err := atStep(n); err != nil {
			return err
		}
	}
	return nil
}

// openAll lets each worker make its first request.
func openAll(ctx context.Context, workers []*worker) error {
	var running sync.WaitGroup
	failures := make([]error, holders)
	for i := range holders {
		running.Go(func() {
			for at := i; at < len(workers) && failures[i] == nil; at += holders {
				failures[i] = workers[at].ask(ctx)
			}
		})
	}
	running.Wait()
	return errors.Join(failures...)
}
