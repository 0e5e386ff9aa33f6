package upgrade

import (
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"rehydra/e2e/harness"
)

// TestHandOver: another binary takes over, at the same addresses. Whoever has a connection to the old process gets the answer that is due and one more.
func TestHandOver(t *testing.T) {
	t.Parallel()
	next := harness.Build(t, "rehydra/cmd/rehydra", "-ldflags", "-X main.version=the-next-one") // before there are clients, who have no time for it
	b := startBackend(t, "node1")
	c := config{backends: []*backend{b}, server: []string{`pid_file = "pid"`}}
	s := start(t, c.toml(), options{})
	first, address, admin := s.pid(), s.address(), s.current().Text("admin")
	idle, silent, held := dial(t, address), dial(t, address), dial(t, address)
	idle.get(t, "/")
	if err := held.send("GET", "/held", 0); err != nil {
		t.Fatal(err)
	}
	<-b.held

	s.install(next)
	ready := s.handOver()
	if got := ready.Text("version"); got != "the-next-one" {
		t.Errorf("version %q took over, wanted the one that was installed", got)
	}
	if got := number(ready, "replaces"); got != first {
		t.Errorf("the event ready says that it replaces %d, wanted %d", got, first)
	}
	if s.address() != address || s.current().Text("admin") != admin {
		t.Errorf("it listens at %s and %s, wanted %s and %s as before", s.address(), s.current().Text("admin"), address, admin)
	}
	if text, err := os.ReadFile(s.path("pid")); err != nil || strings.TrimSpace(string(text)) != strconv.Itoa(s.pid()) {
		t.Errorf("the PID file holds %q (%v), wanted %d", text, err, s.pid())
	}
	s.wait(handedOver, 1)
	for _, c := range []*client{idle, silent} {
		c.getLast(t)
		c.closed(t)
	}
	harness.Eventually(t, "an answer on a new connection, to the new process, without Connection: close", func() bool { return !dial(t, address).get(t, "/").close })
	close(b.release)
	if a, err := held.receive("GET"); err != nil || a.status != 200 || !a.close {
		t.Errorf("the request that ran: %+v, %v; wanted 200 and Connection: close", a, err)
	}
	s.exit(0)
	if n := len(s.events("stopped")); n != 1 {
		t.Errorf("%d events stopped, wanted 1", n)
	}
	s.stop()
	if _, err := os.Stat(s.path("pid")); err == nil {
		t.Error("the PID file is left")
	}
}

// TestHandOverFails: whatever is wrong with the next process, this one goes on, says why, and can try again.
func TestHandOverFails(t *testing.T) {
	t.Parallel()
	b := startBackend(t, "node1")
	c := config{backends: []*backend{b}}
	s := start(t, c.toml(), options{})
	first, kept := s.pid(), dial(t, s.address())
	taken := dial(t, b.address).conn.RemoteAddr().String()
	for name, test := range map[string]struct {
		prepare func()
		wants   []string
	}{
		"a configuration with a fault": {func() { s.configure("[server]\nlisten = 7\n") }, []string{configFile + ":2", "listen"}},
		"an address in use":            {func() { s.configure(config{listen: []string{taken}, backends: c.backends}.toml()) }, []string{taken, "in use"}},
		"a program that ends":          {func() { s.installScript("exit 3") }, []string{"never ready", "exit status 3"}},
		"a program that says nonsense": {func() { s.installScript("echo ready >&5; exec sleep 1000") }, []string{"cannot read what the next process"}},
		"no program":                   {func() { os.Remove(s.path(binaryFile)) }, []string{"cannot find the next binary", "no such file"}},
		"no program at all":            {func() { s.installText("\x7fELF") }, []string{"cannot start"}},
	} {
		t.Run(name, func(t *testing.T) {
			test.prepare()
			said := s.failHandOver()
			for _, want := range test.wants {
				if !strings.Contains(said, want) {
					t.Errorf("the log says %q, wanted something of %q", said, want)
				}
			}
			kept.get(t, "/")
			dial(t, s.address()).get(t, "/")
			if pids := s.processes(); len(pids) != 1 || pids[0] != first {
				t.Errorf("processes %v, wanted only %d", pids, first)
			}
			s.configure(c.toml())
			s.install(harness.Binary(t))
		})
	}
	s.handOver()
	kept.getLast(t)
	kept.closed(t)
	s.exit(0)
	s.handOver()
	dial(t, s.address()).get(t, "/")
	s.stop()
}

