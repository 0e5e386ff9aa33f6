package harness

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"testing"
)

// Program is a server that a test brings along: a command that listens on an address it is told, and keeps it over restarts.
type Program struct {
	*process
	address string
	path    string
	args    []string
}

// Build compiles a package of this module that is a command, and returns the path of the binary.
func Build(t testing.TB, pkg string, flags ...string) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), filepath.Base(pkg))
	args := append([]string{"build", "-trimpath", "-buildvcs=false"}, flags...)
	if out, err := command("go", append(args, "-o", binary, pkg)...).CombinedOutput(); err != nil {
		t.Fatalf("cannot build %s: %v\n%s", pkg, err, out)
	}
	return binary
}

// StartProgram runs the binary at path with the arguments and `-listen host:port`, and returns when it accepts connections.
func StartProgram(t testing.TB, path string, args ...string) *Program {
	t.Helper()
	p := &Program{address: FreeAddress(t), path: path, args: args}
	p.Restart(t)
	return p
}

// Address is its host:port.
func (p *Program) Address() string { return p.address }

// Restart starts it again at the same address after a Kill, and returns when it accepts connections.
func (p *Program) Restart(t testing.TB) {
	t.Helper()
	cmd := command(p.path, append([]string{"-listen", p.address}, p.args...)...)
	cmd.Stderr = os.Stderr
	p.process = startProcess(t, cmd)
	Eventually(t, p.path+" accepts connections", func() bool {
		select {
		case <-p.exited:
			t.Fatalf("%s ended: %v", p.path, p.err)
		default:
		}
		var d net.Dialer
		conn, err := d.DialContext(context.Background(), "tcp", p.address)
		if err != nil {
			return false
		}
		conn.Close()
		return true
	})
}

// UseBinary makes the test start that rehydra in place of the one that Main built.
func UseBinary(t *testing.T, path string) {
	t.Helper()
	t.Setenv(binaryVariable, path)
}
