package http1

// maxOptions bounds the names that the Connection fields of one message may list, since every field of the message is compared
// with each of them.
const maxOptions = 64

// options is what the Connection fields of a message list. RFC 9110 section 7.6.1.
type options struct {
	names                     [][]byte // without close, keep-alive and upgrade
	close, keepAlive, upgrade bool
}

func (o *options) reset() { *o = options{names: o.names[:0]} }

// add takes one Connection field in. strict refuses options that are not tokens; otherwise they are passed over.
func (o *options) add(v []byte, strict bool) *ProtocolError {
	for e, rest, ok := NextElement(v); ok; e, rest, ok = NextElement(rest) {
		switch {
		case EqualFold(e, "close"):
			o.close = true
		case EqualFold(e, "keep-alive"):
			o.keepAlive = true
		case EqualFold(e, "upgrade"):
			o.upgrade = true
		case !ValidFieldName(e):
			if strict {
				return badRequest("a connection option that is not a token")
			}
		case len(o.names) == maxOptions:
			return badRequest("too many connection options")
		default:
			o.names = append(o.names, e)
		}
	}
	return nil
}

// persists says whether the sender means to keep the connection. RFC 9112 section 9.3.
func (o *options) persists(minor uint8) bool {
	return !o.close && (minor >= 1 || o.keepAlive)
}

// hopByHop says whether a field ends at the next hop: those that are meant for one connection, and every name that a
// Connection field lists. Content-Length and Host are never among them, or a sender could take the framing or the host away
// by listing them. Transfer-Encoding always is: the next hop gets its own. So are credentials for proxies. Trailer is
// not, since the trailer fields that it announces are relayed.
func (o *options) hopByHop(f *Field) bool {
	switch f.Known {
	case Connection, KeepAlive, ProxyConnection, ProxyAuthenticate, ProxyAuthorization, TE, TransferEncoding, Upgrade,
		HTTP2Settings:
		return true
	case ContentLength, Host:
		return false
	}
	for _, name := range o.names {
		if equalFoldBytes(f.Name, name) {
			return true
		}
	}
	return false
}

// offered returns the value of the Upgrade field if the message really offers a change of protocol that may be relayed: HTTP/1.1,
// one Upgrade field, announced by Connection. An offer of HTTP or TLS itself is for this connection only and must not reach
// a backend: what it began to speak would pass unseen (h2c smuggling). Ignoring an offer is always allowed (RFC 9110 section 7.8).
func (o *options) offered(minor uint8, b *fieldBlock) []byte {
	if minor == 0 || !o.upgrade || b.count(Upgrade) != 1 {
		return nil
	}
	v := b.value(Upgrade)
	if len(v) == 0 {
		return nil
	}
	for e, rest, ok := NextElement(v); ok; e, rest, ok = NextElement(rest) {
		for i, c := range e {
			if c == '/' {
				e = e[:i]
				break
			}
		}
		if !ValidFieldName(e) || EqualFold(e, "h2c") || EqualFold(e, "h2") || EqualFold(e, "http") || EqualFold(e, "tls") {
			return nil
		}
	}
	return v
}

// Switches says whether answer, the Upgrade of a 101, names only protocols that the client offered. A server must not
// change to any other (RFC 9110 section 7.8). False where either is empty.
func Switches(offered, answer []byte) bool {
	n := 0
	for a, rest, ok := NextElement(answer); ok; a, rest, ok = NextElement(rest) {
		found := false
		for o, others, ok := NextElement(offered); ok && !found; o, others, ok = NextElement(others) {
			found = equalFoldBytes(a, o)
		}
		if !found {
			return false
		}
		n++
	}
	return n > 0
}
