package serve

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"rehydra/e2e/harness"
)

func TestReadyNamesWhatIsOpen(t *testing.T) {
	t.Parallel()
	b := start(t, "node1", nil)
	p := serve(t, settings{"server": {`listen = ["127.0.0.1:0", "127.0.0.2:0", "[::1]:0"]`}}, b)
	if pid := p.ready["pid"]; pid != float64(p.cmd.Process.Pid) {
		t.Errorf("pid is %v, wanted %d", pid, p.cmd.Process.Pid)
	}
	if p.ready.Text("version") == "" {
		t.Errorf("no version in %v", p.ready)
	}
	addresses := p.addresses()
	if len(addresses) != 3 {
		t.Fatalf("ready names %v, wanted three addresses", addresses)
	}
	for i, host := range []string{"127.0.0.1", "127.0.0.2", "::1"} {
		got, port, err := net.SplitHostPort(addresses[i])
		if err != nil || got != host || port == "0" {
			t.Errorf("address %d is %s, wanted %s and a port", i, addresses[i], host)
		}
		dial(t, addresses[i]).get("/").want(t, 200, "node1")
	}
	p.terminate()
	for _, address := range addresses {
		wantRefused(t, address)
	}
	wantRefused(t, p.ready.Text("admin"))
}

// wantRefused wants that nobody listens.
func wantRefused(t *testing.T, address string) {
	t.Helper()
	var d net.Dialer
	conn, err := d.DialContext(t.Context(), "tcp", address)
	if err == nil {
		conn.Close()
		t.Errorf("%s still accepts", address)
	}
}

func TestAddressInUse(t *testing.T) {
	t.Parallel()
	b := start(t, "node1", nil)
	free, taken := harness.FreeAddress(t), b.address
	for name, s := range map[string]settings{
		"the second of two": {"server": {fmt.Sprintf("listen = [%q, %q]", free, taken)}},
		"the admin's":       {"server": {fmt.Sprintf("listen = [%q]", free)}, "admin": {fmt.Sprintf("listen = %q", taken)}},
		"not of this host":  {"server": {fmt.Sprintf("listen = [%q, %q]", free, "192.0.2.1:80")}},
	} {
		t.Run(name, func(t *testing.T) {
			p := launch(t, s.toml(b))
			if code := p.exit(); code != 1 {
				t.Errorf("exit code %d, wanted 1", code)
			}
			address := taken
			if strings.Contains(name, "not of") {
				address = "192.0.2.1:80"
			}
			if said := p.stderr.String(); !strings.Contains(said, fmt.Sprintf("cannot listen on %q", address)) {
				t.Errorf("it said %q, wanted that it cannot listen on %s", said, address)
			}
			if len(p.events("ready")) > 0 {
				t.Error("it was ready")
			}
			wantRefused(t, free)
		})
	}
}

func TestBadConfigurations(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, file, want string }{
		{"many at once", `[server]
listen = ["127.0.0.1"]
drain = "1s"
drain_timeout = 30
[session]
save = "snyc"
[store]
nodes = ["n1=127.0.0.1:1"]
[[pool]]
[[pool.backend]]
route = "node1"
url = "http:/127.0.0.1:8081"
[[pool.backend]]
route = "node1"
url = "ajp://127.0.0.1:8009"
`, `2: server.listen: given "127.0.0.1", wanted
3: server.drain: given an unknown key, wanted one of
4: server.drain_timeout: given 30 (an integer), wanted a duration such as
5: session.token: given nothing, wanted
6: session.save: given "snyc", wanted "sync" or "async"
12: pool.backend.url: given "http:/127.0.0.1:8081", wanted
14: pool.backend.route: given "node1", which another backend of pool "default" has too, wanted
15: pool.backend.url: given "ajp://127.0.0.1:8009", wanted "http://host:port": AJP comes in a later version`},
		{"no TOML", "[server\n", "2: given"},
		{"empty", "", "1: pool: given nothing, wanted at least one [[pool]]"},
		{"a token file that is missing", "[session]\ntoken_file = \"nobody\"\n[store]\nnodes = [\"n1=127.0.0.1:1\"]\n[[pool]]\n[[pool.backend]]\nroute = \"n\"\nurl = \"http://127.0.0.1:1\"\n",
			"2: session.token_file: given"},
	}
	for _, test := range tests {
		for _, command := range []string{"serve", "check"} {
			t.Run(test.name+"/"+command, func(t *testing.T) {
				p := &program{t: t, file: filepath.Join(t.TempDir(), "bad.toml")}
				p.write(test.file)
				p.start(command, "--config", p.file)
				if code := p.exit(); code != 2 {
					t.Errorf("exit code %d, wanted 2", code)
				}
				got := strings.Split(strings.TrimSpace(p.stderr.String()), "\n")
				want := strings.Split(test.want, "\n")
				if len(got) != len(want) {
					t.Fatalf("got %d lines, wanted %d:\n%s", len(got), len(want), strings.Join(got, "\n"))
				}
				for i := range want {
					if !strings.HasPrefix(got[i], p.file+":"+want[i]) {
						t.Errorf("got  %s\nwanted %s:%s ...", got[i], p.file, want[i])
					}
				}
			})
		}
	}
}

