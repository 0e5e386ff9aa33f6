package upgrade

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"rehydra/e2e/harness"
)

// fixed returns an address that nobody listens on: the next one who asks may get it too, so it is asked for a host of its own.
func fixed(t *testing.T) string {
	t.Helper()
	return harness.FreeAddress(t)
}

// TestReloadMovesListeners: SIGHUP opens addresses and closes those that are gone; the others, and every connection, stay.
func TestReloadMovesListeners(t *testing.T) {
	t.Parallel()
	b := startBackend(t, "node1")
	stays, goes, comes, admin := fixed(t), fixed(t), fixed(t), fixed(t)
	c := config{listen: []string{stays, goes}, backends: []*backend{b}}
	s := start(t, c.toml(), options{})
	oldAdmin := s.current().Text("admin")
	onStays, onGoes := dial(t, stays), dial(t, goes)
	onStays.get(t, "/")
	onGoes.get(t, "/")

	c.listen, c.admin = []string{comes, stays}, admin
	s.configure(c.toml())
	said := s.reload(reloaded)
	if got := s.addresses(); !slices.Equal(slices.Sorted(slices.Values(got)), slices.Sorted(slices.Values(c.listen))) || said.Text("admin") != admin {
		t.Errorf("it says that it listens at %v and %s, wanted %v and %s", got, said.Text("admin"), c.listen, admin)
	}
	for _, address := range c.listen {
		dial(t, address).get(t, "/")
	}
	for _, gone := range []string{goes, oldAdmin} {
		harness.Eventually(t, gone+" is closed", func() bool { return refused(t, gone) })
	}
	for _, kept := range []*client{onStays, onGoes} {
		if a := kept.get(t, "/"); a.close {
			t.Error("a connection is to end, which the reload has nothing to do with")
		}
	}
	// And back again.
	c.listen, c.admin = []string{goes, stays}, ""
	s.configure(c.toml())
	s.reload(reloaded)
	dial(t, goes).get(t, "/")
	harness.Eventually(t, comes+" is closed", func() bool { return refused(t, comes) })
	onGoes.get(t, "/")
	s.stop()
}

// TestReloadTakesAnAddressBack: an address that has just been taken away can be had again at once, also after a reload that failed in between.
func TestReloadTakesAnAddressBack(t *testing.T) {
	t.Parallel()
	b := startBackend(t, "node1")
	stays, goes := fixed(t), fixed(t)
	both := config{listen: []string{stays, goes}, backends: []*backend{b}}
	one := config{listen: []string{stays}, backends: []*backend{b}}
	broken := config{listen: []string{stays, goes, b.address}, backends: []*backend{b}}
	s := start(t, both.toml(), options{})
	for range 5 {
		s.configure(one.toml())
		s.reload(reloaded)
		s.configure(broken.toml())
		s.reload(notReloaded)
		s.configure(both.toml())
		s.reload(reloaded)
		dial(t, goes).get(t, "/")
	}
	s.configure(one.toml())
	s.reload(reloaded)
	s.configure(broken.toml())
	s.reload(notReloaded)
	harness.Eventually(t, goes+" is closed", func() bool { return refused(t, goes) })
	s.stop()
}

// TestReloadThatCannotListen: an address that cannot be opened leaves everything as it was.
func TestReloadThatCannotListen(t *testing.T) {
	t.Parallel()
	one, two := startBackend(t, "node1"), startBackend(t, "node2")
	stays, comes, taken := fixed(t), fixed(t), one.address
	s := start(t, config{listen: []string{stays}, backends: []*backend{one}}.toml(), options{})
	for name, c := range map[string]config{
		"of clients":           {listen: []string{comes, taken}},
		"of the admin pages":   {listen: []string{comes}, admin: taken},
		"that systemd has not": {listen: []string{comes, "systemd:http"}},
	} {
		c.backends = []*backend{two}
		s.configure(c.toml())
		said := s.reload(notReloaded).Text("error")
		want := taken
		if strings.Contains(name, "systemd") {
			want = "FileDescriptorName=http"
		}
		if !strings.Contains(said, want) {
			t.Errorf("an address %s: the log says %q, wanted something of %s", name, said, want)
		}
		harness.Eventually(t, fmt.Sprintf("an address %s: %s is closed after a reload that failed", name, comes), func() bool { return refused(t, comes) })
		if a := dial(t, stays).get(t, "/"); a.header.Get("X-Route") != "node1" {
			t.Errorf("an address %s: %s answers after a reload that failed", name, a.header.Get("X-Route"))
		}
	}
	s.stop()
}

