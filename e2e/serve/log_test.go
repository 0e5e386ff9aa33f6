package serve

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"rehydra/e2e/harness"
)

// everyRequest are the fields that each request's event has; the others depend on what happened.
var everyRequest = []string{"level", "time", "message", "method", "path", "status", "bytes", "duration_us", "session", "client", "proto"}

// atBackend are the fields of a request that a backend answered.
var atBackend = []string{"pool", "backend", "route", "attempts", "backend_us"}

func TestAccessLog(t *testing.T) {
	t.Parallel()
	b := start(t, "node1", func(q *call) {
		switch {
		case q.path("/early"):
			q.send("HTTP/1.1 103 Early Hints\r\nLink: </x.css>\r\n\r\n")
			q.reply(200, "late")
		case q.path("/created"):
			q.send("HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n")
		case q.path("/garbage"):
			q.send("garbage\r\n\r\n")
			q.close()
		default:
			q.ok()
		}
	})
	p := serve(t, settings{"pool": {`match = ["/app/*", "/early", "/created", "/garbage"]`}}, b)
	tests := []struct {
		raw  string
		want map[string]any // beside the fields of every request
		more []string       // further fields
	}{
		{head("GET", "/app/a?q=1"), map[string]any{"method": "GET", "path": "/app/a", "status": 200, "session": "none", "pool": "shop", "route": "node1", "attempts": 1}, atBackend},
		{head("POST", "/app/b", "Cookie: JSESSIONID=0123456789ABCDEF.node1", "Content-Length: 0"),
			map[string]any{"method": "POST", "path": "/app/b", "session": "sticky", "session_id": "01234567", "route_asked": "node1", "route": "node1"},
			append([]string{"session_id", "route_asked"}, atBackend...)},
		{head("GET", "/app/c;jsessionid=0123456789.node7;v=2/d"),
			map[string]any{"path": "/app/c/d", "session": "none", "session_id": "01234", "route_asked": "node7", "route": "node1"},
			append([]string{"session_id", "route_asked"}, atBackend...)},
		{head("GET", "/early"), map[string]any{"status": 200}, atBackend},
		{head("GET", "/created"), map[string]any{"status": 201}, atBackend},
		{head("GET", "/elsewhere?q"), map[string]any{"path": "/elsewhere", "status": 404, "failure": "no pool"}, []string{"failure"}},
		{head("GET", "/garbage"), map[string]any{"status": 502, "failure": "malformed answer"}, []string{"failure", "pool", "backend", "route", "attempts"}},
		{head("TRACE", "/trace"), map[string]any{"status": 405, "failure": "method"}, []string{"failure"}},
		{"what is this?\r\n\r\n", map[string]any{"method": "", "path": "", "status": 400, "failure": "malformed request"}, []string{"failure"}},
	}
	sizes := make([]int64, len(tests))
	for i, test := range tests {
		c := dial(t, p.address)
		c.send("%s", test.raw)
		if a := c.answer("GET"); a.status < 200 {
			c.answer("GET")
		}
		sizes[i] = c.got
		p.waitEvents("request", i+1) // on connections of their own they could overtake one another
	}
	events := p.waitEvents("request", len(tests))
	for i, test := range tests {
		want := map[string]any{"client": "127.0.0.1", "level": "info", "status": 200, "bytes": sizes[i]}
		maps.Copy(want, test.want)
		checkEvent(t, test.raw, events[i], want, slices.Concat(test.more, everyRequest))
	}
}

// checkEvent wants values, and exactly these fields.
func checkEvent(t *testing.T, what string, e harness.Event, want map[string]any, fields []string) {
	t.Helper()
	for name, value := range want {
		if fmt.Sprint(e[name]) != fmt.Sprint(value) {
			t.Errorf("%q: %s is %v, wanted %v", what, name, e[name], value)
		}
	}
	got := slices.Sorted(maps.Keys(e))
	slices.Sort(fields)
	if !slices.Equal(got, slices.Compact(fields)) {
		t.Errorf("%q: the event has the fields\n%v, wanted\n%v", what, got, fields)
	}
	for _, name := range []string{"duration_us", "backend_us"} {
		if us, ok := e[name].(float64); ok && (us < 0 || us > 60e6) {
			t.Errorf("%q: %s is %v", what, name, us)
		}
	}
}

