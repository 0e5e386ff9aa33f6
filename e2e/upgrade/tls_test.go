package upgrade

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"

	"rehydra/e2e/harness"
)

// certify makes a certificate for shop.test, and returns the lines of the configuration that name it and who believes it.
func certify(t *testing.T) (lines string, trust *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "shop.test"}, DNSNames: []string{"shop.test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, block := range map[string]*pem.Block{"cert.pem": {Type: "CERTIFICATE", Bytes: der}, "key.pem": {Type: "EC PRIVATE KEY", Bytes: secret}} {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	trust = x509.NewCertPool()
	trust.AppendCertsFromPEM(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	return fmt.Sprintf("[[server.tls.certificate]]\ncertificate = %q\nkey = %q", filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")), trust
}

// dialTLS is dial with TLS.
func dialTLS(t *testing.T, address string, trust *x509.CertPool) *client {
	t.Helper()
	c := dial(t, address)
	conn := tls.Client(c.conn, &tls.Config{RootCAs: trust, ServerName: "shop.test", NextProtos: []string{"http/1.1"}})
	c.conn, c.r = conn, bufio.NewReader(conn)
	return c
}

// TestTLSComesAlong: addresses with TLS are handed over and moved as others are; one that changes between the two stays open.
func TestTLSComesAlong(t *testing.T) {
	t.Parallel()
	b := startBackend(t, "node1")
	certificate, trust := certify(t)
	secure, changes, goes := fixed(t), fixed(t), fixed(t)
	c := config{
		listen: []string{changes}, backends: []*backend{b},
		server: []string{"[server.tls]", fmt.Sprintf("listen = [%q, %q]", secure, goes), certificate},
	}
	s := start(t, c.toml(), options{})
	idle := dialTLS(t, secure, trust)
	idle.get(t, "/")
	c.listen, c.server[1] = nil, fmt.Sprintf("listen = [%q, %q]", secure, changes)
	s.configure(c.toml())
	s.handOver()
	if a := idle.get(t, "/"); !a.close {
		t.Error("the old process does not end its TLS connections")
	}
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
