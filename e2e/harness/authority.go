package harness

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// Authority signs certificates of a test.
type Authority struct {
	File string // with its own certificate
	cert *x509.Certificate
	key  crypto.Signer
	dir  string
}

// Wanted says what is to be in a certificate.
type Wanted struct {
	Names   []string   // host names and IP addresses
	Subject pkix.Name  // for a client's
	RSA     bool       // a key of 2048 bits; otherwise ECDSA's P-256
	Begins  time.Time  // zero: an hour ago
	Ends    time.Time  // zero: in a day
	Link    *Authority // an authority between, see Intermediate, whose certificate follows in the file
	Edit    func(*x509.Certificate)
}

// Issued is a certificate with its key.
type Issued struct {
	Certificate, Key string // PEM files
	Pair             tls.Certificate
}

// NewAuthority returns an authority that signs itself.
func NewAuthority(t testing.TB) *Authority {
	t.Helper()
	return newAuthority(t, nil, time.Now().Add(24*time.Hour))
}

// Intermediate returns an authority that a signs, until ends.
func (a *Authority) Intermediate(t testing.TB, ends time.Time) *Authority {
	t.Helper()
	return newAuthority(t, a, ends)
}

func newAuthority(t testing.TB, parent *Authority, ends time.Time) *Authority {
	t.Helper()
	key := newKey(t, false)
	a := &Authority{key: key, dir: t.TempDir()}
	template := &x509.Certificate{
		SerialNumber: serial(t), Subject: pkix.Name{CommonName: "authority of a test"}, NotBefore: ends.Add(-48 * time.Hour), NotAfter: ends,
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	signer, by := key, template
	if parent != nil {
		template.Subject.CommonName = "authority between"
		signer, by = parent.key, parent.cert
	}
	a.cert = sign(t, template, by, key.Public(), signer)
	a.File = write(t, a.dir, "authority", "CERTIFICATE", a.cert.Raw)
	return a
}

// Pool returns the authority as one to be trusted.
func (a *Authority) Pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	return pool
}

// Issue signs a certificate and writes its files.
func (a *Authority) Issue(t testing.TB, w Wanted) Issued {
	t.Helper()
	if w.Begins.IsZero() {
		w.Begins = time.Now().Add(-time.Hour)
	}
	if w.Ends.IsZero() {
		w.Ends = time.Now().Add(24 * time.Hour)
	}
	template := &x509.Certificate{
		SerialNumber: serial(t), Subject: w.Subject, NotBefore: w.Begins, NotAfter: w.Ends, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	for _, name := range w.Names {
		if ip := net.ParseIP(name); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, name)
		}
	}
	if w.Edit != nil {
		w.Edit(template)
	}
	key := newKey(t, w.RSA)
	signer := a
	if w.Link != nil {
		signer = w.Link
	}
	leaf := sign(t, template, signer.cert, key.Public(), signer.key)
	chain := [][]byte{leaf.Raw}
	if w.Link != nil {
		chain = append(chain, w.Link.cert.Raw)
	}
	dir := t.TempDir()
	return Issued{
		Certificate: write(t, dir, "certificate", "CERTIFICATE", chain...),
		Key:         writeKey(t, dir, key),
		Pair:        tls.Certificate{Certificate: chain, PrivateKey: key, Leaf: leaf},
	}
}

func newKey(t testing.TB, withRSA bool) (key crypto.Signer) {
	t.Helper()
	var err error
	if withRSA {
		key, err = rsa.GenerateKey(rand.Reader, 2048)
	} else {
		key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	}
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func serial(t testing.TB) *big.Int {
	t.Helper()
	n, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func sign(t testing.TB, template, by *x509.Certificate, public crypto.PublicKey, signer crypto.Signer) *x509.Certificate {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, by, public, signer)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

// write writes a PEM file and returns its path.
func write(t testing.TB, dir, name, kind string, blocks ...[]byte) string {
	t.Helper()
	var text []byte
	for _, der := range blocks {
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})...)
	}
	path := filepath.Join(dir, name+".pem")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// writeKey writes a key's PEM file and returns its path.
func writeKey(t testing.TB, dir string, key crypto.Signer) string {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return write(t, dir, "key", "PRIVATE KEY", der)
}
