package http1

// KnownName is a field name that the proxy has something to do with. Names are looked up once, when a head is
// parsed, so that later steps switch on a number.
type KnownName uint8

// The names. Other is every name not listed. In a request each field whose name begins with "Rehydra-", in any case and with
// "_" for "-", is RehydraForeign: only the tier may say those. In a response the four that an adapter sends have numbers of
// their own, and the rest of them are RehydraForeign. Underscore is any other name of a request that holds a "_", or begins with
// "SSL-": servers behind us may take one for the other, so a proxy leaves such fields out. XForwardedOther is X-Forwarded-Port and all the rest.
const (
	Other KnownName = iota
	Authorization
	Connection
	ContentLength
	Cookie
	Date
	Expect
	Forwarded
	Host
	HTTP2Settings
	KeepAlive
	Location
	MaxForwards
	ProxyAuthenticate
	ProxyAuthorization
	ProxyConnection
	RehydraAdapter
	RehydraForeign
	RehydraNeed
	RehydraSession
	RehydraState
	Server
	SetCookie
	TE
	Trailer
	TransferEncoding
	Underscore
	Upgrade
	Via
	XForwardedFor
	XForwardedHost
	XForwardedOther
	XForwardedProto
	XRealIP

	knownNames // how many there are; must stay below 64 for nameSet
)

// nameSet holds which known names a head has.
type nameSet uint64

func (s nameSet) has(k KnownName) bool { return s&(1<<k) != 0 }

// direction says whose fields are looked up.
type direction uint8

const (
	fromClient direction = iota
	fromBackend
)

// lookup finds the number of a field name. underscore tells that the name holds one.
func lookup(name []byte, underscore bool, from direction) KnownName {
	if c := name[0] | 0x20; c == 'r' && len(name) > 8 && foldPrefix(name, "rehydra-") {
		if from == fromBackend {
			return lookupRehydra(name)
		}
		return RehydraForeign
	}
	if from == fromClient && len(name) > 4 && name[0]|0x20 == 's' && foldPrefix(name, "ssl-") {
		return Underscore
	}
	if underscore {
		if from == fromClient {
			return Underscore
		}
		return Other
	}
	if len(name) > 12 && name[0]|0x20 == 'x' && foldPrefix(name, "x-forwarded-") {
		return lookupForwarded(name)
	}
	return lookupPlain(name)
}

// foldPrefix is a prefix test without regard to case that takes "_" for "-".
func foldPrefix(name []byte, prefix string) bool {
	if len(name) < len(prefix) {
		return false
	}
	for i := range len(prefix) {
		c := lower(name[i])
		if c == '_' {
			c = '-'
		}
		if c != prefix[i] {
			return false
		}
	}
	return true
}

func lookupRehydra(name []byte) KnownName {
	switch {
	case EqualFold(name, "rehydra-adapter"):
		return RehydraAdapter
	case EqualFold(name, "rehydra-session"):
		return RehydraSession
	case EqualFold(name, "rehydra-state"):
		return RehydraState
	case EqualFold(name, "rehydra-need"):
		return RehydraNeed
	}
	return RehydraForeign
}

func lookupForwarded(name []byte) KnownName {
	switch {
	case EqualFold(name, "x-forwarded-for"):
		return XForwardedFor
	case EqualFold(name, "x-forwarded-proto"):
		return XForwardedProto
	case EqualFold(name, "x-forwarded-host"):
		return XForwardedHost
	}
	return XForwardedOther
}

// lookupPlain decides by length and first letter, so that a name is compared with one candidate at most.
func lookupPlain(name []byte) KnownName {
	var want string
	var k KnownName
	switch first := name[0] | 0x20; len(name) {
	case 2:
		want, k = "te", TE
	case 3:
		want, k = "via", Via
	case 4:
		want, k = pick(first, 'h', "host", Host, "date", Date)
	case 6:
		want, k = pick(first, 'c', "cookie", Cookie, "expect", Expect)
		if first == 's' {
			want, k = "server", Server
		}
	case 7:
		want, k = pick(first, 't', "trailer", Trailer, "upgrade", Upgrade)
	case 8:
		want, k = "location", Location
	case 9:
		want, k = pick(first, 'x', "x-real-ip", XRealIP, "forwarded", Forwarded)
	case 10:
		want, k = pick(first, 'c', "connection", Connection, "set-cookie", SetCookie)
		if first == 'k' {
			want, k = "keep-alive", KeepAlive
		}
	case 12:
		want, k = "max-forwards", MaxForwards
	case 13:
		want, k = "authorization", Authorization
	case 14:
		want, k = pick(first, 'c', "content-length", ContentLength, "http2-settings", HTTP2Settings)
	case 16:
		want, k = "proxy-connection", ProxyConnection
	case 17:
		want, k = "transfer-encoding", TransferEncoding
	case 18:
		want, k = "proxy-authenticate", ProxyAuthenticate
	case 19:
		want, k = "proxy-authorization", ProxyAuthorization
	default:
		return Other
	}
	if EqualFold(name, want) {
		return k
	}
	return Other
}

func pick(first, is byte, a string, ka KnownName, b string, kb KnownName) (string, KnownName) {
	if first == is {
		return a, ka
	}
	return b, kb
}
