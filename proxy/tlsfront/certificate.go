package tlsfront

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"
)

// Certificate is one certificate with its chain and key, as two files hold them.
type Certificate struct {
	File  string // of the certificate
	Names []string
	// Begins and Ends bound the time in which every certificate of the chain is valid.
	Begins, Ends time.Time

	pair tls.Certificate
}

// Pair returns it for use by crypto/tls.
func (c *Certificate) Pair() tls.Certificate { return c.pair }

// Load reads a certificate and the chain below it from one PEM file, and its key (PKCS #1, PKCS #8 or SEC 1, not encrypted) from
// another, which may be the same. An error says which of the files is to blame and why, without showing any of the key.
func Load(certificateFile, keyFile string) (*Certificate, error) {
	chain, err := readFile(certificateFile)
	if err != nil {
		return nil, fmt.Errorf("cannot read certificate %q: %w", certificateFile, err)
	}
	key, err := readFile(keyFile)
	if err != nil {
		return nil, fmt.Errorf("cannot read key %q: %w", keyFile, err)
	}
	pair, err := tls.X509KeyPair(chain, key)
	if err != nil {
		return nil, fmt.Errorf("cannot use certificate %q with key %q: %s", certificateFile, keyFile, strings.TrimPrefix(err.Error(), "tls: "))
	}
	c := &Certificate{File: certificateFile, Names: names(pair.Leaf), pair: pair}
	for _, der := range pair.Certificate {
		link, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, fmt.Errorf("cannot use the chain of certificate %q: %w", certificateFile, err)
		}
		if link.NotBefore.After(c.Begins) {
			c.Begins = link.NotBefore
		}
		if c.Ends.IsZero() || link.NotAfter.Before(c.Ends) {
			c.Ends = link.NotAfter
		}
	}
	return c, nil
}

// maxFile is far above any chain, so that a wrong path (a log, a device) is refused and not read to its end.
const maxFile = 1 << 20

// readFile reads a small file. Its error names the reason and not the path, which its callers name.
func readFile(path string) ([]byte, error) {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, pathless(err)
	case !info.Mode().IsRegular():
		return nil, errors.New("it is no file")
	case info.Size() > maxFile:
		return nil, fmt.Errorf("it has %d bytes, wanted at most %d", info.Size(), maxFile)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, pathless(err)
	}
	return data, nil
}

func pathless(err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	return err
}

// names returns the names that a certificate is for, in lower case. The common name counts where there is no other (RFC 6125, section
// 6.4.4): no browser goes by it any more, but it may still choose among our certificates.
func names(leaf *x509.Certificate) []string {
	var all []string
	for _, name := range leaf.DNSNames {
		all = append(all, strings.ToLower(name))
	}
	if len(leaf.DNSNames) == 0 && len(leaf.IPAddresses) == 0 && leaf.Subject.CommonName != "" {
		all = append(all, strings.ToLower(leaf.Subject.CommonName))
	}
	return all
}

// LoadAuthorities reads the certificates of one or more authorities from a PEM file.
func LoadAuthorities(file string) (*x509.CertPool, error) {
	data, err := readFile(file)
	if err != nil {
		return nil, fmt.Errorf("cannot read authorities %q: %w", file, err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(data) {
		return nil, fmt.Errorf("cannot use authorities %q: it holds no certificate in PEM form", file)
	}
	return pool, nil
}
