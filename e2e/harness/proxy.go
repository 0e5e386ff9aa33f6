package harness

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Proxy is a running `rehydra serve`.
type Proxy struct {
	*process
	file    string
	log     *logReader
	address string
	secure  string
	admin   string
}

// Start writes cfg to a file, runs `rehydra serve` with it and returns when its log says ready. When the test ends the process is
// killed; if the test failed, its log is shown.
func Start(t testing.TB, cfg Config) *Proxy {
	t.Helper()
	p := &Proxy{file: filepath.Join(t.TempDir(), "rehydra.toml"), log: &logReader{}}
	p.write(t, cfg)
	cmd := command(Binary(t), "serve", "--config", p.file)
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	read := make(chan struct{})
	t.Cleanup(func() { // after the kill: cleanups run last first
		<-read
		p.log.plain(t)
		if t.Failed() && p.process != nil { // nil: it could not be started
			t.Logf("log of rehydra %d:\n%s", p.PID(), p.log.text())
		}
	})
	p.process = startReading(t, cmd, func() {
		defer close(read)
		p.log.read(stderr)
	})
	t.Cleanup(func() { // before the kill
		if t.Failed() {
			p.end() // so that it writes the rest of its log
		}
	})
	Eventually(t, "rehydra is ready", func() bool {
		ready := p.log.find(Message("ready"))
		if len(ready) == 0 {
			select {
			case <-p.exited:
				t.Fatalf("rehydra ended with %v:\n%s\n%s", p.err, p.log.text(), cfg.TOML())
			default:
			}
			return false
		}
		listen, _ := ready[0]["listen"].([]any)
		if wanted := addresses(cfg); len(listen) != wanted {
			t.Fatalf("the event ready names %v, wanted %d", ready[0]["listen"], wanted)
		}
		p.address, _ = listen[0].(string)
		p.secure, _ = listen[len(listen)-1].(string)
		p.admin = ready[0].Text("admin")
		return true
	})
	return p
}

// end asks the process to stop and gives it some time.
func (p *Proxy) end() {
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return // it has ended
	}
	select {
	case <-p.exited:
	case <-time.After(6 * time.Second): // drain_timeout is 5 s
	}
}

func (p *Proxy) write(t testing.TB, cfg Config) {
	t.Helper()
	if err := os.WriteFile(p.file, []byte(cfg.TOML()), 0o600); err != nil {
		t.Fatal(err)
	}
}

// Address is the host:port where clients go.
func (p *Proxy) Address() string { return p.address }

// Secure is the host:port where clients go with TLS.
func (p *Proxy) Secure() string { return p.secure }

// addresses is how many addresses clients can go to.
func addresses(cfg Config) int {
	if cfg.TLS != nil {
		return 2
	}
	return 1
}

// Admin is the host:port of the admin listener.
func (p *Proxy) Admin() string { return p.admin }

// Stop ends the process with SIGTERM and wants exit code 0.
func (p *Proxy) Stop(t testing.TB) {
	t.Helper()
	p.signal(t, syscall.SIGTERM)
	if code := p.wait(t); code != 0 {
		t.Errorf("exit code %d after SIGTERM, wanted 0", code)
	}
}

// Reload gives the process another configuration and returns when it is in use.
func (p *Proxy) Reload(t testing.TB, cfg Config) {
	t.Helper()
	reloaded := Message("configuration reloaded")
	before := len(p.Events(reloaded))
	p.TryReload(t, cfg)
	Eventually(t, "the configuration is reloaded", func() bool { return len(p.Events(reloaded)) > before })
}

// TryReload gives the process another configuration, which it may refuse.
func (p *Proxy) TryReload(t testing.TB, cfg Config) {
	t.Helper()
	p.write(t, cfg)
	p.signal(t, syscall.SIGHUP)
}

// Events returns the events of the log so far that match. The log is written once a second.
func (p *Proxy) Events(match func(Event) bool) []Event { return p.log.find(match) }

// WaitEvent returns the first event that matches, and waits for it.
func (p *Proxy) WaitEvent(t testing.TB, what string, match func(Event) bool) Event {
	t.Helper()
	var found []Event
	Eventually(t, "an event: "+what, func() bool {
		found = p.log.find(match)
		return len(found) > 0
	})
	return found[0]
}

// WaitUp waits until it uses a backend.
func (p *Proxy) WaitUp(t testing.TB, pool, route string) {
	t.Helper()
	p.WaitMetric(t, `rehydra_backend_up{backend="`+route+`",pool="`+pool+`"}`, 1)
}

// Metric returns a sample of GET /metrics by its name, with its labels as they stand there. A sample that is missing fails the test.
func (p *Proxy) Metric(t testing.TB, name string) float64 {
	t.Helper()
	v, ok := p.Metrics(t)[name]
	if !ok {
		t.Fatalf("no metric %s", name)
	}
	return v
}

// WaitMetric waits until a sample has a value; see Metric.
func (p *Proxy) WaitMetric(t testing.TB, name string, value float64) {
	t.Helper()
	Eventually(t, fmt.Sprintf("%s is %v", name, value), func() bool { return p.Metric(t, name) == value })
}

// Metrics returns all samples by their names.
func (p *Proxy) Metrics(t testing.TB) map[string]float64 {
	t.Helper()
	samples := make(map[string]float64)
	for line := range strings.Lines(string(p.get(t, "/metrics"))) {
		line = strings.TrimSpace(line)
		space := strings.LastIndexByte(line, ' ')
		if space < 0 || line[0] == '#' {
			continue
		}
		v, err := strconv.ParseFloat(line[space+1:], 64)
		if err != nil {
			t.Fatalf("cannot read the metric %q: %v", line, err)
		}
		samples[line[:space]] = v
	}
	return samples
}

func (p *Proxy) get(t testing.TB, path string) []byte {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+p.admin+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{DisableKeepAlives: true}
	resp, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		t.Fatalf("cannot get %s: %v", path, err)
	}
	defer resp.Body.Close()
	var body bytes.Buffer
	if _, err := io.Copy(&body, resp.Body); err != nil {
		t.Fatalf("cannot read %s: %v", path, err)
	}
	return body.Bytes()
}