func TestBadUsage(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		args []string
		says string
	}{
		{nil, "a command is missing"},
		{[]string{"serve"}, "config"},
		{[]string{"serve", "--config", "/nowhere/rehydra.toml"}, "/nowhere/rehydra.toml"},
		{[]string{"serve", "--confg", "x"}, "--confg"},
		{[]string{"serve", "--config", "x", "y"}, "y"},
		{[]string{"server"}, "server"},
	} {
		p := &program{t: t}
		p.start(test.args...)
		if code := p.exit(); code != 2 {
			t.Errorf("%v: exit code %d, wanted 2", test.args, code)
		}
		if said := p.stderr.String(); !strings.Contains(said, test.says) {
			t.Errorf("%v: it said %q, wanted something of %q", test.args, said, test.says)
		}
	}
}

func TestAdminListenerOff(t *testing.T) {
	t.Parallel()
	b := start(t, "node1", nil)
	p := serve(t, settings{"admin": {`listen = ""`}}, b)
	if admin := p.ready.Text("admin"); admin != "" {
		t.Errorf("ready names %q as the admin listener", admin)
	}
	p.get("/").want(t, 200, "node1")
	// Port 8079 is the default: nothing of this process may be there.
	if n := p.listening(); n != 1 {
		t.Errorf("%d sockets listen, wanted 1", n)
	}
	p.terminate()
}

func TestMetricsAreThereFromTheStart(t *testing.T) {
	t.Parallel()
	b := start(t, "node1", nil)
	for name, s := range map[string]settings{
		"without a store": {},
		"with a store":    {"session": {`token = "a-token-0123456789abcdef"`}, "store": {`kind = "embedded"`}},
	} {
		t.Run(name, func(t *testing.T) {
			p := serve(t, s, b)
			page := p.admin("/metrics")
			for _, metric := range []string{"saves", "restores", "lost", "fenced", "conflicts", "unprotected"} {
				if line := "\nrehydra_session_" + metric + "_total 0\n"; !strings.Contains(page, line) {
					t.Errorf("no line %q in\n%s", strings.TrimSpace(line), page)
				}
			}
			for line := range strings.Lines(page) {
				if !strings.HasPrefix(line, "#") && !strings.HasPrefix(line, "rehydra_") {
					t.Errorf("a metric of another name: %s", line)
				}
			}
		})
	}
}

// admin returns a page of the admin listener.
func (p *program) admin(path string) string {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+p.ready.Text("admin")+path, nil)
	if err != nil {
		p.t.Fatal(err)
	}
	resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != 200 {
		p.t.Fatalf("%s: %d, %v", path, resp.StatusCode, err)
	}
	return string(data)
}

// metric returns a sample of GET /metrics, whose labels stand as they are there.
func (p *program) metric(name string) string {
	p.t.Helper()
	for line := range strings.Lines(p.admin("/metrics")) {
		if value, ok := strings.CutPrefix(line, name+" "); ok {
			return strings.TrimSpace(value)
		}
	}
	p.t.Fatalf("no metric %s", name)
	return ""
}

// number is metric for a whole number.
func (p *program) number(name string) int {
	p.t.Helper()
	n, err := strconv.Atoi(p.metric(name))
	if err != nil {
		p.t.Fatal(err)
	}
	return n
}

// waitBackend waits until the program thinks that a backend is up, or out.
func (p *program) waitBackend(b *backend, up bool) {
	p.t.Helper()
	want := "0"
	if up {
		want = "1"
	}
	harness.Eventually(p.t, fmt.Sprintf("backend %s up = %v", b.route, up), func() bool {
		return p.metric(fmt.Sprintf("rehydra_backend_up{backend=%q,pool=%q}", b.route, "shop")) == want
	})
}
