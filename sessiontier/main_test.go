package sessiontier

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"rehydra/e2e/harness"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// memcachedServer is a real memcached, started and ended by a test.
type memcachedServer struct {
	t    *testing.T
	at   string // host:port, which nobody else gets while it is killed
	args []string
	cmd  *exec.Cmd
	door *door // nil: there is none
}

// startMemcached runs memcached on an address of its own for the time of a test. A machine without memcached fails the test.
func startMemcached(t *testing.T, args ...string) *memcachedServer {
	t.Helper()
	s := &memcachedServer{t: t, at: harness.FreeAddress(t), args: args}
	s.start()
	t.Cleanup(s.kill)
	return s
}

// address is where others reach it.
func (s *memcachedServer) address() string {
	if s.door != nil {
		return s.door.at
	}
	return s.own()
}

func (s *memcachedServer) own() string { return s.at }

func (s *memcachedServer) start() {
	s.t.Helper()
	host, port, err := net.SplitHostPort(s.at)
	if err != nil {
		s.t.Fatal(err)
	}
	args := append([]string{"-l", host, "-p", port, "-m", "64", "-t", "1"}, s.args...)
	if os.Geteuid() == 0 {
		args = append(args, "-u", "root")
	}
	s.cmd = exec.Command("memcached", args...)
	if err := s.cmd.Start(); err != nil {
		s.t.Fatalf("cannot start memcached (apt-get install memcached): %v", err)
	}
	eventually(s.t, "memcached listens", func() bool {
		c, err := net.DialTimeout("tcp", s.own(), time.Second)
		if err != nil {
			return false
		}
		c.Close()
		return true
	})
}

// kill ends the server as kill -9 does.
func (s *memcachedServer) kill() {
	if s.cmd == nil {
		return
	}
	s.signal(syscall.SIGKILL)
	_ = s.cmd.Wait() // says that it was killed
	s.cmd = nil
}

func (s *memcachedServer) signal(sig syscall.Signal) {
	if err := s.cmd.Process.Signal(sig); err != nil {
		s.t.Errorf("cannot send %v to memcached: %v", sig, err)
	}
}

// pause stops the process, and waits until it really stands still: the signal alone leaves it time for another answer.
func (s *memcachedServer) pause() {
	s.t.Helper()
	s.signal(syscall.SIGSTOP)
	eventually(s.t, "memcached stands still", func() bool {
		tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", s.cmd.Process.Pid))
		if err != nil || len(tasks) == 0 {
			s.t.Fatalf("cannot read the state of memcached: %v", err)
		}
		for _, task := range tasks {
			if stat, err := os.ReadFile(task); err != nil || !bytes.Contains(stat, []byte(") T ")) {
				return false
			}
		}
		return true
	})
}

func (s *memcachedServer) resume() { s.signal(syscall.SIGCONT) }

// patience is the limit of a call that should work; only a failing test uses it up.
const patience = 20 * time.Second

// eventually polls until ok or half a minute has passed.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("not within 30 s: %s", what)
		}
		time.Sleep(2 * time.Millisecond) // between two looks at a real process
	}
}

// logBuffer is a log that a test reads while it is written.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) count(s string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return bytes.Count(l.b.Bytes(), []byte(s))
}

// proxy is one tier of a test, with its log.
type proxy struct {
	*Tier
	logged *logBuffer
}

// openTier opens a tier on the servers, which are named n1, n2, ..., and closes it with the test. Its time-out is for a loaded machine; a test that
// stops a server's process sets a shorter one.
func openTier(t *testing.T, servers []*memcachedServer, change func(*Config)) proxy {
	t.Helper()
	cfg := Config{Kind: KindMemcached, Copies: min(2, len(servers)), Retry: 20 * time.Millisecond, Timeout: 5 * time.Second, QueueTimeout: patience}
	for i, s := range servers {
		cfg.Nodes = append(cfg.Nodes, Node{Name: fmt.Sprintf("n%d", i+1), Address: s.address()})
	}
	if len(servers) == 0 {
		cfg.Kind = KindEmbedded
	}
	if change != nil {
		change(&cfg)
	}
	logged := &logBuffer{}
	tier, err := Open(cfg, zerolog.New(logged))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(tier.Close)
	return proxy{tier, logged}
}

func startServers(t *testing.T, n int) []*memcachedServer {
	servers := make([]*memcachedServer, n)
	for i := range servers {
		servers[i] = startMemcached(t)
	}
	return servers
}

func ctxFor(t *testing.T, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

func key(id string) Key { return Key{Pool: "shop", App: "localhost/shop", BaseID: id} }

func rec(version, owner, state string) Record {
	v, err := ParseVersion(version)
	if err != nil {
		panic(err)
	}
	return Record{Version: v, Owner: owner, TTL: time.Minute, State: []byte(state)}
}

func (p proxy) mustSave(t *testing.T, k Key, r Record) {
	t.Helper()
	if err := p.Save(ctxFor(t, patience), k, r); err != nil {
		t.Fatal(err)
	}
}

func (p proxy) wantSave(t *testing.T, k Key, r Record, want error) {
	t.Helper()
	if err := p.Save(ctxFor(t, patience), k, r); !errors.Is(err, want) {
		t.Fatalf("Save %s of %s: error %v, want %v", r.Version, r.Owner, err, want)
	}
}

func (p proxy) wantRecord(t *testing.T, k Key, version, owner, state string) {
	t.Helper()
	got, err := p.Lookup(ctxFor(t, patience), k)
	if err != nil {
		t.Fatal(err)
	}
	if got.Version.String() != version || got.Owner != owner || string(got.State) != state {
		t.Fatalf("Lookup: version %s of %s, state %q; want version %s of %s, state %q", got.Version, got.Owner, got.State, version, owner, state)
	}
}

func (p proxy) wantLookup(t *testing.T, k Key, want error) {
	t.Helper()
	if got, err := p.Lookup(ctxFor(t, patience), k); !errors.Is(err, want) {
		t.Fatalf("Lookup: version %s, error %v; want error %v", got.Version, err, want)
	}
}

func (p proxy) mustClaim(t *testing.T, k Key, owner, version string) Record {
	t.Helper()
	r, err := p.Claim(ctxFor(t, patience), k, owner)
	if err != nil {
		t.Fatal(err)
	}
	if r.Version.String() != version || r.Owner != owner {
		t.Fatalf("Claim: version %s of %s, want %s of %s", r.Version, r.Owner, version, owner)
	}
	return r
}

func (p proxy) waitNode(t *testing.T, i int, alive bool) {
	t.Helper()
	eventually(t, fmt.Sprintf("node %d alive: %t", i, alive), func() bool { return p.nodes[i].alive() == alive })
}

// copies returns what each node, in their own order, holds of a session: "2.1", "absent", "tombstone", ...
func (p proxy) held(t *testing.T, k Key) map[string]string {
	t.Helper()
	held := map[string]string{}
	for _, c := range p.Where(ctxFor(t, patience), k) {
		held[c.Node] = c.State
		if c.State == CopyPresent {
			held[c.Node] = c.Version.String()
		}
	}
	return held
}
