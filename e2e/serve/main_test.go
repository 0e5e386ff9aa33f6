// Package serve holds `rehydra serve` to what its operators and users rely on, on the built binary: how it starts, reloads, drains and logs, and
// what becomes of requests when a client, a backend or a disk fails in the middle of one.
//
// Backends are listeners of the test whose every byte a test writes (backend_test.go); clients are plain connections
// (client_test.go). What a process holds is read from /proc.
package serve

import (
	"os"
	"testing"

	"rehydra/e2e/harness"
)

func TestMain(m *testing.M) { os.Exit(harness.Main(m)) }
