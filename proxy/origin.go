package proxy

import (
	"bytes"
	"net/netip"

	"rehydra/proxy/http1"
)

// origin is where a request comes from, as far as that can be known.
type origin struct {
	believed bool   // what the peer says in X-Forwarded-* and Forwarded is so
	secure   bool   // the client speaks TLS, with us or with a proxy that is believed
	client   []byte // the client's address, as believed proxies say it; nil: it is the peer
}

// keepHops is how long a list of addresses may be that an idle connection keeps.
const keepHops = 64

// arrive finds out where the request comes from.
func (x *exchange) arrive() {
	if len(x.front.Trusted) == 0 || !within(x.front.Trusted, x.c.peer) {
		return
	}
	x.origin.believed = true
	x.origin.client = x.clientAddress()
	if x.req.Has(http1.XForwardedProto) {
		x.origin.secure = http1.EqualFold(x.req.Get(http1.XForwardedProto), "https")
	}
}

// clientAddress walks along the addresses that proxies noted, from the last to
// the first, for as long as whoever noted one is trusted. The first that is not
// is the client: what stands before it anybody may have written.
func (x *exchange) clientAddress() (client []byte) {
	kind := http1.XForwardedFor
	if !x.req.Has(kind) {
		if !x.front.Forwarded {
			return nil
		}
		kind = http1.Forwarded
	}
	for i := len(x.req.Fields) - 1; i >= 0; i-- {
		f := &x.req.Fields[i]
		if f.Known != kind {
			continue
		}
		x.hops = x.hops[:0]
		if kind == http1.Forwarded {
			x.hops = appendForwardedFor(x.hops, f.Value)
		} else {
			x.hops = appendElements(x.hops, f.Value)
		}
		for j := len(x.hops) - 1; j >= 0; j-- {
			addr, text, ok := parseHop(x.hops[j])
			if !ok {
				return client // "unknown", or a name that only that proxy knows
			}
			if client = text; !within(x.front.Trusted, addr) {
				return client
			}
		}
	}
	return client
}

// appendElements appends the elements of a list without quotes.
func appendElements(dst [][]byte, list []byte) [][]byte {
	for e, rest, ok := http1.NextElement(list); ok; e, rest, ok = http1.NextElement(rest) {
		dst = append(dst, e)
	}
	return dst
}

// appendForwardedFor appends what each element of a Forwarded field (RFC 7239,
// section 4) says after "for="; nothing, which is no address, if it says none.
func appendForwardedFor(dst [][]byte, list []byte) [][]byte {
	for len(list) > 0 {
		var element, by []byte
		element, list = cutOutsideQuotes(list, ',')
		if len(bytes.TrimSpace(element)) == 0 {
			continue // a list may have empty elements
		}
		for len(element) > 0 {
			var pair []byte
			pair, element = cutOutsideQuotes(element, ';')
			name, value, _ := bytes.Cut(bytes.TrimSpace(pair), []byte("="))
			if http1.EqualFold(name, "for") {
				by = unquoted(value)
			}
		}
		dst = append(dst, by)
	}
	return dst
}

// cutOutsideQuotes cuts at the first separator that no quoted string holds.
func cutOutsideQuotes(s []byte, separator byte) (before, after []byte) {
	quoted := false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"':
			quoted = !quoted
		case c == '\\' && quoted:
			i++
		case c == separator && !quoted:
			return s[:i], s[i+1:]
		}
	}
	return s, nil
}

// unquoted takes the quotes off. An address needs no backslash: with one, it is none.
func unquoted(s []byte) []byte {
	if len(s) >= 2 && s[0] == '"' && s[len(s)-1] == '"' {
		return s[1 : len(s)-1]
	}
	return s
}

// parseHop reads an IP address that may have a port and, before it, brackets.
// text is the address alone.
func parseHop(hop []byte) (addr netip.Addr, text []byte, ok bool) {
	text = hop
	if len(hop) > 0 && hop[0] == '[' {
		end := bytes.IndexByte(hop, ']')
		if end < 0 || end+1 < len(hop) && hop[end+1] != ':' {
			return addr, nil, false
		}
		text = hop[1:end]
	} else if colon := bytes.IndexByte(hop, ':'); colon >= 0 && bytes.IndexByte(hop[colon+1:], ':') < 0 {
		text = hop[:colon]
	}
	addr, err := netip.ParseAddr(string(text))
	return addr, text, err == nil && addr.Zone() == ""
}

// appendOrigin appends the fields that tell a backend where the request comes
// from: what a believed peer said, with the peer added, and otherwise the peer
// alone; and of the client's TLS.
func (x *exchange) appendOrigin(dst []byte) []byte {
	dst = append(dst, "X-Forwarded-For: "...)
	dst = x.appendBelieved(dst, http1.XForwardedFor)
	dst = append(dst, x.c.addr...)
	dst = append(dst, "\r\n"...)
	if !x.origin.believed || !x.req.Has(http1.XForwardedProto) {
		dst = append(dst, "X-Forwarded-Proto: "...)
		dst = append(dst, x.scheme()...)
		dst = append(dst, "\r\n"...)
	}
	if len(x.req.Authority) > 0 && (!x.origin.believed || !x.req.Has(http1.XForwardedHost)) {
		dst = http1.AppendField(dst, "X-Forwarded-Host", x.req.Authority)
	}
	if x.front.Forwarded {
		dst = x.appendForwarded(dst)
	}
	return append(dst, x.c.tlsFields...)
}

// appendBelieved appends a believed peer's fields of one name as the beginning
// of a list.
func (x *exchange) appendBelieved(dst []byte, name http1.KnownName) []byte {
	if !x.origin.believed || !x.req.Has(name) {
		return dst
	}
	for i := range x.req.Fields {
		if f := &x.req.Fields[i]; f.Known == name && len(f.Value) > 0 {
			dst = append(dst, f.Value...)
			dst = append(dst, ", "...)
		}
	}
	return dst
}

// appendForwarded appends Forwarded (RFC 7239).
func (x *exchange) appendForwarded(dst []byte) []byte {
	dst = append(dst, "Forwarded: "...)
	dst = x.appendBelieved(dst, http1.Forwarded)
	if x.c.peer.Is6() {
		dst = append(dst, `for="[`...)
		dst = append(dst, x.c.addr...)
		dst = append(dst, `]"`...)
	} else {
		dst = append(dst, "for="...)
		dst = append(dst, x.c.addr...)
	}
	dst = append(dst, ";proto="...)
	dst = append(dst, x.scheme()...)
	if len(x.req.Authority) > 0 {
		dst = append(dst, `;host="`...) // which holds no quote and no backslash, see http1
		dst = append(dst, x.req.Authority...)
		dst = append(dst, '"')
	}
	return append(dst, "\r\n"...)
}

// scheme is what the peer speaks with us.
func (x *exchange) scheme() string {
	if x.c.secure() {
		return "https"
	}
	return "http"
}