// TestReloadServesWhoWaits: connections that wait to be accepted when their address goes are served, not reset. They are made faster than they can be accepted,
// up to the moment at which the address is closed.
func TestReloadServesWhoWaits(t *testing.T) {
	t.Parallel()
	b := startBackend(t, "node1")
	stays, goes := fixed(t), fixed(t)
	for range 3 {
		s := start(t, config{listen: []string{stays, goes}, backends: []*backend{b}}.toml(), options{})
		s.configure(config{listen: []string{stays}, backends: []*backend{b}}.toml())
		before := len(s.events(reloaded))
		s.signal(syscall.SIGSTOP)
		var waiting []*client
		for range 100 { // the kernel makes connections for a process that sleeps
			c := dial(t, goes)
			if err := c.send("GET", "/", 0); err != nil {
				t.Fatal(err)
			}
			waiting = append(waiting, c)
		}
		s.signal(syscall.SIGHUP)
		s.signal(syscall.SIGCONT)
		for i, c := range waiting {
			if a, err := c.receive("GET"); err != nil || a.status != 200 {
				t.Fatalf("connection %d of those that waited: %d %v, wanted 200", i, a.status, err)
			}
		}
		// Until it is closed nobody is refused whose connection was made.
		for {
			c, err := connect(t.Context(), goes)
			if errors.Is(err, syscall.ECONNREFUSED) {
				break
			}
			if err != nil {
				t.Fatalf("cannot connect: %v, wanted a connection or that it is refused", err)
			}
			_, err = c.do("GET", "/", 0, "Connection: close")
			c.conn.Close()
			if err != nil {
				t.Fatalf("a connection that was made got no answer: %v", err)
			}
		}
		s.wait(reloaded, before+1)
		if n := len(s.events("a listener that is closed may lose connections")); n > 0 {
			t.Error("the listener could not be closed for new connections")
		}
		s.stop()
	}
}

// TestHandOverMovesListeners: the next process may listen elsewhere; who waits at an address that is gone is served.
func TestHandOverMovesListeners(t *testing.T) {
	t.Parallel()
	b := startBackend(t, "node1")
	stays, goes, comes := fixed(t), fixed(t), fixed(t)
	s := start(t, config{listen: []string{goes, stays}, backends: []*backend{b}}.toml(), options{})
	s.configure(config{listen: []string{stays, comes}, backends: []*backend{b}}.toml())
	s.handOver()
	for _, address := range []string{stays, comes} {
		dial(t, address).get(t, "/")
	}
	harness.Eventually(t, goes+" is closed", func() bool { return refused(t, goes) })
	s.stop()
}

