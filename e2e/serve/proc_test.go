package serve

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// sockets returns the inodes of the sockets that the process holds.
func (p *program) sockets() map[string]bool {
	p.t.Helper()
	held := make(map[string]bool)
	links, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", p.cmd.Process.Pid))
	if err != nil {
		p.t.Fatal(err)
	}
	for _, link := range links {
		target, err := os.Readlink(link)
		if err != nil {
			continue // closed since
		}
		if inode, ok := strings.CutPrefix(target, "socket:["); ok {
			held[strings.TrimSuffix(inode, "]")] = true
		}
	}
	return held
}

// States of TCP sockets as /proc/net/tcp writes them.
const (
	established = "01"
	listening   = "0A"
)

// listening counts the TCP sockets of the process that listen.
func (p *program) listening() int {
	p.t.Helper()
	return p.inState(listening)
}

// silent counts the open connections of the process on which nothing waits to be read.
func (p *program) silent() int {
	p.t.Helper()
	return p.count(func(state, queues string) bool { return state == established && strings.HasSuffix(queues, ":00000000") })
}

// inState counts the TCP sockets of the process that are in a state.
func (p *program) inState(wanted string) int {
	p.t.Helper()
	return p.count(func(state, _ string) bool { return state == wanted })
}

// count counts the TCP sockets of the process of which is is true: of a state, and "bytes to send:bytes to read".
func (p *program) count(is func(state, queues string) bool) (n int) {
	p.t.Helper()
	held := p.sockets()
	for _, table := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		n += countSockets(p.t, table, held, is)
	}
	return n
}

func countSockets(t *testing.T, table string, held map[string]bool, is func(state, queues string) bool) (n int) {
	t.Helper()
	file, err := os.Open(table)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	const stateAt, queuesAt, inodeAt = 3, 4, 9
	for lines := bufio.NewScanner(file); lines.Scan(); {
		if f := strings.Fields(lines.Text()); len(f) > inodeAt && held[f[inodeAt]] && is(f[stateAt], f[queuesAt]) {
			n++
		}
	}
	return n
}
