// Package serve holds `rehydra serve` to what its operators and users rely on, on the built binary: how it starts, reloads, drains and logs, and
// what becomes of requests when a client, a backend or a disk fails in the middle of one.
//
// Backends are listeners of the test whose every byte a test writes (backend_test.go); clients are plain connections
// (client_test.go). What a process holds is read from /proc.
package serve

import (
	"flag"
	"fmt"
	"os"
	"testing"

	"rehydra/e2e/harness"
)

func TestMain(m *testing.M) {
	flag.Parse()
	// The tests wait for time-outs and for a log that is written once a second far more than they compute.
	if err := flag.Set("test.parallel", "10"); err != nil {
		fmt.Fprintln(os.Stderr, "cannot set how many tests run at once:", err)
		os.Exit(1)
	}
	os.Exit(harness.Main(m))
}
