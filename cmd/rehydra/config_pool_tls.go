package main

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"strconv"
	"time"

	"rehydra/proxy/tlsfront"
)

// PoolTLSConfig says how those of a pool's backends are spoken TLS with whose url begins with https.
type PoolTLSConfig struct {
	CAFile      string `toml:"ca_file"`     // a PEM file: who signed the backends' certificates; "" = one of the system's authorities
	ServerName  string `toml:"server_name"` // whom they are for; "" = the host of each url
	Insecure    bool   `toml:"insecure"`    // they are not looked at
	Certificate string `toml:"certificate"` // ours, a PEM file; "" = none
	Key         string `toml:"key"`

	Authorities *x509.CertPool        `toml:"-"` // of CAFile
	Client      *tlsfront.Certificate `toml:"-"` // of Certificate and Key
}

// poolTLS checks [pool.tls] and reads its files.
func (c checker) poolTLS(path string, p *PoolConfig) {
	t, table := &p.TLS, path+".tls"
	if t.ServerName != "" && !isHost(t.ServerName) {
		c.bad(table+".server_name", strconv.Quote(t.ServerName), `a host name or IP address, or "" for the host of each url`)
	}
	if t.CAFile != "" {
		var err error
		if t.Authorities, err = tlsfront.LoadAuthorities(c.beside(t.CAFile)); err != nil {
			c.bad(table+".ca_file", "what is of no use: "+err.Error(), "a PEM file with certificates")
		}
	}
	c.poolCertificate(table, t)
	secure := false
	for i := range p.Backends {
		secure = secure || p.Backends[i].Secure
	}
	switch {
	case !secure && (t.CAFile != "" || t.ServerName != "" || t.Insecure || t.Certificate != ""):
		c.warn(table, "settings", `a backend whose url begins with "https://": they are for those alone`)
	case secure && t.Insecure:
		c.warn(table+".insecure", "true", "false: whoever stands between can be every backend of the pool")
	}
}

// poolCertificate reads what backends are shown.
func (c checker) poolCertificate(table string, t *PoolTLSConfig) {
	switch {
	case t.Certificate == "" && t.Key == "":
		return
	case t.Certificate == "":
		c.missing(table+".certificate", table+".key", "the PEM file that the key is for")
		return
	case t.Key == "":
		c.missing(table+".key", table+".certificate", "the PEM file with the certificate's key")
		return
	}
	loaded, err := tlsfront.Load(c.beside(t.Certificate), c.beside(t.Key))
	if err != nil {
		c.bad(table+".certificate", "what is of no use: "+err.Error(), "a PEM file with the certificate and its chain, and a key that fits")
		return
	}
	if t.Client = loaded; time.Now().After(loaded.Ends) {
		c.warn(table+".certificate", fmt.Sprintf("%q, which expired on %s (or a part of its chain did)", t.Certificate, loaded.Ends.UTC().Format(time.RFC3339)), "a certificate that backends accept")
	}
}

// sessionsKept is how many TLS sessions are kept for each backend, so that a new connection need not begin with a whole handshake.
const sessionsKept = 32

// config returns what a backend is spoken TLS with.
func (t *PoolTLSConfig) config(host string) *tls.Config {
	config := &tls.Config{
		MinVersion: tls.VersionTLS12, RootCAs: t.Authorities, ServerName: t.ServerName, NextProtos: []string{"http/1.1"},
		InsecureSkipVerify: t.Insecure, ClientSessionCache: tls.NewLRUClientSessionCache(sessionsKept),
	}
	if config.ServerName == "" {
		config.ServerName = host
	}
	if t.Client != nil {
		config.Certificates = []tls.Certificate{t.Client.Pair()}
	}
	return config
}
