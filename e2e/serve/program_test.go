package serve

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"rehydra/e2e/harness"
)

// program is a `rehydra serve`, with all that it writes.
type program struct {
	t      *testing.T
	file   string // its configuration
	cmd    *exec.Cmd
	exited chan struct{}
	stderr harness.Output
	stdout harness.Output
	ready  harness.Event // once it is ready

	address string // the first of its addresses
}

// launch runs `rehydra serve` with a configuration and does not wait for anything.
func launch(t *testing.T, toml string) *program {
	t.Helper()
	p := &program{t: t}
	p.configure(toml)
	p.start("serve", "--config", p.file)
	return p
}

// configure makes the configuration file.
func (p *program) configure(toml string) {
	p.t.Helper()
	p.file = filepath.Join(p.t.TempDir(), "rehydra.toml")
	p.write(toml)
}

// start runs rehydra with arguments. When the test ends the process is killed, and if the test failed its log is shown.
func (p *program) start(args ...string) {
	p.t.Helper()
	p.run(exec.CommandContext(context.Background(), harness.Binary(p.t), args...))
}

// run is start for a command that becomes rehydra.
func (p *program) run(cmd *exec.Cmd) {
	p.t.Helper()
	p.exited, p.cmd = make(chan struct{}), cmd
	p.cmd.Env = append(os.Environ(), "GOTRACEBACK=all")
	p.cmd.Stderr, p.cmd.Stdout = &p.stderr, &p.stdout
	if err := p.cmd.Start(); err != nil {
		p.t.Fatalf("cannot start rehydra: %v", err)
	}
	go func() {
		_ = p.cmd.Wait() // its result is in ProcessState
		close(p.exited)
	}()
	p.t.Cleanup(func() {
		p.signal(syscall.SIGCONT)
		p.signal(syscall.SIGKILL)
		<-p.exited
		if p.t.Failed() {
			p.t.Logf("rehydra %d wrote:\n%s", p.cmd.Process.Pid, tail(p.stderr.String()))
		}
	})
}

func tail(s string) string {
	const most = 12000
	if len(s) > most {
		return "..." + s[len(s)-most:]
	}
	return s
}

// serve runs `rehydra serve` with settings in front of backends and returns when it is ready.
func serve(t *testing.T, s settings, backends ...*backend) *program {
	t.Helper()
	p := launch(t, s.toml(backends...))
	p.ready = p.waitEvent("ready")
	p.address = p.addresses()[0]
	return p
}

// write replaces the configuration file.
func (p *program) write(toml string) {
	p.t.Helper()
	if err := os.WriteFile(p.file, []byte(toml), 0o600); err != nil {
		p.t.Fatal(err)
	}
}

// addresses returns what the event ready names.
func (p *program) addresses() (listen []string) {
	p.t.Helper()
	list, _ := p.ready["listen"].([]any)
	for _, a := range list {
		listen = append(listen, fmt.Sprint(a))
	}
	if len(listen) == 0 {
		p.t.Fatalf("ready names no address: %v", p.ready)
	}
	return listen
}

func (p *program) signal(s syscall.Signal) {
	_ = p.cmd.Process.Signal(s) // one that has ended needs no signal
}

// exit waits for the end and returns the exit code; -1 for a signal.
func (p *program) exit() int {
	p.t.Helper()
	select {
	case <-p.exited:
		return p.cmd.ProcessState.ExitCode()
	case <-time.After(30 * time.Second):
		p.t.Fatalf("process %d has not ended after 30 s", p.cmd.Process.Pid)
		return 0
	}
}

// running reports whether it has not ended.
func (p *program) running() bool {
	select {
	case <-p.exited:
		return false
	default:
		return true
	}
}

// parse returns the events of a log.
func parse(text string) (events []harness.Event) {
	for line := range strings.Lines(text) {
		var e harness.Event
		if json.Unmarshal([]byte(line), &e) == nil {
			events = append(events, e)
		}
	}
	return events
}

// events returns the events so far whose message is this.
func (p *program) events(message string) []harness.Event {
	return withMessage(p.stderr.String(), message)
}

func withMessage(text, message string) (found []harness.Event) {
	for _, e := range parse(text) {
		if e.Text("message") == message {
			found = append(found, e)
		}
	}
	return found
}

// waitEvent returns the first event whose message is this.
func (p *program) waitEvent(message string) harness.Event {
	p.t.Helper()
	return p.waitEvents(message, 1)[0]
}

// waitEvents waits for n events whose message is this.
func (p *program) waitEvents(message string, n int) (found []harness.Event) {
	p.t.Helper()
	harness.Eventually(p.t, fmt.Sprintf("%d events %q", n, message), func() bool {
		if found = p.events(message); len(found) >= n {
			return true
		}
		if !p.running() {
			found = p.events(message)
			if len(found) < n {
				p.t.Fatalf("rehydra ended with %d:\n%s", p.exit(), p.stderr.String())
			}
			return true
		}
		return false
	})
	return found
}

// waitRequest returns the access log's event of a path.
func (p *program) waitRequest(path string) (found harness.Event) {
	p.t.Helper()
	harness.Eventually(p.t, "the log has the request of "+path, func() bool {
		for _, e := range p.events("request") {
			if e.Text("path") == path {
				found = e
				return true
			}
		}
		return false
	})
	return found
}

// terminate sends SIGTERM and wants exit code 0.
func (p *program) terminate() {
	p.t.Helper()
	p.signal(syscall.SIGTERM)
	if code := p.exit(); code != 0 {
		p.t.Errorf("exit code %d after SIGTERM, wanted 0", code)
	}
}

// status returns a size of /proc/PID/status, such as VmHWM, in bytes.
func (p *program) status(name string) int64 {
	p.t.Helper()
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		p.t.Fatal(err)
	}
	for line := range strings.Lines(string(data)) {
		if value, ok := strings.CutPrefix(line, name+":"); ok {
			kb, err := strconv.ParseInt(strings.Fields(value)[0], 10, 64)
			if err != nil {
				p.t.Fatal(err)
			}
			return kb << 10
		}
	}
	p.t.Fatalf("no %s in the status of process %d", name, p.cmd.Process.Pid)
	return 0
}

// goroutines ends the process with SIGQUIT, which makes it write its goroutines, and returns them.
func (p *program) goroutines() (stacks []string) {
	p.t.Helper()
	p.signal(syscall.SIGQUIT)
	p.exit()
	for _, part := range strings.Split(p.stderr.String(), "\n\n") {
		if strings.HasPrefix(part, "goroutine ") {
			stacks = append(stacks, part)
		}
	}
	if len(stacks) == 0 {
		p.t.Fatal("no goroutine in what it wrote after SIGQUIT")
	}
	return stacks
}

// stop and cont stop the process and let it go on.
func (p *program) stop() {
	p.t.Helper()
	p.signal(syscall.SIGSTOP)
	harness.WaitStopped(p.t, p.cmd.Process.Pid)
}
func (p *program) cont() { p.signal(syscall.SIGCONT) }
