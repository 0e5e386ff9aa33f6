package nonsticky

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"rehydra/e2e/harness"
)

// The pages of the test application: one and the same, under two paths.
const (
	writer = "/shop/session"
	reader = "/shop/conformance"
)

// user is a client that may send many requests of one session at once.
type user struct {
	t      *testing.T
	client *http.Client

	mu sync.Mutex
	id string // the whole id, as it was set last
}

// page is what came back.
type page struct {
	status     int
	retryAfter string
	text       string
	took       time.Duration
}

func newUser(t *testing.T) *user {
	t.Helper()
	transport := &http.Transport{MaxIdleConnsPerHost: 32}
	t.Cleanup(transport.CloseIdleConnections)
	return &user{t: t, client: &http.Client{Transport: transport, Timeout: 2 * time.Minute}}
}

// begin makes a session with v in its list and returns the user.
func begin(t *testing.T, p *harness.Proxy, v string) *user {
	t.Helper()
	u := newUser(t)
	u.want(p, http.MethodPost, writer+"?op=append&k=list&v="+v)
	if u.base() == "" {
		t.Fatal("there is no session")
	}
	return u
}

func (u *user) base() string {
	u.mu.Lock()
	defer u.mu.Unlock()
	base, _, _ := strings.Cut(u.id, ".")
	return base
}

// do sends a request with the session's id.
func (u *user) do(ctx context.Context, p *harness.Proxy, method, target string) (page, error) {
	return u.doWith(ctx, p, method, target, http.NoBody)
}

func (u *user) doWith(ctx context.Context, p *harness.Proxy, method, target string, body io.Reader) (page, error) {
	req, err := http.NewRequestWithContext(ctx, method, "http://"+p.Address()+target, body)
	if err != nil {
		return page{}, err
	}
	u.mu.Lock()
	if u.id != "" {
		req.AddCookie(&http.Cookie{Name: "JSESSIONID", Value: u.id})
	}
	u.mu.Unlock()
	begun := time.Now()
	resp, err := u.client.Do(req)
	if err != nil {
		return page{}, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return page{}, err
	}
	for _, cookie := range resp.Cookies() {
		if cookie.Name == "JSESSIONID" {
			u.mu.Lock()
			u.id = cookie.Value
			u.mu.Unlock()
		}
	}
	return page{status: resp.StatusCode, retryAfter: resp.Header.Get("Retry-After"), text: string(text), took: time.Since(begun)}, nil
}

// want sends a request that must be answered with 200.
func (u *user) want(p *harness.Proxy, method, target string) page {
	u.t.Helper()
	got, err := u.do(u.t.Context(), p, method, target)
	if err != nil {
		u.t.Fatalf("%s %s: %v", method, target, err)
	}
	if got.status != http.StatusOK {
		u.t.Fatalf("%s %s: status %d, wanted 200:\n%s", method, target, got.status, got.text)
	}
	return got
}

// add appends a value to the session's list.
func (u *user) add(p *harness.Proxy, v string) page {
	u.t.Helper()
	return u.want(p, http.MethodPost, addTarget(v))
}

func addTarget(v string) string {
	return fmt.Sprintf("%s?op=append&k=list&v=%s", writer, v)
}

// read gets the page that only reads.
func (u *user) read(p *harness.Proxy) page {
	u.t.Helper()
	return u.want(p, http.MethodGet, reader)
}

// wantList checks the session's list; sorted says that its order does not matter.
func (u *user) wantList(got page, sorted bool, want ...string) {
	u.t.Helper()
	have := strings.Split(got.line("value list"), ",")
	if sorted {
		slices.Sort(have)
		want = slices.Sorted(slices.Values(want))
	}
	if !slices.Equal(have, want) {
		u.t.Errorf("the list is %q, wanted %q:\n%s", have, want, got.text)
	}
}

// line returns the value of one of the page's lines, "" if there is none.
func (p page) line(name string) string {
	for line := range strings.Lines(p.text) {
		if value, ok := strings.CutPrefix(strings.TrimSpace(line), name+" "); ok {
			return value
		}
	}
	return ""
}

// later runs a request beside the test; the function returned waits for its page.
func (u *user) later(p *harness.Proxy, method, target string) (wait func() page) {
	return u.laterWith(context.WithoutCancel(u.t.Context()), p, method, target, http.NoBody)
}

func (u *user) laterWith(ctx context.Context, p *harness.Proxy, method, target string, body io.Reader) (wait func() page) {
	type answer struct {
		page page
		err  error
	}
	done := make(chan answer, 1)
	go func() {
		got, err := u.doWith(ctx, p, method, target, body)
		done <- answer{got, err}
	}()
	return func() page {
		u.t.Helper()
		a := <-done
		if a.err != nil {
			u.t.Errorf("%s %s: %v", method, target, a.err)
		}
		return a.page
	}
}
