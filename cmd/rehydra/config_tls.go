package main

import (
	"crypto/x509"
	"fmt"
	"net"
	"regexp"
	"strconv"
	"strings"
	"time"

	"rehydra/proxy/tlsfront"
)

// TLSConfig is TLS with clients. It is off while Listen is empty.
type TLSConfig struct {
	Listen       []string            `toml:"listen"`        // host:port each
	MinVersion   string              `toml:"min_version"`   // "1.2" or "1.3"
	StrictSNI    bool                `toml:"strict_sni"`    // no certificate for names that none has
	ClientCA     string              `toml:"client_ca"`     // a PEM file; "" = none
	ClientAuth   string              `toml:"client_auth"`   // "none", "request" or "require"
	Redirect     bool                `toml:"redirect"`      // plain requests are sent here
	RedirectPort int                 `toml:"redirect_port"` // 0 = that of the first address of Listen
	HSTS         string              `toml:"hsts"`          // "" = none
	HTTP2        bool                `toml:"http2"`         // offered beside HTTP/1.1
	MaxStreams   int                 `toml:"http2_max_streams"`
	Certificates []CertificateConfig `toml:"certificate"`
	ACME         ACMEConfig          `toml:"acme"`

	Clients *x509.CertPool `toml:"-"` // of ClientCA
}

// CertificateConfig is a certificate and its key, as PEM files.
type CertificateConfig struct {
	Certificate string `toml:"certificate"`
	Key         string `toml:"key"`

	Loaded *tlsfront.Certificate `toml:"-"` // nil: TLS is off
}

// SetDefaults makes *c one without files.
func (c *CertificateConfig) SetDefaults() { *c = CertificateConfig{} }

// ACMEConfig says for which domains certificates come from an ACME server. It is off while Domains is empty.
type ACMEConfig struct {
	Domains   []string `toml:"domains"`
	Email     string   `toml:"email"`
	Directory string   `toml:"directory"` // an URL
	CAFile    string   `toml:"ca_file"`   // who signed the server's own certificate; "" = one of the system's authorities
	Cache     string   `toml:"cache"`     // a folder

	Authorities *x509.CertPool `toml:"-"` // of CAFile
}

// defaultTLS returns what holds for [server.tls] where the file says nothing.
func defaultTLS() TLSConfig {
	return TLSConfig{
		MinVersion: "1.2",
		ClientAuth: "none",
		HTTP2:      true,
		MaxStreams: 128,
		ACME:       ACMEConfig{Directory: "https://acme-v02.api.letsencrypt.org/directory"},
	}
}

// wantedCertificates are what a [server.tls] needs that listens.
const wantedCertificates = "a [[server.tls.certificate]], or domains in [server.tls.acme]"

// tls checks [server.tls] and reads its files.
func (c checker) tls() {
	t := &c.cfg.Server.TLS
	_, err := tlsfront.ParseVersion(t.MinVersion)
	if err != nil {
		c.oneOf("server.tls.min_version", t.MinVersion, "1.2", "1.3")
	}
	if t.HSTS != "" && !hstsPattern.MatchString(t.HSTS) {
		c.bad("server.tls.hsts", strconv.Quote(t.HSTS), `"" or "max-age=SECONDS", with "; includeSubDomains" and "; preload" behind it or not`)
	}
	c.between("server.tls.redirect_port", t.RedirectPort, 0, 65535)
	c.http2()
	c.clientAuth()
	c.acme()
	if len(t.Listen) == 0 {
		c.tlsOff()
		return
	}
	if len(t.Certificates) == 0 && len(t.ACME.Domains) == 0 && !c.unreadable["server.tls.certificate"] && !c.unreadable["server.tls.acme.domains"] {
		c.missing("server.tls.certificate", "server.tls.listen", wantedCertificates)
	}
	for i := range t.Certificates {
		c.certificate("server.tls.certificate["+strconv.Itoa(i)+"]", &t.Certificates[i])
	}
}

// hstsPattern is what Strict-Transport-Security may say (RFC 6797, section 6.1); preload is what browsers' lists want.
var hstsPattern = regexp.MustCompile(`^(?i)max-age=[0-9]{1,10}(\s*;\s*(includeSubDomains|preload))*$`)

