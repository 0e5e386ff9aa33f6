package failover

import (
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"
	"time"
)

// user is a browser's worth of client: it keeps its cookies.
type user struct {
	t      *testing.T
	base   string
	client *http.Client
	basic  bool // sends the credentials of BASIC authentication
}

func (c *cluster) user(t *testing.T) *user {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{MaxIdleConnsPerHost: 1}
	t.Cleanup(transport.CloseIdleConnections)
	return &user{t: t, base: "http://" + c.proxy.Address(), client: &http.Client{Transport: transport, Jar: jar, Timeout: 15 * time.Second}}
}

// page is what the test application printed.
type page struct {
	status  int
	text    string
	session string // the whole id
	values  map[string]string
}

// base is the session's id without its route.
func (p page) baseID() string { base, _, _ := strings.Cut(p.session, "."); return base }

// route is what follows the dot.
func (p page) route() string { _, route, _ := strings.Cut(p.session, "."); return route }

// get requests path, which must be answered with 200.
func (u *user) get(path string) page {
	u.t.Helper()
	p := u.do(http.MethodGet, path, nil)
	if p.status != 200 {
		u.t.Fatalf("GET %s: status %d, wanted 200:\n%s", path, p.status, p.text)
	}
	return p
}

// do sends a request and reads the page that comes back; form is a POST's.
func (u *user) do(method, path string, form url.Values) page {
	u.t.Helper()
	p, err := u.try(method, path, form)
	if err != nil {
		u.t.Fatalf("%s %s: %v", method, path, err)
	}
	return p
}

func (u *user) try(method, path string, form url.Values) (page, error) {
	var body io.Reader
	if form != nil {
		body = strings.NewReader(form.Encode())
	}
	req, err := http.NewRequest(method, u.base+path, body)
	if err != nil {
		return page{}, err
	}
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if u.basic {
		req.SetBasicAuth("alice", "secret")
	}
	resp, err := u.client.Do(req)
	if err != nil {
		return page{}, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return page{}, err
	}
	return parse(resp.StatusCode, string(text)), nil
}

func parse(status int, text string) page {
	p := page{status: status, text: text, values: make(map[string]string)}
	for line := range strings.Lines(text) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch name {
		case "session":
			p.session = value
		case "value", "size":
			name, value, _ = strings.Cut(value, " ")
			p.values[name] = value
		default:
			p.values[name] = value
		}
	}
	return p
}

// same fails the test unless got shows the session of want: its base id, its
// creation time and the values named.
func (u *user) same(got, want page, names ...string) {
	u.t.Helper()
	if got.baseID() != want.baseID() || got.baseID() == "" {
		u.t.Errorf("the session is %q, wanted the base id of %q", got.session, want.session)
	}
	for _, name := range append(names, "created") {
		if got.values[name] != want.values[name] || want.values[name] == "" {
			u.t.Errorf("%s is %q, wanted %q", name, got.values[name], want.values[name])
		}
	}
}

// at fails the test unless the page came from the node that its session id names.
func (u *user) at(p page, route string) {
	u.t.Helper()
	if p.values["node"] != route || p.route() != route {
		u.t.Errorf("served by %q with the session %q, wanted %q in both", p.values["node"], p.session, route)
	}
}
