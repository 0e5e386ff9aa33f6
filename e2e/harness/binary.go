package harness

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"go.uber.org/goleak"
)

// binaryVariable names the environment variable that holds the path of the binary under test. Main sets it; set from
// outside it names a binary to test in place of a fresh one.
const binaryVariable = "REHYDRA_BIN"

// Main builds rehydra once, runs the tests, and returns the exit code: 1 too when a goroutine of a test outlived it.
func Main(m *testing.M) (code int) {
	if os.Getenv(binaryVariable) == "" {
		dir, err := os.MkdirTemp("", "rehydra-e2e-")
		if err != nil {
			return fail(fmt.Errorf("cannot make a directory for the binary: %w", err))
		}
		defer os.RemoveAll(dir)
		binary := filepath.Join(dir, "rehydra")
		if err := buildBinary(binary); err != nil {
			return fail(err)
		}
		if err := os.Setenv(binaryVariable, binary); err != nil {
			return fail(err)
		}
	}
	code = m.Run()
	if code == 0 {
		if err := goleak.Find(); err != nil {
			return fail(fmt.Errorf("after the tests: %w", err))
		}
	}
	return code
}

func fail(err error) int {
	fmt.Fprintln(os.Stderr, err)
	return 1
}

func buildBinary(to string) error {
	// With "-race" in REHYDRA_E2E_BUILD the tests judge a binary that reports its data races.
	args := []string{"build", "-trimpath", "-buildvcs=false"}
	if flag := os.Getenv("REHYDRA_E2E_BUILD"); flag != "" {
		args = append(args, flag)
	}
	cmd := exec.CommandContext(context.Background(), "go", append(args, "-o", to, "rehydra/cmd/rehydra")...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("cannot build rehydra: %w\n%s", err, out)
	}
	return nil
}

// Binary is the path of the rehydra that Main built.
func Binary(t testing.TB) string {
	t.Helper()
	path := os.Getenv(binaryVariable)
	if path == "" {
		t.Fatal("no binary to test: TestMain must call harness.Main")
	}
	return path
}
