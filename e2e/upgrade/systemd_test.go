package upgrade

import (
	"fmt"
	"net"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"rehydra/e2e/harness"
)

// notes is the other end of NOTIFY_SOCKET, as systemd has it: it knows of each message which process sent it.
type notes struct {
	socket string
	mu     sync.Mutex
	all    []note
}

type note struct {
	pid  int
	text string
}

// listenNotes opens a socket for messages of sd_notify(3).
func listenNotes(t *testing.T) *notes {
	t.Helper()
	n := &notes{socket: filepath.Join(t.TempDir(), "notify")}
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: n.socket, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	raw, err := conn.SyscallConn()
	if err == nil {
		err = raw.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_PASSCRED, 1) })
	}
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		message, control := make([]byte, 4096), make([]byte, 4096)
		for {
			size, controlSize, _, _, err := conn.ReadMsgUnix(message, control)
			if err != nil {
				return
			}
			n.add(note{sender(control[:controlSize]), string(message[:size])})
		}
	}()
	t.Cleanup(func() {
		conn.Close()
		<-done
		if t.Failed() {
			t.Logf("messages: %+v", n.list())
		}
	})
	return n
}

// sender returns the id of the process that the kernel vouches for, 0 if there is none.
func sender(control []byte) int {
	messages, err := unix.ParseSocketControlMessage(control)
	if err != nil || len(messages) == 0 {
		return 0
	}
	credentials, err := unix.ParseUnixCredentials(&messages[0])
	if err != nil {
		return 0
	}
	return int(credentials.Pid)
}

func (n *notes) add(message note) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.all = append(n.all, message)
}

func (n *notes) list() []note {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.all)
}

// wait waits for a message of a process that has this line, after the first from of all messages, and returns the message and how many came up to it.
func (n *notes) wait(t *testing.T, from, pid int, line string) (lines []string, next int) {
	t.Helper()
	harness.Eventually(t, fmt.Sprintf("process %d says %s", pid, line), func() bool {
		for i, message := range n.list()[from:] {
			if lines = strings.Split(message.text, "\n"); message.pid == pid && slices.Contains(lines, line) {
				next = from + i + 1
				return true
			}
		}
		return false
	})
	return lines, next
}

// TestNotify: systemd hears of the start, a reload, a hand-over and the end, from the process that it believes, and the watchdog all the while.
func TestNotify(t *testing.T) {
	t.Parallel()
	b, n := startBackend(t, "node1"), listenNotes(t)
	c := config{backends: []*backend{b}}
	s := launch(t, c.toml(), options{env: []string{"NOTIFY_SOCKET=" + n.socket, "WATCHDOG_USEC=200000"}})
	first := s.cmd.Process.Pid
	_, at := n.wait(t, 0, first, "READY=1")
	s.wait("ready", 1)
	_, at = n.wait(t, at, first, "WATCHDOG=1")

	for _, broken := range []bool{false, true} {
		began := monotonic(t)
		wanted := reloaded
		if broken {
			s.configure("[server")
			wanted = notReloaded
		}
		s.reload(wanted)
		lines, next := n.wait(t, at, first, "RELOADING=1")
		wantMonotonic(t, lines, began)
		_, at = n.wait(t, next, first, "READY=1") // the old configuration goes on: it is ready in any case
	}

	s.failHandOver() // of the broken configuration
	for _, message := range n.list() {
		if strings.Contains(message.text, "MAINPID") || message.pid != first {
			t.Errorf("process %d says %q at a hand-over that failed", message.pid, message.text)
		}
	}
	s.configure(c.toml())
	next := number(s.handOver(), "pid")
	_, at = n.wait(t, at, first, fmt.Sprintf("MAINPID=%d", next))
	s.exit(0)
	_, at = n.wait(t, at, next, "WATCHDOG=1")
	_, at = n.wait(t, at, next, "WATCHDOG=1")
	s.reload(reloaded)
	_, at = n.wait(t, at, next, "RELOADING=1")
	_, at = n.wait(t, at, next, "READY=1")
	s.stop()
	n.wait(t, at, next, "STOPPING=1")
	for _, message := range n.list() {
		if message.pid == first && strings.Contains(message.text, "STOPPING") {
			t.Error("the process that handed over says that the service stops")
		}
	}
}

// monotonic is the clock of MONOTONIC_USEC.
func monotonic(t *testing.T) int64 {
	t.Helper()
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		t.Fatal(err)
	}
	return now.Nano() / 1000
}

// wantMonotonic wants a MONOTONIC_USEC from between then and now.
func wantMonotonic(t *testing.T, lines []string, then int64) {
	t.Helper()
	for _, line := range lines {
		if text, ok := strings.CutPrefix(line, "MONOTONIC_USEC="); ok {
			if at, err := strconv.ParseInt(text, 10, 64); err != nil || at < then || at > monotonic(t) {
				t.Errorf("%s (%v), wanted a time from %d on", line, err, then)
			}
			return
		}
	}
	t.Errorf("%q has no MONOTONIC_USEC", lines)
}
