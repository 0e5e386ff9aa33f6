package failover

import (
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"rehydra/e2e/harness"
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
	return &user{t: t, base: "http://" + c.proxy.Address(), client: harness.NewVisitor(t)}
}

// page is what the test application printed.
type page struct {
	harness.SessionPage
	status int
	text   string
}

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
	return page{harness.ParseSessionPage(string(text)), resp.StatusCode, string(text)}, nil
}

// same fails the test unless got shows the session of want, with the values named.
func (u *user) same(got, want page, names ...string) {
	u.t.Helper()
	got.WantSame(u.t, want.SessionPage, names...)
}

// at fails the test unless the page came from the node that its session id names.
func (u *user) at(p page, route string) {
	u.t.Helper()
	if p.Values["node"] != route || p.Route() != route {
		u.t.Errorf("served by %q with the session %q, wanted %q in both", p.Values["node"], p.Session, route)
	}
}