// tlsOff says what means nothing without an address to listen on.
func (c checker) tlsOff() {
	t := &c.cfg.Server.TLS
	const wanted = "server.tls.listen beside it: nobody speaks TLS without"
	if t.Redirect {
		c.bad("server.tls.redirect", "true", wanted)
	}
	if len(t.ACME.Domains) > 0 {
		c.bad("server.tls.acme.domains", "names", wanted)
	}
	for i := range t.Certificates {
		if path := "server.tls.certificate[" + strconv.Itoa(i) + "]"; t.Certificates[i].Certificate != "" {
			c.warn(path, "a certificate", wanted)
		}
	}
}

// certificate reads one certificate. Its times are judged by the clock of the check.
func (c checker) certificate(path string, cert *CertificateConfig) {
	if c.skips(path+".certificate") || c.skips(path+".key") {
		return
	}
	if cert.Certificate == "" || cert.Key == "" {
		for _, key := range []string{"certificate", "key"} {
			if (key == "key" && cert.Key == "") || (key == "certificate" && cert.Certificate == "") {
				c.missing(path+"."+key, path, "a PEM file")
			}
		}
		return
	}
	loaded, err := tlsfront.Load(c.beside(cert.Certificate), c.beside(cert.Key))
	if err != nil {
		c.bad(path+".certificate", "what is of no use: "+err.Error(), "a PEM file with the certificate and its chain, and a key that fits")
		return
	}
	cert.Loaded = loaded
	switch now := time.Now(); {
	case now.After(loaded.Ends):
		c.warn(path+".certificate", fmt.Sprintf("%q, which expired on %s (or a part of its chain did)", cert.Certificate, loaded.Ends.UTC().Format(time.RFC3339)), "a certificate that clients accept")
	case now.Before(loaded.Begins):
		c.warn(path+".certificate", fmt.Sprintf("%q, which is not valid before %s", cert.Certificate, loaded.Begins.UTC().Format(time.RFC3339)), "a certificate that clients accept")
	}
}

// clientAuth checks what clients must show, and reads who may have signed it.
func (c checker) clientAuth() {
	t := &c.cfg.Server.TLS
	way, err := tlsfront.ParseClientAuth(t.ClientAuth)
	if err != nil {
		c.oneOf("server.tls.client_auth", t.ClientAuth, "none", "request", "require")
		return
	}
	if way != tlsfront.ClientNone && t.ClientCA == "" {
		c.missing("server.tls.client_ca", "server.tls.client_auth", "a PEM file with the authorities that sign clients' certificates")
	}
	if t.ClientCA == "" {
		return
	}
	if way == tlsfront.ClientNone {
		c.warn("server.tls.client_ca", strconv.Quote(t.ClientCA), `server.tls.client_auth = "request" or "require" beside it: no certificate is asked for`)
	}
	if t.Clients, err = tlsfront.LoadAuthorities(c.beside(t.ClientCA)); err != nil {
		c.bad("server.tls.client_ca", "what is of no use: "+err.Error(), "a PEM file with certificates")
	}
}

// acme checks [server.tls.acme] and reads its authorities.
func (c checker) acme() {
	a := &c.cfg.Server.TLS.ACME
	seen := map[string]bool{}
	for i, domain := range a.Domains {
		domain = strings.ToLower(domain)
		if !isHost(domain) || net.ParseIP(domain) != nil || !strings.Contains(domain, ".") || strings.HasSuffix(domain, ".") {
			c.bad("server.tls.acme.domains", strconv.Quote(domain), `a host name such as "shop.example.com"; there are no certificates for "*" this way`)
		}
		if seen[domain] {
			c.bad("server.tls.acme.domains", strconv.Quote(domain)+" twice", "different names")
		}
		seen[domain], a.Domains[i] = true, domain
	}
	if !strings.HasPrefix(a.Directory, "https://") {
		c.bad("server.tls.acme.directory", strconv.Quote(a.Directory), "the https URL of an ACME server's directory")
	}
	if a.Email != "" && !strings.Contains(a.Email, "@") {
		c.bad("server.tls.acme.email", strconv.Quote(a.Email), `an address such as "admin@example.com", or "" for none`)
	}
	if a.CAFile != "" {
		var err error
		if a.Authorities, err = tlsfront.LoadAuthorities(c.beside(a.CAFile)); err != nil {
			c.bad("server.tls.acme.ca_file", "what is of no use: "+err.Error(), "a PEM file with certificates")
		}
	}
	if a.Cache != "" {
		a.Cache = c.beside(a.Cache)
	} else if len(a.Domains) > 0 {
		c.missing("server.tls.acme.cache", "server.tls.acme.domains", "a folder that keeps keys and certificates over a restart")
	}
}
