package proxy

import (
	"crypto/tls"
	"net/netip"

	"rehydra/proxy/tlsfront"
)

// Front is what clients are spoken to with, and what is believed of them: immutable, and replaced as a whole.
type Front struct {
	// TLS is for the listeners of that kind; nil refuses their connections. Its NextProtos are what is spoken: "http/1.1" and,
	// once the server can, "h2".
	TLS *tls.Config
	// Certificates are those of TLS that come from files, for whoever wants to know of them.
	Certificates []*tlsfront.Certificate
	// ProxyProtocol holds the peers whose connections begin with a PROXY header, of version 1 or 2, and nobody else's do.
	ProxyProtocol []netip.Prefix
	// Trusted holds the peers whose X-Forwarded-* are believed, and passed on with the peer added. All others' are removed.
	Trusted []netip.Prefix
	// Forwarded says that Forwarded (RFC 7239) is sent to backends too, and believed of Trusted where there is no X-Forwarded-For.
	// Otherwise it is removed, whoever sends it.
	Forwarded bool
	// Redirect sends clients that do not speak TLS to https, at RedirectPort.
	Redirect     bool
	RedirectPort int
	// HSTS is the value of Strict-Transport-Security in answers to clients that do; "" leaves that to the backends.
	HSTS string
	// Challenge answers what an ACME server asks over plain HTTP, before any redirect; nil: nothing is asked. ok is false for what is no
	// challenge that is known.
	Challenge func(host, path string) (answer []byte, ok bool)
}

// SetFront replaces the front for connections that are accepted from now on. While the server drains, TLS offers HTTP/2 to nobody who speaks HTTP/1.1 too.
func (s *Server) SetFront(f *Front) {
	if f.TLS != nil {
		own := *f
		own.TLS = tlsfront.Leaving(f.TLS, s.draining.Load)
		f = &own
	}
	s.front.Store(f)
}

// Front returns the front in force. It must not be changed.
func (s *Server) Front() *Front { return s.front.Load() }

// within reports whether a peer's address is in one of the prefixes.
func within(prefixes []netip.Prefix, addr netip.Addr) bool {
	addr = addr.Unmap()
	for _, p := range prefixes {
		if p.Contains(addr) {
			return true
		}
	}
	return false
}
