package upgrade

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"testing"

	"rehydra/e2e/harness"
)

// dialTLS is dial with TLS.
func dialTLS(t *testing.T, address string, by *harness.Certificate) *client {
	t.Helper()
	c := dial(t, address)
	conn := tls.Client(c.conn, &tls.Config{RootCAs: by.Pool, ServerName: "localhost", NextProtos: []string{"http/1.1"}})
	c.conn, c.r = conn, bufio.NewReader(conn)
	return c
}

// TestTLSComesAlong: addresses with TLS are handed over and moved as others are; one that changes between the two stays open.
func TestTLSComesAlong(t *testing.T) {
	t.Parallel()
	b := startBackend(t, "node1")
	trust := harness.NewCertificate(t)
	secure, changes, goes := fixed(t), fixed(t), fixed(t)
	c := config{
		listen: []string{changes}, backends: []*backend{b},
		server: []string{"[server.tls]", fmt.Sprintf("listen = [%q, %q]", secure, goes),
			"[[server.tls.certificate]]", fmt.Sprintf("certificate = %q", trust.File), fmt.Sprintf("key = %q", trust.KeyFile)},
	}
	s := start(t, c.toml(), options{})
	idle := dialTLS(t, secure, trust)
	idle.get(t, "/")
	c.listen, c.server[1] = nil, fmt.Sprintf("listen = [%q, %q]", secure, changes)
	s.configure(c.toml())
	s.handOver()
	idle.getLast(t)
	s.exit(0)
	dialTLS(t, secure, trust).get(t, "/")
	dialTLS(t, changes, trust).get(t, "/")
	harness.Eventually(t, goes+" is closed", func() bool { return refused(t, goes) })

	c.listen, c.server[1] = []string{changes}, fmt.Sprintf("listen = [%q]", secure)
	s.configure(c.toml())
	s.reload(reloaded)
	dial(t, changes).get(t, "/")
	dialTLS(t, secure, trust).get(t, "/")
	s.stop()
}
