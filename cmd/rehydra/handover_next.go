package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// predecessor is the process that this one takes the place of.
type predecessor struct {
	pid   int
	note  handoverNote
	reply *os.File // nil once it has been told
}

// findPredecessor returns the process that started this one to take its place, nil when it was started in any other way. It makes the sockets that come along
// look like those of systemd, and removes the variable: it is not meant for a process that this one starts.
func findPredecessor() (*predecessor, error) {
	text, ok := os.LookupEnv(handoverVariable)
	if !ok {
		return nil, nil
	}
	p := &predecessor{pid: os.Getppid()}
	if err := json.Unmarshal([]byte(text), &p.note); err != nil {
		return nil, fmt.Errorf("cannot read %s: %w", handoverVariable, err)
	}
	if _, err := unix.FcntlInt(uintptr(p.note.Reply), unix.F_SETFD, unix.FD_CLOEXEC); err != nil {
		return nil, fmt.Errorf("cannot use the descriptor %d of %s: %w", p.note.Reply, handoverVariable, err)
	}
	p.reply = os.NewFile(uintptr(p.note.Reply), "reply")
	if err := os.Setenv("LISTEN_PID", strconv.Itoa(os.Getpid())); err != nil {
		return nil, err
	}
	return p, os.Unsetenv(handoverVariable)
}

// Tell says once that this process serves (nil), or why it cannot. p may be nil.
func (p *predecessor) Tell(failure error) error {
	if p == nil || p.reply == nil {
		return nil
	}
	reply := handoverReply{Ready: failure == nil}
	if failure != nil {
		reply.Error = failure.Error()
	}
	line, err := json.Marshal(reply)
	if err != nil {
		return err
	}
	defer func() {
		_ = p.reply.Close() // it was written or it was not
		p.reply = nil
	}()
	if _, err := p.reply.Write(append(line, '\n')); err != nil {
		return fmt.Errorf("cannot tell the process before (%d): %w", p.pid, err)
	}
	return nil
}

// Note returns what it said. p may be nil.
func (p *predecessor) Note() handoverNote {
	if p == nil {
		return handoverNote{}
	}
	return p.note
}
