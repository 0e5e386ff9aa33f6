package tls

import (
	"crypto/tls"
	"crypto/x509/pkix"
	"fmt"
	"strings"
	"testing"

	"rehydra/e2e/harness"
)

// secured is a pool of backends with TLS. Lines are of [pool.tls].
func secured(lines []string, backends ...*backend) []harness.Pool {
	p := harness.Pool{Name: "shop"}
	for _, line := range lines {
		p.Lines = append(p.Lines, "tls."+line)
	}
	for i, b := range backends {
		p.Backends = append(p.Backends, harness.Backend{Route: fmt.Sprintf("node%d", i+1), Address: b.address(), Lines: []string{fmt.Sprintf("url = %q", "https://"+b.address())}})
	}
	return []harness.Pool{p}
}

// A backend with TLS is who it is to be, is shown our certificate, and keeps its connection.
func TestBackendWithTLS(t *testing.T) {
	authority := harness.NewAuthority(t)
	ours := authority.Issue(t, harness.Wanted{Subject: pkix.Name{CommonName: "rehydra"}})
	b := startBackend(t, &tls.Config{
		Certificates: []tls.Certificate{authority.Issue(t, harness.Wanted{Names: []string{"tomcat.test"}}).Pair},
		ClientCAs:    authority.Pool(), ClientAuth: tls.RequireAndVerifyClientCert,
	})
	pools := secured([]string{
		fmt.Sprintf("ca_file = %q", authority.File), `server_name = "tomcat.test"`, fmt.Sprintf("certificate = %q", ours.Certificate), fmt.Sprintf("key = %q", ours.Key),
	}, b)
	pools[0].Health = []string{`interval = "1h"`, `path = "/health"`}
	p := harness.Start(t, harness.Config{NoToken: true, Pools: pools})
	c := client(t, p.Address(), nil)
	for range 20 {
		status, body, err := get(t, c, "http://shop.test/a")
		if err != nil || status != 200 {
			t.Fatal(status, err)
		}
		wantLine(t, body, "GET shop.test /a")
		wantLine(t, body, "X-Forwarded-Proto: http")
		wantLine(t, body, `tls: TLS 1.3 for "tomcat.test" by "rehydra"`)
	}
	if n := b.conns.Load(); n > 3 { // one for the check, one for the requests, and perhaps one for a request that came before the first was back
		t.Errorf("the backend got %d connections for 20 requests, one after the other", n)
	}
	if status, body, err := get(t, c, "http://shop.test/large"); err != nil || status != 200 || len(body) != 8<<20 {
		t.Errorf("a large answer: %d, %d bytes, %v", status, len(body), err)
	}
}

// A backend that is somebody else gets no request, and is out with a reason.
func TestBackendThatIsSomebodyElse(t *testing.T) {
	authority, stranger := harness.NewAuthority(t), harness.NewAuthority(t)
	pair := func(a *harness.Authority, name string) *tls.Config {
		return &tls.Config{Certificates: []tls.Certificate{a.Issue(t, harness.Wanted{Names: []string{name}}).Pair}}
	}
	good := startBackend(t, pair(authority, "127.0.0.1"))
	for _, test := range []struct {
		name   string
		config *tls.Config
		reason string
	}{
		{"an unknown authority", pair(stranger, "127.0.0.1"), "unknown authority"},
		{"another name", pair(authority, "other.test"), "127.0.0.1"},
		{"no TLS", nil, "TLS"},
	} {
		t.Run(test.name, func(t *testing.T) {
			bad := startBackend(t, test.config)
			p := harness.Start(t, harness.Config{NoToken: true, Pools: secured([]string{fmt.Sprintf("ca_file = %q", authority.File)}, bad, good)})
			c := client(t, p.Address(), nil)
			for range 4 {
				status, body, err := get(t, c, "http://shop.test/a")
				if err != nil || status != 200 {
					t.Fatal(status, err)
				}
				wantLine(t, body, "GET shop.test /a")
			}
			e := p.WaitEvent(t, "the backend is out", func(e harness.Event) bool { return e.Text("message") == "backend out" && e.Text("backend") == "node1" })
			if !strings.Contains(e.Text("reason"), test.reason) {
				t.Errorf("it is out since %q, wanted %q", e.Text("reason"), test.reason)
			}
		})
	}
	t.Run("and insecure", func(t *testing.T) {
		bad := startBackend(t, pair(stranger, "other.test"))
		p := harness.Start(t, harness.Config{NoToken: true, Pools: secured([]string{"insecure = true"}, bad)})
		if status, _, err := get(t, client(t, p.Address(), nil), "http://shop.test/a"); err != nil || status != 200 {
			t.Errorf("got %d, %v", status, err)
		}
	})
}
