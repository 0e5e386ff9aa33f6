// Package upgrade holds `rehydra serve` to what it promises about changes while it runs: a new configuration, other addresses, another binary, and what systemd
// gives it and wants to hear. Nobody who is served meanwhile may notice.
package upgrade

import (
	"os"
	"testing"

	"rehydra/e2e/harness"
)

func TestMain(m *testing.M) { os.Exit(harness.Main(m)) }
