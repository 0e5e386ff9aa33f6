package serve

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestErrorPages: an operator's pages are what clients get of our own answers, and only of those; a reload reads them again, and one
// that cannot be read leaves the ones before.
func TestErrorPages(t *testing.T) {
	t.Parallel()
	pages := t.TempDir()
	page := func(status, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(pages, status+".html"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	page("502", "<h1>Sorry</h1>")
	page("503", "<h1>Closed</h1>")
	page("style", "not a page")
	b := start(t, "node1", func(q *call) {
		switch {
		case q.path("/broken"):
			q.send("SSH-2.0\r\n")
			q.close()
		case q.path("/own"):
			q.reply(502, "the application's own")
		default:
			q.ok()
		}
	})
	p := serve(t, settings{"server": {`error_pages = "` + pages + `"`}, "pool.health": {`interval = "1h"`}}, b)
	want := func(target string, status int, kind, body string) {
		t.Helper()
		a := p.get(target)
		a.want(t, status, body)
		if got := a.header.Get("Content-Type"); !strings.HasPrefix(got, kind) {
			t.Errorf("%s: Content-Type is %q, wanted %s", target, got, kind)
		}
	}
	want("/broken", 502, "text/html", "<h1>Sorry</h1>")
	want("/own", 502, "", "the application's own")
	c := dial(t, p.address)
	c.send("%s", head("HEAD", "/broken"))
	if a := c.answer("HEAD"); a.header.Get("Content-Length") != "14" {
		t.Errorf("HEAD got %v, wanted the length of the page", a.header)
	}
	bad := dial(t, p.address)
	bad.send("GET / HTTP/1.1\r\n\r\n")
	if a := bad.answer("GET"); a.status != 400 || !strings.HasPrefix(a.header.Get("Content-Type"), "text/plain") {
		t.Errorf("without a page: %+v, wanted 400 in plain text", a)
	}

	page("502", "<h1>Back soon</h1>")
	p.signal(syscall.SIGHUP)
	p.waitEvent("configuration reloaded")
	want("/broken", 502, "text/html", "<h1>Back soon</h1>")
	page("502", strings.Repeat("x", 300_000))
	p.signal(syscall.SIGHUP)
	if e := p.waitEvent("configuration not reloaded: the old one stays"); !strings.Contains(e.Text("error"), "server.error_pages") {
		t.Errorf("the error is %q, wanted the key in it", e.Text("error"))
	}
	want("/broken", 502, "text/html", "<h1>Back soon</h1>")
}
