// Package tls holds the proxy's TLS to what docs/tls.md says: with curl and Go's client in front, servers with TLS behind, and pebble, an ACME server made for
// tests, which pebble/ pins as a module of its own.
package tls

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"rehydra/e2e/harness"
)

func TestMain(m *testing.M) { os.Exit(harness.Main(m)) }

// patience is the limit of anything that should happen; only a failing test uses it up.
const patience = 20 * time.Second

// backend tells in its answers what it got. With conns it counts the connections that it accepted.
type backend struct {
	*httptest.Server
	conns atomic.Int64
}

// startBackend starts a backend, with TLS if config is not nil.
func startBackend(t *testing.T, config *tls.Config) *backend {
	t.Helper()
	b := &backend{}
	b.Server = httptest.NewUnstartedServer(http.HandlerFunc(tell))
	b.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			b.conns.Add(1)
		}
	}
	b.Config.ErrorLog = nil
	if config != nil {
		b.TLS = config
		b.StartTLS()
	} else {
		b.Start()
	}
	t.Cleanup(b.Close)
	return b
}

func (b *backend) address() string { return b.Listener.Addr().String() }

// tell answers with the request line and the fields of a request, each on a line, sorted, and what it knows of the TLS that it came by.
func tell(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/large" {
		_, _ = io.CopyN(w, zeros{}, 8<<20) // an error: nobody listens
		return
	}
	size, err := io.Copy(io.Discard, r.Body)
	if err != nil {
		return
	}
	fmt.Fprintf(w, "%s %s %s\nbody: %d\n", r.Method, r.Host, r.RequestURI, size)
	for _, name := range slices.Sorted(maps.Keys(r.Header)) {
		fmt.Fprintf(w, "%s: %s\n", name, strings.Join(r.Header[name], " | "))
	}
	if r.TLS != nil {
		client := ""
		if len(r.TLS.PeerCertificates) > 0 {
			client = r.TLS.PeerCertificates[0].Subject.CommonName
		}
		fmt.Fprintf(w, "tls: %s for %q by %q\n", tls.VersionName(r.TLS.Version), r.TLS.ServerName, client)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// pool is a pool of one plain backend.
func pool(b *backend) []harness.Pool {
	return []harness.Pool{{Name: "shop", Backends: []harness.Backend{{Route: "node1", Address: b.address()}}}}
}

// files is a certificate as harness.Config takes it.
func files(i harness.Issued) *harness.Certificate {
	return &harness.Certificate{File: i.Certificate, KeyFile: i.Key}
}

// client is a client of a proxy that takes every name for it.
func client(t *testing.T, address string, config *tls.Config) *http.Client {
	t.Helper()
	transport := &http.Transport{
		TLSClientConfig: config,
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&net.Dialer{Timeout: patience}).DialContext(ctx, network, address)
		},
	}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: patience, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// get returns the status and body of a GET.
func get(t *testing.T, c *http.Client, url string) (int, string, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := c.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(body), err
}

// wantLine fails the test unless a line is in a body.
func wantLine(t *testing.T, body, line string) {
	t.Helper()
	if !strings.Contains("\n"+body, "\n"+line+"\n") {
		t.Errorf("got\n%swanted the line %q", body, line)
	}
}

// curl runs curl and returns what it printed and its exit code.
func curl(t *testing.T, args ...string) (string, int) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "curl", append([]string{"--silent", "--show-error", "--max-time", "30"}, args...)...)
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		t.Fatalf("cannot run curl: %v", err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

// resolve makes curl find a name at an address.
func resolve(t *testing.T, name, address string) []string {
	t.Helper()
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	return []string{"--resolve", name + ":" + port + ":" + host, "https://" + name + ":" + port + "/a"}
}
