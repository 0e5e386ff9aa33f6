package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// stopTime is how long a process may take after SIGTERM before it is killed.
const stopTime = 5 * time.Second

// startTime is how long it may take to do what is waited for.
const startTime = 2 * time.Minute

// A process is a program that this run started. It ends with the run, whatever happens: its parent's death kills it.
type process struct {
	name string
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended
	err  error         // how it ended; read after done
	logs string        // the file that its stdout and stderr go to
}

// startProcess starts a program with its output in the file dir/name.out.
func startProcess(ctx context.Context, dir, name, program string, args ...string) (*process, error) {
	p := &process{name: name, done: make(chan struct{}), logs: filepath.Join(dir, name+".out")}
	// Append: a log may be emptied while it is being written.
	output, err := os.OpenFile(p.logs, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("cannot keep the output of %q: %w", name, err)
	}
	defer output.Close()
	p.cmd = exec.CommandContext(ctx, program, args...)
	p.cmd.Stdout, p.cmd.Stderr = output, output
	p.cmd.Env = append(os.Environ(), "XDG_CONFIG_HOME="+dir, "XDG_DATA_HOME="+dir) // what a program keeps goes with the run
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("cannot start %q: %w", program, err)
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.done)
	}()
	return p, nil
}

// part returns what the process is in a whole system.
func (p *process) part() string {
	switch {
	case p.name == tomcatProcess:
		return "Tomcats"
	case strings.HasPrefix(p.name, memcachedProcess):
		return "memcacheds"
	}
	return "proxy"
}

// pid returns the process id.
func (p *process) pid() int { return p.cmd.Process.Pid }

// waitFor asks ready every few milliseconds until it says yes, the process has ended or the time is over.
func (p *process) waitFor(ctx context.Context, what string, ready func() bool) error {
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !ready() {
		select {
		case <-p.done:
			return fmt.Errorf("%s ended before it %s: %w\n%s", p.cmd.Path, what, errors.Join(p.err, errEnded), p.tail())
		case <-ctx.Done():
			return fmt.Errorf("%s has not %s: %w\n%s", p.cmd.Path, what, ctx.Err(), p.tail())
		case <-tick.C:
		}
	}
	return nil
}

// How processes are called of which a whole system has several.
const (
	tomcatProcess    = "catalina"
	memcachedProcess = "memcached"
)

var errEnded = errors.New("the process is gone")

// tail returns the last lines that the process wrote, for an error message.
func (p *process) tail() string {
	text, err := os.ReadFile(p.logs)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(string(bytes.TrimSpace(text)), "\n")
	return strings.Join(lines[max(0, len(lines)-10):], "\n")
}

// stop ends the process and waits for its end.
func (p *process) stop() {
	select {
	case <-p.done:
		return
	default:
	}
	// A process that ended in this very moment cannot be signalled, and need not be: done tells.
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(stopTime):
		_ = p.cmd.Process.Kill()
		<-p.done
	}
}

// alive tells whether the process still runs.
func (p *process) alive() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}