// TestHandOverThatHangs: signals that come while the next process gets ready are not lost.
func TestHandOverThatHangs(t *testing.T) {
	t.Parallel()
	b := startBackend(t, "node1")
	c := config{backends: []*backend{b}}
	s := start(t, c.toml(), options{})
	s.installScript("while [ ! -e go ]; do sleep 0.01; done; exit 1")
	s.signal(syscall.SIGUSR2)
	s.wait("handing over", 1)
	s.signal(syscall.SIGUSR2)
	s.wait("a hand-over is under way", 1)
	dial(t, s.address()).get(t, "/")
	s.signal(syscall.SIGHUP)
	if err := os.WriteFile(s.path("go"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	s.wait(noHandOver, 1)
	s.wait(reloaded, 1)

	s.installScript("exec sleep 1000")
	s.signal(syscall.SIGUSR2)
	s.wait("handing over", 2)
	s.signal(syscall.SIGTERM)
	s.exit(0)
	harness.Eventually(t, "the process that was started has ended too", func() bool { return len(s.processes()) == 0 })
}

// TestReloadDuringHandOver: a SIGHUP that comes while the next process gets ready is for that one.
func TestReloadDuringHandOver(t *testing.T) {
	t.Parallel()
	b := startBackend(t, "node1")
	c := config{backends: []*backend{b}}
	s := start(t, c.toml(), options{})
	s.installScript(`while [ ! -e go ]; do sleep 0.01; done; exec "` + harness.Binary(t) + `" "$@"`)
	s.signal(syscall.SIGUSR2)
	s.wait("handing over", 1)
	s.signal(syscall.SIGHUP)
	fresh := dial(t, s.address())
	fresh.get(t, "/", "Connection: close") // the signal was there before go is
	fresh.closed(t)
	if err := os.WriteFile(s.path("go"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	s.wait("ready", 2)
	s.wait(reloaded, 1)
	s.exit(0)
	s.stop()
}

// TestSecondSignalEndsTheWait: a process that has handed over waits for its idle clients, until it is told not to.
func TestSecondSignalEndsTheWait(t *testing.T) {
	t.Parallel()
	b := startBackend(t, "node1")
	s := start(t, config{backends: []*backend{b}}.toml(), options{})
	first, idle := s.pid(), dial(t, s.address())
	idle.get(t, "/")
	s.handOver()
	s.wait(handedOver, 1)
	if err := syscall.Kill(first, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	idle.closed(t)
	s.exit(0)
	dial(t, s.address()).get(t, "/")
	s.stop()
}

// TestHandOverCuts: what has not ended after drain_timeout is cut; idle clients are not counted as that.
func TestHandOverCuts(t *testing.T) {
	t.Parallel()
	b := startBackend(t, "node1")
	s := start(t, config{backends: []*backend{b}, server: []string{`drain_timeout = "300ms"`}}.toml(), options{})
	idle, held := dial(t, s.address()), dial(t, s.address())
	idle.get(t, "/")
	if err := held.send("GET", "/held", 0); err != nil {
		t.Fatal(err)
	}
	<-b.held
	s.handOver()
	s.exit(0)
	if cut := number(s.wait("stopped: requests were cut", 1), "cut"); cut != 1 {
		t.Errorf("%d requests cut, wanted 1", cut)
	}
	idle.closed(t)
	s.stop()
}

// TestHandOverKnowsWhoIsOut: the next process does not have to find out anew, at the cost of requests, which backends do not answer.
func TestHandOverKnowsWhoIsOut(t *testing.T) {
	t.Parallel()
	up, out := startBackend(t, "node1"), &backend{route: "node2", address: harness.FreeAddress(t)}
	s := start(t, config{backends: []*backend{up, out}}.toml(), options{})
	s.wait("backend out", 1)
	s.handOver()
	again := s.wait("backend out", 2)
	if reason := again.Text("reason"); !strings.HasPrefix(reason, "known to be out: ") {
		t.Errorf("the next process says %q, wanted that it was known", reason)
	}
	s.stop()
}
