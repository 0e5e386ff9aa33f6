package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// callsOf returns how often a process has called read(2) and write(2) and their kin.
func callsOf(t *testing.T, pid int) (calls int) {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/io", pid))
	if err != nil {
		t.Fatal(err)
	}
	var reads, writes int
	for line := range strings.Lines(string(text)) {
		_, _ = fmt.Sscanf(line, "syscr: %d", &reads) // other lines are others'
		_, _ = fmt.Sscanf(line, "syscw: %d", &writes)
	}
	if reads == 0 || writes == 0 {
		t.Fatalf("no calls in %q", text)
	}
	return reads + writes
}

// TestCallsForARequest holds the built program to the number of its system calls, which no other load on the machine changes by much, as it does time. What
// is counted: reads, in vain ones among them, and writes. A plain request takes a read and a write on either side, and a look in vain for the
// next: not quite six. Two more fail.
func TestCallsForARequest(t *testing.T) {
	dir := t.TempDir()
	binary := filepath.Join(dir, "rehydra")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", binary, "../cmd/rehydra").CombinedOutput(); err != nil {
		t.Fatalf("cannot build rehydra: %v\n%s", err, out)
	}
	const requests = 2000
	for _, c := range []struct {
		name string
		body int
		most int // calls for a request
	}{
		{"1 KiB", 1 << 10, 7},
		{"16 KiB", 16 << 10, 7},
		{"1 MiB", 1 << 20, 7}, // the body itself is moved by splice(2), which is not counted
	} {
		t.Run(c.name, func(t *testing.T) {
			place, err := os.MkdirTemp(dir, "run")
			if err != nil {
				t.Fatal(err)
			}
			peer := &rehydra{binary: binary, checks: "10m"}
			running, err := peer.Start(t.Context(), Setting{Dir: place, Backends: []Backend{{Route: "node1", Address: listen(t, "node1", c.body)}}})
			if err != nil {
				t.Fatal(err)
			}
			defer running.stop()
			w := ofSize("", "", c.body, 1)
			g := &generator{spec: &LoadSpec{Address: running.Address, Routes: []string{"node1"}, Connections: 1, Head: w.Head, Body: c.body}}
			if err := g.prepare(); err != nil {
				t.Fatal(err)
			}
			one := g.workers[0]
			defer one.close()
			ask := func(n int) {
				for range n {
					if err := one.ask(t.Context()); err != nil {
						t.Fatal(err)
					}
				}
			}
			ask(10)
			before := callsOf(t, running.Process.pid())
			ask(requests)
			if calls := float64(callsOf(t, running.Process.pid())-before) / requests; calls > float64(c.most) {
				t.Errorf("%.1f reads and writes for a request, wanted at most %d", calls, c.most)
			} else {
				t.Logf("%.1f reads and writes for a request", calls)
			}
		})
	}
}
