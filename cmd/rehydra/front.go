package main

import (
	"net"
	"strconv"

	"rehydra/proxy"
	"rehydra/proxy/tlsfront"
)

// frontConfig translates what a configuration says of clients' connections. tlsAddress is the first that is listened on with TLS, "" for
// none; acme is nil where no certificate comes from there.
func frontConfig(cfg *Config, tlsAddress string, acme *tlsfront.ACME) (*proxy.Front, error) {
	s := &cfg.Server
	f := &proxy.Front{
		ProxyProtocol: parsedNetworks(s.ProxyProtocol),
		Trusted:       parsedNetworks(s.TrustedProxies),
		Forwarded:     s.Forwarded,
		HSTS:          s.TLS.HSTS,
	}
	if len(s.TLS.Listen) == 0 {
		return f, nil
	}
	if acme != nil {
		f.Challenge = acme.Answer
	}
	f.Redirect, f.RedirectPort = s.TLS.Redirect, s.TLS.RedirectPort
	if f.RedirectPort == 0 {
		_, port, err := net.SplitHostPort(tlsAddress)
		if err != nil {
			return nil, err
		}
		if f.RedirectPort, err = strconv.Atoi(port); err != nil {
			return nil, err
		}
	}
	version, err := tlsfront.ParseVersion(s.TLS.MinVersion)
	if err != nil {
		return nil, err
	}
	auth, err := tlsfront.ParseClientAuth(s.TLS.ClientAuth)
	if err != nil {
		return nil, err
	}
	certificates := make([]*tlsfront.Certificate, 0, len(s.TLS.Certificates))
	for i := range s.TLS.Certificates {
		certificates = append(certificates, s.TLS.Certificates[i].Loaded)
	}
	f.Certificates = certificates
	f.TLS = tlsfront.Config{
		Certificates: certificates, Strict: s.TLS.StrictSNI, MinVersion: version,
		ClientAuth: auth, Clients: s.TLS.Clients, Protocols: s.TLS.protocols(), ACME: acme,
	}.TLS()
	return f, nil
}

// openACME returns what gets certificates, nil where none are to be got.
func (p *program) openACME(cfg *Config) *tlsfront.ACME {
	a := &cfg.Server.TLS.ACME
	if len(a.Domains) == 0 {
		return nil
	}
	return tlsfront.NewACME(tlsfront.ACMEConfig{
		Domains: a.Domains, Email: a.Email, Directory: a.Directory, Authorities: a.Authorities, Cache: a.Cache,
	}, p.log)
}

// withoutFront is c without what a reload may change of the connections of clients. Where certificates come from by ACME it may not: what does that
// cannot be ended and begun anew at any time.
func withoutFront(c ServerConfig) ServerConfig {
	acme := c.TLS.ACME
	acme.Authorities = nil // the file is compared, and not what it holds
	c.TLS = TLSConfig{ACME: acme, MaxStreams: c.TLS.MaxStreams}
	c.ProxyProtocol, c.TrustedProxies, c.Forwarded = nil, nil, false
	return c
}
