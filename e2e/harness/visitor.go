package harness

import (
	"net/http"
	"net/http/cookiejar"
	"strings"
	"testing"
	"time"
)

// NewVisitor returns a browser's worth of client: it keeps its cookies, and each request has a minute.
func NewVisitor(t testing.TB) *http.Client {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{MaxIdleConnsPerHost: 1}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Jar: jar, Timeout: time.Minute}
}

// SessionPage is what the test application prints, which is the same in all languages.
type SessionPage struct {
	Session string            // the whole id, or "none"
	Values  map[string]string // of each line by its first word; of "value NAME ..." and "size NAME ..." by NAME
}

// ParseSessionPage reads a page.
func ParseSessionPage(text string) SessionPage {
	p := SessionPage{Values: make(map[string]string)}
	for line := range strings.Lines(text) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch name {
		case "session":
			p.Session = value
		case "value", "size":
			name, value, _ = strings.Cut(value, " ")
			p.Values[name] = value
		default:
			p.Values[name] = value
		}
	}
	return p
}

// BaseID is the session's id without its route.
func (p SessionPage) BaseID() string { base, _, _ := strings.Cut(p.Session, "."); return base }

// Route is what follows the dot.
func (p SessionPage) Route() string { _, route, _ := strings.Cut(p.Session, "."); return route }

// WantSame fails the test unless p shows the session of want: its base id, its creation time and the values named.
func (p SessionPage) WantSame(t testing.TB, want SessionPage, names ...string) {
	t.Helper()
	if p.BaseID() != want.BaseID() || p.BaseID() == "" {
		t.Errorf("the session is %q, wanted the base id of %q", p.Session, want.Session)
	}
	for _, name := range append(names, "created") {
		if p.Values[name] != want.Values[name] || want.Values[name] == "" {
			t.Errorf("%s is %q, wanted %q", name, p.Values[name], want.Values[name])
		}
	}
}

// OtherOf is the route of two, node1 and node2, that is not route.
func OtherOf(route string) string {
	if route == "node1" {
		return "node2"
	}
	return "node1"
}
