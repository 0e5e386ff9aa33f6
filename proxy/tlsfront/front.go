package tlsfront

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"strings"
)

// ClientAuth says whether clients show a certificate.
type ClientAuth uint8

// The ways. One that is shown must be valid in all of them.
const (
	ClientNone    ClientAuth = iota // it is not asked for
	ClientRequest                   // it is asked for, and need not be shown
	ClientRequire                   // no connection without it
)

var clientAuths = map[string]ClientAuth{"none": ClientNone, "request": ClientRequest, "require": ClientRequire}

// ParseClientAuth reads a name as it stands in a configuration.
func ParseClientAuth(s string) (ClientAuth, error) {
	way, ok := clientAuths[s]
	if !ok {
		return 0, fmt.Errorf(`cannot read client_auth %q: wanted "none", "request" or "require"`, s)
	}
	return way, nil
}

// ParseVersion reads the name of a TLS version as it stands in a configuration. Older ones than 1.2 are of no use (RFC 8996).
func ParseVersion(s string) (uint16, error) {
	switch s {
	case "1.2":
		return tls.VersionTLS12, nil
	case "1.3":
		return tls.VersionTLS13, nil
	}
	return 0, fmt.Errorf(`cannot read TLS version %q: wanted "1.2" or "1.3"`, s)
}

// Config is what clients are spoken TLS with.
type Config struct {
	// Certificates are chosen by the name that the client asks for. The first is also for the client that asks for none, or one
	// that no certificate has.
	Certificates []*Certificate
	// Strict refuses such a client instead, with alert 112 (RFC 6066, section 3).
	Strict     bool
	MinVersion uint16 // tls.VersionTLS12 or 13
	ClientAuth ClientAuth
	Clients    *x509.CertPool // who may have signed a client's certificate; wanted unless ClientAuth is ClientNone
	Protocols  []string       // what is offered by ALPN, the best first
	ACME       *ACME          // nil: none
}

// TLS returns the configuration for crypto/tls. Session tickets are those of one such value: none outlives a reload.
func (c Config) TLS() *tls.Config {
	chooser := newChooser(c.Certificates, c.Strict, c.ACME)
	t := &tls.Config{
		MinVersion:     c.MinVersion,
		NextProtos:     append([]string(nil), c.Protocols...),
		ClientCAs:      c.Clients,
		GetCertificate: chooser.choose,
	}
	switch c.ClientAuth {
	case ClientRequest:
		t.ClientAuth = tls.VerifyClientCertIfGiven
	case ClientRequire:
		t.ClientAuth = tls.RequireAndVerifyClientCert
	}
	if c.ACME == nil {
		return t
	}
	// The authority's own handshake shows no certificate and speaks no HTTP (RFC 8737, section 3).
	challenge := &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{challengeProtocol}, GetCertificate: c.ACME.challenge}
	t.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		if isChallenge(hello) {
			return challenge, nil
		}
		return nil, nil // t itself
	}
	return t
}

// chooser finds the certificate for a name. It is not changed once it is made.
type chooser struct {
	exact    map[string][]*tls.Certificate
	wildcard map[string][]*tls.Certificate // by what follows "*"
	fallback *tls.Certificate              // nil: there is none, or none is wanted
	acme     *ACME
}

func newChooser(certificates []*Certificate, strict bool, acme *ACME) *chooser {
	c := &chooser{exact: make(map[string][]*tls.Certificate), wildcard: make(map[string][]*tls.Certificate), acme: acme}
	for _, cert := range certificates {
		for _, name := range cert.Names {
			if rest, ok := strings.CutPrefix(name, "*"); ok {
				c.wildcard[rest] = append(c.wildcard[rest], &cert.pair)
			} else {
				c.exact[name] = append(c.exact[name], &cert.pair)
			}
		}
	}
	if !strict && len(certificates) > 0 {
		c.fallback = &certificates[0].pair
	}
	return c
}

// choose returns the certificate for the name that a client asks for: of that very name before a wildcard's, of several the first that the
// client can use (there may be one with an ECDSA key and one with RSA). Without an error and a certificate, crypto/tls refuses the client with
// alert 112.
func (c *chooser) choose(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	name := strings.ToLower(hello.ServerName)
	if cert := usable(c.exact[name], hello); cert != nil {
		return cert, nil
	}
	if c.acme != nil {
		if cert := c.acme.certificate(hello.Context(), name); cert != nil {
			return cert, nil
		}
	}
	if dot := strings.IndexByte(name, '.'); dot >= 0 {
		if cert := usable(c.wildcard[name[dot:]], hello); cert != nil {
			return cert, nil
		}
	}
	return c.fallback, nil
}

// usable returns the first certificate that the client supports or, when it supports none, the first: crypto/tls then says what is missing.
func usable(certificates []*tls.Certificate, hello *tls.ClientHelloInfo) *tls.Certificate {
	for _, cert := range certificates {
		if hello.SupportsCertificate(cert) == nil {
			return cert
		}
	}
	if len(certificates) > 0 {
		return certificates[0]
	}
	return nil
}
