// Package node holds adapters/node to what it promises: its own tests, the checks that hold for the adapters of all languages, and the main job
// through the real proxy, with two Node backends and two memcacheds.
package node

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"rehydra/e2e/harness"
	"rehydra/e2e/harness/filelock"
)

func TestMain(m *testing.M) {
	if err := install(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(harness.Main(m))
}

const (
	packageDir  = "../../adapters/node"
	application = "tests/conformance.js"
)

// install installs what the package's lock file names below .cache at the module's root, unless that is there already, and has every node that
// the tests start find it. Without node and npm it fails.
func install(ctx context.Context) error {
	for _, name := range []string{"node", "npm"} {
		if _, err := exec.LookPath(name); err != nil {
			return fmt.Errorf("cannot test adapters/node: %w; wanted Debian's packages nodejs and npm, or a newer Node", err)
		}
	}
	locked, err := os.ReadFile(filepath.Join(packageDir, "package-lock.json"))
	if err != nil {
		return fmt.Errorf("cannot install packages: %w", err)
	}
	dir, err := filepath.Abs(filepath.Join("..", "..", ".cache", "node", fmt.Sprintf("%.8x", sha256.Sum256(locked))))
	if err != nil {
		return fmt.Errorf("cannot install packages: %w", err)
	}
	unlock, err := filelock.Lock(dir + ".lock")
	if err != nil {
		return err
	}
	defer unlock()
	done := filepath.Join(dir, "installed")
	if _, err := os.Stat(done); err != nil {
		if err := npmCI(ctx, dir, locked); err != nil {
			return err
		}
		if err := os.WriteFile(done, nil, 0o644); err != nil {
			return fmt.Errorf("cannot install packages: %w", err)
		}
	}
	return os.Setenv("NODE_PATH", filepath.Join(dir, "node_modules"))
}

func npmCI(ctx context.Context, dir string, locked []byte) error {
	manifest, err := os.ReadFile(filepath.Join(packageDir, "package.json"))
	if err != nil {
		return fmt.Errorf("cannot install packages: %w", err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("cannot install packages: %w", err)
	}
	for name, text := range map[string][]byte{"package.json": manifest, "package-lock.json": locked} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o644); err != nil {
			return fmt.Errorf("cannot install packages: %w", err)
		}
	}
	cmd := exec.CommandContext(ctx, "npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts")
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("cannot install packages with npm ci: %w\n%s", err, out)
	}
	return nil
}

// server is one Node process that runs the conformance application. It keeps its address when it is killed and started again.
type server struct {
	t       *testing.T
	route   string
	address string
	express string // the package's name: express or express4

	cmd    *exec.Cmd
	output strings.Builder
	ended  chan struct{}
}

// newServer starts a server and returns when it answers. The test's end kills it.
func newServer(t *testing.T, route, express string) *server {
	t.Helper()
	s := &server{t: t, route: route, address: harness.FreeAddress(t), express: express}
	t.Cleanup(func() {
		s.kill()
		if t.Failed() && s.output.Len() > 0 {
			t.Logf("%s wrote:\n%s", s.route, s.output.String())
		}
	})
	s.start()
	return s
}

func (s *server) start() {
	s.t.Helper()
	cmd := exec.CommandContext(context.Background(), "node", application, "--listen", s.address, "--route", s.route,
		"--token", harness.Token, "--app", "/shop", "--express", s.express)
	cmd.Dir = packageDir
	cmd.Stdout, cmd.Stderr = &s.output, &s.output
	// A test binary that dies must not leave its servers behind.
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		s.t.Fatalf("cannot start node: %v", err)
	}
	ended := make(chan struct{})
	s.cmd, s.ended = cmd, ended
	go func() {
		defer close(ended)
		_ = cmd.Wait() // how it ended is in its output
	}()
	harness.Eventually(s.t, "node answers", func() bool {
		select {
		case <-ended:
			s.t.Fatalf("node ended while starting:\n%s", s.output.String())
		default:
		}
		return s.answers()
	})
}

func (s *server) answers() bool {
	transport := &http.Transport{DisableKeepAlives: true}
	req, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, "http://"+s.address+"/health", http.NoBody)
	if err != nil {
		s.t.Fatal(err)
	}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		var refused *net.OpError
		if !errors.As(err, &refused) {
			s.t.Logf("node does not answer yet: %v", err)
		}
		return false
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return err == nil && string(body) == s.route
}

// kill ends the process with SIGKILL and returns when it is gone.
func (s *server) kill() {
	if s.cmd == nil {
		return
	}
	_ = s.cmd.Process.Kill() // it fails only where the process has ended
	<-s.ended
}
