package upgrade

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"rehydra/e2e/harness"
)

// service is a `rehydra serve` that may be replaced by another process: its log goes to a file, as a pipe would end with the last of them only.
type service struct {
	t      *testing.T
	dir    string // its working directory; all paths below are relative to it
	cmd    *exec.Cmd
	exited chan struct{}
}

const (
	binaryFile = "rehydra"
	configFile = "rehydra.toml"
	logFile    = "log"
)

// options are what a service is started with.
type options struct {
	env   []string
	files []*os.File // as systemd passes sockets
}

// launch starts a copy of the binary with a configuration, and waits for nothing. All processes that come of it are gone when the test ends.
func launch(t *testing.T, toml string, with options) *service {
	t.Helper()
	s := &service{t: t, dir: t.TempDir(), exited: make(chan struct{})}
	s.install(harness.Binary(t))
	s.configure(toml)
	log, err := os.OpenFile(s.path(logFile), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	command := []string{s.path(binaryFile), "serve", "--config", configFile}
	if len(with.files) > 0 { // only the process itself can know its id
		command = append([]string{"/bin/sh", "-c", `LISTEN_PID=$$ exec "$@"`, "sh"}, command...)
	}
	s.cmd = exec.CommandContext(context.Background(), command[0], command[1:]...)
	s.cmd.Dir, s.cmd.Stdout, s.cmd.Stderr = s.dir, log, log
	s.cmd.Env = append(os.Environ(), with.env...)
	s.cmd.ExtraFiles = with.files
	if err := s.cmd.Start(); err != nil {
		t.Fatalf("cannot start rehydra: %v", err)
	}
	go func() {
		_ = s.cmd.Wait() // its result is in ProcessState
		close(s.exited)
	}()
	t.Cleanup(func() {
		for _, pid := range s.processes() {
			_ = syscall.Kill(pid, syscall.SIGKILL) // gone since: good
		}
		<-s.exited
		harness.Eventually(t, "all processes are gone", func() bool { return len(s.processes()) == 0 })
		if t.Failed() {
			t.Logf("log:\n%s", s.log())
		}
	})
	return s
}

// start is launch, and waits until it serves.
func start(t *testing.T, toml string, with options) *service {
	t.Helper()
	s := launch(t, toml, with)
	s.wait("ready", 1)
	return s
}

func (s *service) path(name string) string { return filepath.Join(s.dir, name) }

// install puts a program in the place of the binary, at once for whoever starts it.
func (s *service) install(program string) {
	s.t.Helper()
	err := os.Symlink(program, s.path("new"))
	if err == nil {
		err = os.Rename(s.path("new"), s.path(binaryFile))
	}
	if err != nil {
		s.t.Fatalf("cannot install %s: %v", program, err)
	}
}

// installText puts a file with this text in the place of the binary.
func (s *service) installText(text string) {
	s.t.Helper()
	file := filepath.Join(s.t.TempDir(), "program")
	// A process that is being started would have the file open for writing too, and nobody could run it.
	syscall.ForkLock.RLock()
	err := os.WriteFile(file, []byte(text), 0o700)
	syscall.ForkLock.RUnlock()
	if err != nil {
		s.t.Fatal(err)
	}
	s.install(file)
}

// installScript puts a shell script in the place of the binary.
func (s *service) installScript(script string) {
	s.t.Helper()
	s.installText("#!/bin/sh\n" + script + "\n")
}

// configure replaces the configuration file.
func (s *service) configure(toml string) {
	s.t.Helper()
	if err := os.WriteFile(s.path(configFile), []byte(toml), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// processes returns the ids of those that run a binary of the service's directory, replaced or not.
func (s *service) processes() (pids []int) {
	s.t.Helper()
	links, err := filepath.Glob("/proc/[0-9]*/cwd")
	if err != nil {
		s.t.Fatal(err)
	}
	for _, link := range links {
		if dir, err := os.Readlink(link); err != nil || dir != s.dir {
			continue // another one's, or it has ended
		}
		if pid, err := strconv.Atoi(strings.Split(link, "/")[2]); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}

func (s *service) log() string {
	s.t.Helper()
	text, err := os.ReadFile(s.path(logFile))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		s.t.Fatal(err)
	}
	return string(text)
}

// events returns the events so far whose message is this.
func (s *service) events(message string) (found []harness.Event) {
	for line := range strings.Lines(s.log()) {
		var e harness.Event
		if json.Unmarshal([]byte(line), &e) == nil && e.Text("message") == message {
			found = append(found, e)
		}
	}
	return found
}

// wait returns the nth event whose message is this, and waits for it.
func (s *service) wait(message string, n int) harness.Event {
	s.t.Helper()
	var found []harness.Event
	harness.Eventually(s.t, fmt.Sprintf("%d events %q", n, message), func() bool {
		found = s.events(message)
		// Looked for twice: while /proc is read, one process may start another and end.
		if len(found) < n && len(s.processes()) == 0 && len(s.processes()) == 0 && len(s.events(message)) < n {
			s.t.Fatalf("all processes ended before %d events %q", n, message)
		}
		return len(found) >= n
	})
	return found[n-1]
}

// current is the event ready of the process that took over last.
func (s *service) current() harness.Event {
	s.t.Helper()
	ready := s.events("ready")
	if len(ready) == 0 {
		s.t.Fatal("no process is ready")
	}
	return ready[len(ready)-1]
}

// pid is that of the process that took over last.
func (s *service) pid() int { return number(s.current(), "pid") }

// number returns a field that is a whole number; 0 where it is none.
func number(e harness.Event, field string) int {
	n, _ := e[field].(float64)
	return int(n)
}

// addresses is where it listens, by its newest event that says so.
func (s *service) addresses() (listen []string) {
	s.t.Helper()
	said := s.current()
	if reloads := s.events(reloaded); len(reloads) > 0 && reloads[len(reloads)-1].Text("time") > said.Text("time") {
		said = reloads[len(reloads)-1]
	}
	list, _ := said["listen"].([]any)
	for _, a := range list {
		listen = append(listen, fmt.Sprint(a))
	}
	return listen
}

// address is the first of addresses.
func (s *service) address() string {
	s.t.Helper()
	listen := s.addresses()
	if len(listen) == 0 {
		s.t.Fatal("it listens nowhere")
	}
	return listen[0]
}

// signal sends a signal to the process that took over last.
func (s *service) signal(sig syscall.Signal) {
	s.t.Helper()
	if err := syscall.Kill(s.pid(), sig); err != nil {
		s.t.Fatalf("cannot send %v to process %d: %v", sig, s.pid(), err)
	}
}

const (
	reloaded    = "configuration reloaded"
	notReloaded = "configuration not reloaded: the old one stays"
	noHandOver  = "no hand-over: this process goes on"
	handedOver  = "handed over: draining"
)

// reload has the configuration file read again, and returns the event that says what became of it.
func (s *service) reload(wanted string) harness.Event {
	s.t.Helper()
	before := len(s.events(wanted))
	s.signal(syscall.SIGHUP)
	return s.wait(wanted, before+1)
}

// handOver has another process take over, and returns its event ready.
func (s *service) handOver() harness.Event {
	s.t.Helper()
	before := len(s.events("ready"))
	s.signal(syscall.SIGUSR2)
	return s.wait("ready", before+1)
}

// failHandOver wants that no other process takes over, and returns why.
func (s *service) failHandOver() string {
	s.t.Helper()
	before := len(s.events(noHandOver))
	s.signal(syscall.SIGUSR2)
	return s.wait(noHandOver, before+1).Text("error")
}

// ended waits until a process is gone.
func (s *service) ended(pid int) {
	s.t.Helper()
	harness.Eventually(s.t, fmt.Sprintf("process %d has ended", pid), func() bool { return !slices.Contains(s.processes(), pid) })
}

// exit waits for the end of the process that was started first, and wants its exit code.
func (s *service) exit(code int) {
	s.t.Helper()
	harness.Eventually(s.t, "the first process has ended", func() bool {
		select {
		case <-s.exited:
			return true
		default:
			return false
		}
	})
	if got := s.cmd.ProcessState.ExitCode(); got != code {
		s.t.Errorf("exit code %d, wanted %d", got, code)
	}
}

// stop ends the process that serves, with SIGTERM, and wants nothing left.
func (s *service) stop() {
	s.t.Helper()
	pid := s.pid()
	s.signal(syscall.SIGTERM)
	s.ended(pid)
}
