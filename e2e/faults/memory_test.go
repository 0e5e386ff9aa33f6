package faults

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
)

const (
	// mostConnections is what a memcached may see: the proxy's own limit for each node, a prober and the test's look at it.
	mostConnections = 64 + 8
	// mostGrowth is for 2,000 client connections with their buffers and goroutines, and as much again.
	mostGrowth = 192 << 20
)

// memory returns the peak resident memory of a process in bytes.
func memory(t *testing.T, pid int) int {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		if f := strings.Fields(line); len(f) == 3 && f[0] == "VmHWM:" {
			kib, err := strconv.Atoi(f[1])
			if err != nil {
				t.Fatal(err)
			}
			return kib << 10
		}
	}
	t.Fatalf("the status of process %d has no VmHWM", pid)
	return 0
}