func TestLogToAFileThatIsRotated(t *testing.T) {
	t.Parallel()
	b := start(t, "node1", nil)
	path := filepath.Join(t.TempDir(), "rehydra.log")
	s := settings{"log": {fmt.Sprintf("output = %q", path)}, "server": {fmt.Sprintf("listen = [%q]", harness.FreeAddress(t))}}
	p := launch(t, s.toml(b))
	ready := func() []harness.Event { return withMessage(read(t, path), "ready") }
	harness.Eventually(t, "the file says ready", func() bool { return len(ready()) == 1 })
	p.ready = ready()[0]
	p.address = p.addresses()[0]
	const each = 50
	send := func(path string) {
		for i := range each {
			p.get(fmt.Sprintf("%s/%d", path, i)).wantStatus(t, 200)
		}
	}
	send("/before")
	harness.Eventually(t, "the requests are in the file", func() bool { return len(withMessage(read(t, path), "request")) == each })
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	send("/renamed")
	p.signal(syscall.SIGHUP)
	harness.Eventually(t, "the new file is in use", func() bool { return len(withMessage(read(t, path), reloaded)) == 1 })
	send("/after")
	p.terminate()
	old, now := withMessage(read(t, path+".1"), "request"), withMessage(read(t, path), "request")
	if len(old)+len(now) != 3*each {
		t.Errorf("%d and %d requests logged, wanted %d in all", len(old), len(now), 3*each)
	}
	if len(old) < each {
		t.Errorf("%d requests in the renamed file, wanted %d at least", len(old), each)
	}
	if len(now) < each {
		t.Errorf("%d requests in the new file, wanted %d at least", len(now), each)
	}
	if n := len(withMessage(read(t, path), "stopped")); n != 1 {
		t.Errorf("%d events stopped, wanted 1", n)
	}
	if said := p.stderr.String(); said != "" {
		t.Errorf("stderr got %q", said)
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return string(data)
}

// TestFullDisk: with no room for the log requests go on, and what was lost is told once there is room.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	b := start(t, "node1", nil)
	path := filepath.Join(t.TempDir(), "rehydra.log")
	if err := os.Symlink("/dev/full", path); err != nil {
		t.Fatal(err)
	}
	address := harness.FreeAddress(t)
	p := launch(t, settings{"log": {fmt.Sprintf("output = %q", path)}, "server": {fmt.Sprintf("listen = [%q]", address)}}.toml(b))
	p.address = address
	harness.Eventually(t, "it serves", func() bool { return p.listening() == 2 })
	const each = 100
	for range each {
		p.get("/").want(t, 200, "node1")
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	p.signal(syscall.SIGHUP)
	var lost []harness.Event
	harness.Eventually(t, "the log says what was lost", func() bool {
		lost = withMessage(read(t, path), "log lines lost")
		return len(lost) > 0
	})
	for range each {
		p.get("/").want(t, 200, "node1")
	}
	p.terminate()
	// "ready" was lost; how many requests were depends on when the log was written.
	written := len(withMessage(read(t, path), "request"))
	if n, _ := lost[0]["lost"].(float64); int(n)+written != 2*each+1 || len(lost) != 1 {
		t.Errorf("lost: %v, written: %d, wanted %d in all", lost, written, 2*each+1)
	}
}

// TestFullDiskToTheEnd: nor does a log that takes nothing at all change how the program ends.
func TestFullDiskToTheEnd(t *testing.T) {
	t.Parallel()
	b := start(t, "node1", nil)
	address := harness.FreeAddress(t)
	p := launch(t, settings{"log": {`output = "/dev/full"`}, "server": {fmt.Sprintf("listen = [%q]", address)}}.toml(b))
	p.address = address
	harness.Eventually(t, "it serves", func() bool { return p.listening() == 2 })
	p.get("/").want(t, 200, "node1")
	p.terminate()
}

func TestLogThatCannotBeOpened(t *testing.T) {
	t.Parallel()
	b := start(t, "node1", nil)
	p := launch(t, settings{"log": {`output = "/nowhere/rehydra.log"`}}.toml(b))
	if code := p.exit(); code != 1 {
		t.Errorf("exit code %d, wanted 1", code)
	}
	if said := p.stderr.String(); !strings.Contains(said, "/nowhere/rehydra.log") {
		t.Errorf("it said %q, wanted the file's name", said)
	}
}

func TestConsoleFormat(t *testing.T) {
	t.Parallel()
	b := start(t, "node1", nil)
	address := harness.FreeAddress(t)
	p := launch(t, settings{"log": {`format = "console"`}, "server": {fmt.Sprintf("listen = [%q]", address)}}.toml(b))
	p.address = address
	harness.Eventually(t, "the console says ready", func() bool { return strings.Contains(p.stderr.String(), "ready") })
	p.get("/people").want(t, 200, "node1")
	p.terminate()
	lines := strings.Split(strings.TrimSpace(p.stderr.String()), "\n")
	if len(lines) != 4 { // ready, request, draining, stopped
		t.Errorf("%d lines, wanted 4", len(lines))
	}
	for _, line := range lines {
		if json.Valid([]byte(line)) || strings.ContainsRune(line, '\x1b') {
			t.Errorf("not for people, or with colours for a file: %q", line)
		}
	}
	if !strings.Contains(p.stderr.String(), "path=/people") || !strings.Contains(p.stderr.String(), address) {
		t.Errorf("request or address is missing:\n%s", p.stderr.String())
	}
}
