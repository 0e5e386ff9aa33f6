package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// handoverVariable is the environment variable that tells a process what the one before it hands over, as JSON of handoverNote. The sockets themselves come as
// systemd passes them, in descriptors 3 and up, except that LISTEN_PID is not set: nobody knows the id of a process before it runs.
const handoverVariable = "REHYDRA_HANDOVER"

// handoverTimeout is how long the next process may take until it is ready.
const handoverTimeout = time.Minute

// handoverNote is what a process tells the next one.
type handoverNote struct {
	Reply int          `json:"reply"` // the descriptor on which it waits for a handoverReply
	Out   []outBackend `json:"out"`   // the backends that do not answer
	TLS   []string     `json:"tls"`   // the addresses of the configuration whose connections begin with TLS
}

// outBackend is a backend that was found to be out.
type outBackend struct {
	Pool    string `json:"pool"`
	Route   string `json:"route"`
	Address string `json:"address"`
	Reason  string `json:"reason"`
}

// mostOut bounds the note: a string of the environment has at most 128 KiB. What is not told is found out again.
const mostOut = 300

// handoverReply is the one line that the next process writes: it serves, or why it cannot.
type handoverReply struct {
	Ready bool   `json:"ready"`
	Error string `json:"error,omitempty"`
}

// successor is a process that was started to take the place of this one.
type successor struct {
	cmd   *exec.Cmd
	pid   int
	reply *os.File // its end of the pipe is closed when it has ended
	done  chan error
}

// self is how this process was started, so that it can be started again: the file under that name may be another one by then.
type self struct {
	command string // as a path, or as a name that is looked for in PATH
	args    []string
	dir     string
}

// startedAs returns how this process was started. It is to be called before anything changes the working directory.
func startedAs() (self, error) {
	dir, err := os.Getwd()
	if err != nil {
		return self{}, fmt.Errorf("cannot find the working directory: %w", err)
	}
	s := self{command: os.Args[0], args: os.Args[1:], dir: dir}
	if strings.ContainsRune(s.command, filepath.Separator) && !filepath.IsAbs(s.command) {
		s.command = filepath.Join(dir, s.command)
	}
	return s, nil
}

// handOver starts the program anew with the sockets of this process and what note says of backends and addresses. The successor's done says later what became of it.
func (s self) handOver(from *sockets, note handoverNote) (*successor, error) {
	path, err := exec.LookPath(s.command)
	if err != nil {
		return nil, fmt.Errorf("cannot find the next binary: %w", err)
	}
	files, names, err := from.Files()
	if err != nil {
		return nil, err
	}
	defer closeAll(files)
	reply, theirs, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("cannot make a pipe to the next process: %w", err)
	}
	defer theirs.Close()                 // a copy
	cmd := exec.Command(path, s.args...) //nolint:noctx // it outlives this process
	cmd.Args[0] = s.command
	cmd.Dir, cmd.Stdout, cmd.Stderr = s.dir, os.Stdout, os.Stderr
	cmd.ExtraFiles = append(slices.Clone(files), theirs)
	note.Reply = firstSocket + len(files)
	note.Out = note.Out[:min(len(note.Out), mostOut)]
	text, err := json.Marshal(note)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("cannot tell the next process what is known: %w", err), reply.Close())
	}
	cmd.Env = append(successorEnv(os.Environ()), handoverVariable+"="+string(text),
		"LISTEN_FDS="+strconv.Itoa(len(files)), "LISTEN_FDNAMES="+strings.Join(names, ":"))
	if err := cmd.Start(); err != nil {
		return nil, errors.Join(fmt.Errorf("cannot start %q: %w", path, err), reply.Close())
	}
	next := &successor{cmd: cmd, pid: cmd.Process.Pid, reply: reply, done: make(chan error, 1)}
	go func() { next.done <- next.wait(handoverTimeout) }()
	return next, nil
}

// firstSocket is the number of the first descriptor that a process is started with, after the standard ones.
const firstSocket = 3

// successorEnv is the environment without what was meant for this process alone. WATCHDOG_PID is: without it whoever is the main process is watched.
func successorEnv(env []string) []string {
	return slices.DeleteFunc(slices.Clone(env), func(variable string) bool {
		name, _, _ := strings.Cut(variable, "=")
		switch name {
		case "LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "WATCHDOG_PID", handoverVariable:
			return true
		}
		return false
	})
}

// signal sends a signal to a successor that is ready. One that has ended since needs none; its id is not given to another process before this one ends.
func (n *successor) signal(sig syscall.Signal) { _ = syscall.Kill(n.pid, sig) }

// wait returns nil once the successor serves. Otherwise it has ended, and the error says why.
func (n *successor) wait(limit time.Duration) error {
	defer n.reply.Close()
	if err := n.reply.SetReadDeadline(time.Now().Add(limit)); err != nil {
		return errors.Join(fmt.Errorf("cannot wait for the next process: %w", err), n.end())
	}
	var reply handoverReply
	line, err := bufio.NewReader(n.reply).ReadBytes('\n')
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return errors.Join(fmt.Errorf("the next process (%d) was not ready within %v", n.pid, limit), n.end())
	case err == io.EOF:
		return fmt.Errorf("the next process (%d) was never ready: %w", n.pid, orEnded(n.end()))
	case err != nil:
		return errors.Join(fmt.Errorf("cannot read what the next process (%d) says: %w", n.pid, err), n.end())
	}
	if err := json.Unmarshal(line, &reply); err != nil {
		return errors.Join(fmt.Errorf("cannot read what the next process (%d) says: %w", n.pid, err), n.end())
	}
	if !reply.Ready {
		slow := time.AfterFunc(handoverTimeout, func() { _ = n.cmd.Process.Kill() }) // it has nothing left to do
		defer slow.Stop()
		_ = n.cmd.Wait() // its exit code says what is known
		return fmt.Errorf("the next process (%d) cannot start: %s", n.pid, reply.Error)
	}
	return n.cmd.Process.Release() // it outlives this process
}

// end makes sure that the process has ended, and returns how it did.
func (n *successor) end() error {
	if err := n.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	return n.cmd.Wait()
}

// orEnded gives an end without a fault words.
func orEnded(err error) error {
	if err == nil {
		return errors.New("it ended")
	}
	return err
}

// GiveUp ends a successor that is not ready yet, and waits for that. It reports false when it was ready before.
func (n *successor) GiveUp() bool {
	select {
	case err := <-n.done:
		return err != nil
	default:
	}
	if err := n.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return false
	}
	return <-n.done != nil
}
