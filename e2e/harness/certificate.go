package harness

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"net"
	"testing"
	"time"
)

// Certificate is a certificate of localhost and 127.0.0.1, signed by itself.
type Certificate struct {
	File, KeyFile string         // in PEM
	Pool          *x509.CertPool // who believes it
}

// NewCertificate makes one that is valid now.
func NewCertificate(t testing.TB) *Certificate {
	t.Helper()
	key := newKey(t, false)
	template := &x509.Certificate{
		SerialNumber: serial(t), Subject: pkix.Name{CommonName: "localhost"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, IsCA: true, BasicConstraintsValid: true,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	cert := sign(t, template, template, key.Public(), key)
	dir := t.TempDir()
	c := &Certificate{File: write(t, dir, "certificate", "CERTIFICATE", cert.Raw), KeyFile: writeKey(t, dir, key), Pool: x509.NewCertPool()}
	c.Pool.AddCert(cert)
	return c
}
