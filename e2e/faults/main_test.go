package faults

import (
	"os"
	"testing"

	"rehydra/e2e/harness"
)

func TestMain(m *testing.M) { os.Exit(harness.Main(m)) }
