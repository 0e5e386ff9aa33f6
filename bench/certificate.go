package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"time"
)

// serverName is the host that every request and every certificate is for.
const serverName = "shop.example.com"

// A Certificate is one that was made for a run, of the kind that most servers have: ECDSA on P-256.
type Certificate struct {
	PEM      string // the certificate, for clients that trust it
	CertFile string
	KeyFile  string
	BothFile string // certificate and key, as HAProxy wants them
}

// newCertificate makes a certificate and writes it into dir.
func newCertificate(dir string) (*Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("cannot make a key: %w", err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: serverName}, DNSNames: []string{serverName},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true, IsCA: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, fmt.Errorf("cannot make a certificate: %w", err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("cannot render a key: %w", err)
	}
	certPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	keyPEM := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})
	c := &Certificate{
		PEM: string(certPEM), CertFile: filepath.Join(dir, "cert.pem"), KeyFile: filepath.Join(dir, "key.pem"), BothFile: filepath.Join(dir, "both.pem"),
	}
	both := append(append([]byte(nil), certPEM...), keyPEM...)
	for path, text := range map[string][]byte{c.CertFile: certPEM, c.KeyFile: keyPEM, c.BothFile: both} {
		if err := os.WriteFile(path, text, 0o600); err != nil {
			return nil, fmt.Errorf("cannot write %q: %w", path, err)
		}
	}
	return c, nil
}
