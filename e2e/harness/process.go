package harness

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// patience is how long anything that should happen is waited for. It is only ever used up by a failing test.
const patience = 30 * time.Second

// process is a child of the test, ended by its id when the test ends. What a test may do to any of them is here.
type process struct {
	cmd    *exec.Cmd
	exited chan struct{} // closed when it has ended; err is set then
	err    error
}

// startProcess starts cmd and sees to it that it does not outlive the test.
func startProcess(t testing.TB, cmd *exec.Cmd) *process {
	t.Helper()
	return startReading(t, cmd, func() {})
}

// startReading is startProcess for a process with a pipe: read must read it to its end, which is waited for before the
// process is.
func startReading(t testing.TB, cmd *exec.Cmd, read func()) *process {
	t.Helper()
	p := &process{cmd: cmd, exited: make(chan struct{})}
	if err := cmd.Start(); err != nil {
		read() // the pipe is closed, and somebody may wait for its end
		t.Fatalf("cannot start %s: %v", cmd.Path, err)
	}
	go func() {
		read() // Wait closes the pipe, read or not
		p.err = cmd.Wait()
		close(p.exited)
	}()
	t.Cleanup(func() { p.Kill(t) })
	return p
}

// command is exec.Command: the process is ended by kill, not by a context.
func command(name string, args ...string) *exec.Cmd {
	return exec.CommandContext(context.Background(), name, args...)
}

// PID is its process id.
func (p *process) PID() int { return p.cmd.Process.Pid }

func (p *process) signal(t testing.TB, s syscall.Signal) {
	t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		t.Fatalf("cannot send %v to process %d: %v", s, p.PID(), err)
	}
}

// Freeze stops the process (SIGSTOP) and returns when every thread has stopped: it does nothing and loses nothing. The system goes on to accept
// connections for it.
func (p *process) Freeze(t testing.TB) {
	t.Helper()
	p.signal(t, syscall.SIGSTOP)
	WaitStopped(t, p.PID())
}

// Thaw lets it go on (SIGCONT).
func (p *process) Thaw(t testing.TB) {
	t.Helper()
	p.signal(t, syscall.SIGCONT)
}

// WaitStopped waits until every thread of a process that was sent SIGSTOP has stopped.
func WaitStopped(t testing.TB, pid int) {
	t.Helper()
	Eventually(t, "the process is stopped", func() bool {
		threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range threads {
			stat, err := os.ReadFile(file)
			if errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ESRCH) {
				return false // a thread that ended: look again
			}
			if err != nil {
				t.Fatal(err)
			}
			if end := strings.LastIndexByte(string(stat), ')'); !strings.HasPrefix(string(stat[end+1:]), " T") {
				return false
			}
		}
		return len(threads) > 0
	})
}

// Kill ends the process with SIGKILL, stopped or not, and returns when it is gone.
func (p *process) Kill(t testing.TB) {
	t.Helper()
	p.signal(t, syscall.SIGKILL)
	p.wait(t)
}

// wait returns the exit code of the process; -1 when a signal ended it.
func (p *process) wait(t testing.TB) int {
	t.Helper()
	select {
	case <-p.exited:
		return p.cmd.ProcessState.ExitCode()
	case <-time.After(patience):
		t.Fatalf("process %d (%s) has not ended after %v", p.PID(), p.cmd.Path, patience)
		return 0
	}
}

// Eventually polls until ok returns true, and fails the test with what was waited for when it never does.
func Eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(patience); ; {
		if ok() {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("not within %v: %s", patience, what)
		}
		<-tick.C
	}
}
