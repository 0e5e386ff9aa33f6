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

// listening counts the TCP sockets of the process that listen.
func (p *program) listening() (n int) {
	p.t.Helper()
	held := p.sockets()
	for _, table := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		n += countListening(p.t, table, held)
	}
	return n
}

func countListening(t *testing.T, table string, held map[string]bool) (n int) {
	t.Helper()
	file, err := os.Open(table)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	const stateAt, inodeAt, listen = 3, 9, "0A"
	for lines := bufio.NewScanner(file); lines.Scan(); {
		if f := strings.Fields(lines.Text()); len(f) > inodeAt && f[stateAt] == listen && held[f[inodeAt]] {
			n++
		}
	}
	return n
}