// TestHandOverServesWhoWaits: who waits to be accepted at an address that the next process does not have is served by it all the same, also with TLS. The first
// process stands still meanwhile.
func TestHandOverServesWhoWaits(t *testing.T) {
	t.Parallel()
	b := startBackend(t, "node1")
	trust := harness.NewCertificate(t)
	stays, goes, secure, goesSecure := fixed(t), fixed(t), fixed(t), fixed(t)
	c := config{listen: []string{goes, stays}, backends: []*backend{b}, server: []string{
		"[server.tls]", fmt.Sprintf("listen = [%q, %q]", secure, goesSecure),
		"[[server.tls.certificate]]", fmt.Sprintf("certificate = %q", trust.File), fmt.Sprintf("key = %q", trust.KeyFile),
	}}
	s := start(t, c.toml(), options{})
	first := s.pid()
	c.listen, c.server[1] = []string{stays}, fmt.Sprintf("listen = [%q]", secure)
	s.configure(c.toml())
	s.installScript(`while [ ! -e go ]; do sleep 0.01; done; exec "` + harness.Binary(t) + `" "$@"`)
	s.signal(syscall.SIGUSR2)
	s.wait("handing over", 1)
	s.signal(syscall.SIGSTOP)
	harness.WaitStopped(t, first)
	var waiting []*client
	for n := range 20 {
		if n%2 == 0 {
			waiting = append(waiting, dial(t, goes))
		} else {
			waiting = append(waiting, dialTLS(t, goesSecure, trust))
		}
	}
	if err := os.WriteFile(s.path("go"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	s.wait("ready", 2)
	for n, c := range waiting {
		if err := c.conn.SetDeadline(time.Now().Add(patience)); err != nil { // of the handshake too
			t.Fatal(err)
		}
		if a, err := c.do("GET", "/", 0); err != nil || a.status != 200 {
			t.Fatalf("connection %d of those that waited: %d %v, wanted 200", n, a.status, err)
		}
	}
	if err := syscall.Kill(first, syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	s.exit(0)
	for _, gone := range []string{goes, goesSecure} {
		harness.Eventually(t, gone+" is closed", func() bool { return refused(t, gone) })
	}
	s.stop()
}

// TestReloadKeepsHealth: a backend that is out stays out, without one request to find that out again.
func TestReloadKeepsHealth(t *testing.T) {
	t.Parallel()
	up, other := startBackend(t, "node1"), startBackend(t, "node3")
	out := &backend{route: "node2", address: harness.FreeAddress(t)}
	s := start(t, config{backends: []*backend{up, out}}.toml(), options{})
	s.wait("backend out", 1)
	for range 3 {
		for _, c := range []config{{backends: []*backend{up, out, other}}, {backends: []*backend{out, up}}} {
			s.configure(c.toml())
			s.reload(reloaded)
			dial(t, s.address()).get(t, "/", "Cookie: JSESSIONID=A.node2")
		}
	}
	if n := len(s.events("backend out")); n != 1 {
		t.Errorf("%d events backend out, wanted the first one only", n)
	}
	s.stop()
	if n := len(s.events("backend up")); n != 0 {
		t.Errorf("%d events backend up, wanted none: it was never back", n)
	}
}

// listening opens a socket as systemd does, and returns a copy of its descriptor for another process.
func listening(t *testing.T, address string) (at string, file *os.File) {
	t.Helper()
	var lc net.ListenConfig
	lc.SetMultipathTCP(false) // systemd's are not
	l, err := lc.Listen(context.Background(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	file, err = l.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	return l.Addr().String(), file
}

// sockets are options of a process that systemd passes sockets to.
func sockets(names string, files ...*os.File) options {
	return options{files: files, env: []string{"LISTEN_FDNAMES=" + names, "LISTEN_FDS=" + string(rune('0'+len(files)))}}
}

// TestSocketActivation: sockets of systemd are taken by name or by address, handed over, and given back: systemd's stay open.
func TestSocketActivation(t *testing.T) {
	t.Parallel()
	b := startBackend(t, "node1")
	named, namedFile := listening(t, "127.0.0.1:0")
	byAddress, addressFile := listening(t, "127.0.0.1:0")
	admin, adminFile := listening(t, "127.0.0.1:0")
	c := config{listen: []string{byAddress, "systemd:http"}, admin: "systemd:admin", backends: []*backend{b}}
	early := dial(t, named) // before there is a process: it waits
	if err := early.send("GET", "/", 0); err != nil {
		t.Fatal(err)
	}
	s := start(t, c.toml(), sockets("http::admin", namedFile, addressFile, adminFile))
	if a, err := early.receive("GET"); err != nil || a.status != 200 {
		t.Errorf("a client that was there first: %d %v, wanted 200", a.status, err)
	}
	for range 2 {
		if got := s.addresses(); !slices.Equal(got, []string{byAddress, named}) || s.current().Text("admin") != admin {
			t.Errorf("it listens at %v and %s, wanted %s, %s and %s", got, s.current().Text("admin"), byAddress, named, admin)
		}
		dial(t, named).get(t, "/", "Connection: close")
		dial(t, byAddress).get(t, "/", "Connection: close")
		wantStatusPage(t, admin)
		s.handOver()
	}
	// A reload may do without one, and later not: its clients wait.
	c.listen = []string{byAddress}
	s.configure(c.toml())
	s.reload(reloaded)
	s.stop()
	if n := len(s.events("a listener that is closed may lose connections")); n > 0 {
		t.Error("a socket of systemd was to be closed for new connections")
	}
	waiting := dial(t, named)
	if err := waiting.send("GET", "/", 0); err != nil {
		t.Fatalf("the socket of systemd does not take connections any more: %v", err)
	}
}

// wantStatusPage wants that the admin listener answers at an address.
func wantStatusPage(t *testing.T, address string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/api/status", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Close = true
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != 200 {
		t.Errorf("the admin listener answers %d, wanted 200", resp.StatusCode)
	}
}

// TestSocketsThatDoNotFit: what systemd passes and nobody can use is a fault at the start, with the socket's name.
func TestSocketsThatDoNotFit(t *testing.T) {
	t.Parallel()
	b := startBackend(t, "node1")
	tcp, tcpFile := listening(t, "127.0.0.1:0")
	datagrams, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer datagrams.Close()
	udpFile, err := datagrams.(*net.UDPConn).File()
	if err != nil {
		t.Fatal(err)
	}
	defer udpFile.Close()
	local, err := net.Listen("unix", t.TempDir()+"/socket")
	if err != nil {
		t.Fatal(err)
	}
	defer local.Close()
	localFile, err := local.(*net.UnixListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer localFile.Close()
	for name, test := range map[string]struct {
		listen string
		file   *os.File
		wants  []string
	}{
		"nobody asks for it": {"127.0.0.1:0", tcpFile, []string{`"web"`, tcp, `wanted "systemd:web"`}},
		"another is asked":   {"systemd:http", tcpFile, []string{`"systemd:http"`, "FileDescriptorName=http"}},
		"datagrams":          {"systemd:web", udpFile, []string{`"web"`, "wanted a listening TCP socket"}},
		"a unix socket":      {"systemd:web", localFile, []string{`"web"`, `"unix"`, "wanted tcp"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := launch(t, config{listen: []string{test.listen}, backends: []*backend{b}}.toml(), sockets("web", test.file))
			s.exit(1)
			for _, want := range test.wants {
				if !strings.Contains(s.log(), want) {
					t.Errorf("it says %q, wanted something of %q", s.log(), want)
				}
			}
		})
	}
}
