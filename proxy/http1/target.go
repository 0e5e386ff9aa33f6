package http1

import (
	"bytes"
	"net/netip"
)

// parseTarget fills Target, Path, Query and, for the absolute form, Scheme and Authority. RFC 9112 section 3.2.
func (h *RequestHead) parseTarget(t []byte) *ProtocolError {
	if len(t) == 0 {
		return badRequest("the request target is empty")
	}
	if !all(t, classTarget) {
		return badRequest("a character that no request target may hold")
	}
	isConnect := string(h.Method) == "CONNECT"
	switch {
	case isConnect:
		// The authority form. We are no forward proxy: whatever it names, there is no tunnel to it.
		return &ProtocolError{Status: 501, Reason: "CONNECT is not supported"}
	case t[0] == '/':
		h.setTarget(t)
		return nil
	case len(t) == 1 && t[0] == '*':
		if string(h.Method) != "OPTIONS" {
			return badRequest("the request target * with a method other than OPTIONS")
		}
		h.setTarget(t)
		return nil
	}
	return h.parseAbsolute(t)
}

// parseAbsolute reads "http://authority/path?query". What goes on is the origin form; its authority replaces Host.
func (h *RequestHead) parseAbsolute(t []byte) *ProtocolError {
	n := bytes.Index(t, []byte("://"))
	if n < 0 || !(EqualFold(t[:n], "http") || EqualFold(t[:n], "https")) {
		return badRequest("the request target is neither a path nor an http or https URI")
	}
	h.Scheme = t[:n]
	t = t[n+3:]
	n = bytes.IndexAny(t, "/?")
	if n < 0 {
		n = len(t)
	}
	h.Authority = t[:n]
	if !validAuthority(h.Authority) {
		return badRequest("the authority of the request target is not valid")
	}
	switch rest := t[n:]; {
	case len(rest) == 0 && string(h.Method) == "OPTIONS":
		h.setScratch("*", nil) // RFC 9112 section 3.2.4
	case len(rest) == 0, rest[0] == '?':
		h.setScratch("/", rest)
	default:
		h.setTarget(rest)
	}
	return nil
}

// setScratch sets a target that does not stand in the message as it is.
func (h *RequestHead) setScratch(path string, query []byte) {
	h.scratch = append(append(h.scratch[:0], path...), query...)
	h.setTarget(h.scratch)
}

func (h *RequestHead) setTarget(t []byte) {
	h.Target, h.Path = t, t
	if i := bytes.IndexByte(t, '?'); i >= 0 {
		h.Path, h.Query = t[:i], t[i+1:]
	}
}

// validAuthority checks uri-host [":" port] (RFC 9110 section 4.2): no user information, no empty host. The comma
// and the other sub-delims and percent-encoded bytes, which a reg-name could hold, are refused: no DNS name has them, and each
// is a chance for two servers to see different hosts.
func validAuthority(a []byte) bool {
	host, port := a, []byte(nil)
	if len(a) > 0 && a[0] == '[' {
		end := bytes.IndexByte(a, ']')
		if end < 0 {
			return false
		}
		host, port = a[:end+1], a[end+1:]
		if !validIPv6(host[1:end]) {
			return false
		}
	} else {
		if i := bytes.IndexByte(a, ':'); i >= 0 {
			host, port = a[:i], a[i:]
		}
		if len(host) == 0 || !all(host, classHost) {
			return false
		}
	}
	return len(port) == 0 || port[0] == ':' && validPort(port[1:])
}

// validPort allows an empty port, as the grammar does.
func validPort(p []byte) bool {
	if len(p) == 0 {
		return true
	}
	n, ok := parseDecimal(p)
	return ok && n <= 65535
}

// validIPv6 allocates; such hosts are rare enough.
func validIPv6(b []byte) bool {
	a, err := netip.ParseAddr(string(b))
	return err == nil && a.Is6() && a.Zone() == ""
}
