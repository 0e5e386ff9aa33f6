package http1

import (
	"strings"
	"testing"
)

func TestLookup(t *testing.T) {
	names := map[string]KnownName{
		"Authorization": Authorization, "Connection": Connection, "Content-Length": ContentLength, "Cookie": Cookie,
		"Date": Date, "Expect": Expect, "Forwarded": Forwarded, "Host": Host, "HTTP2-Settings": HTTP2Settings,
		"Keep-Alive": KeepAlive, "Location": Location, "Max-Forwards": MaxForwards,
		"Proxy-Authenticate": ProxyAuthenticate, "Proxy-Authorization": ProxyAuthorization,
		"Proxy-Connection": ProxyConnection, "Rehydra-Adapter": RehydraAdapter, "Rehydra-Need": RehydraNeed,
		"Rehydra-Session": RehydraSession, "Rehydra-State": RehydraState, "Rehydra-X": RehydraForeign,
		"Server": Server, "Set-Cookie": SetCookie, "TE": TE, "Trailer": Trailer,
		"Transfer-Encoding": TransferEncoding, "Upgrade": Upgrade, "Via": Via, "X-Forwarded-For": XForwardedFor,
		"X-Forwarded-Host": XForwardedHost, "X-Forwarded-Port": XForwardedOther,
		"X-Forwarded-Proto": XForwardedProto, "X-Real-IP": XRealIP,
	}
	for name, want := range names {
		for _, n := range []string{name, strings.ToLower(name), strings.ToUpper(name)} {
			if got := lookup([]byte(n), false, fromBackend); got != want {
				t.Errorf("%s from a backend: %d, want %d", n, got, want)
			}
			wantClient := want
			if strings.HasPrefix(name, "Rehydra-") {
				wantClient = RehydraForeign
			}
			if got := lookup([]byte(n), false, fromClient); got != wantClient {
				t.Errorf("%s from a client: %d, want %d", n, got, wantClient)
			}
		}
		// One letter changed is another name.
		if got := lookup([]byte("z"+name[1:]), false, fromBackend); got != Other {
			t.Errorf("z%s: %d, want Other", name[1:], got)
		}
	}
	if len(names) != int(knownNames)-2 { // Other, Underscore
		t.Errorf("%d names tested of %d", len(names), knownNames-2)
	}
	if knownNames > 64 {
		t.Errorf("%d names do not fit a nameSet", knownNames)
	}
	for name, want := range map[string]KnownName{"rehydra_state": RehydraForeign, "REHYDRA_tier": RehydraForeign,
		"X_Forwarded_For": Underscore, "SSL_CLIENT_S_DN": Underscore, "content_length": Underscore, "a_": Underscore} {
		if got := lookup([]byte(name), true, fromClient); got != want {
			t.Errorf("%s: %d, want %d", name, got, want)
		}
	}
	for name, want := range map[string]KnownName{"Ssl-Client-Verify": Underscore, "SSL-": Other, "sslx": Other} {
		if got := lookup([]byte(name), false, fromClient); got != want {
			t.Errorf("%s: %d, want %d", name, got, want)
		}
		if got := lookup([]byte(name), false, fromBackend); got != Other {
			t.Errorf("%s from a backend: %d, want Other", name, got)
		}
	}
	if got := lookup([]byte("x_y"), true, fromBackend); got != Other {
		t.Errorf("x_y from a backend: %d, want Other", got)
	}
}

func TestScanText(t *testing.T) {
	for c := range 256 {
		bad := (c < 0x20 && c != '\t') || c == 0x7f
		for n := range 20 {
			for i := range n {
				b := []byte(strings.Repeat("\xff", n))
				b[i] = byte(c)
				want := n
				if bad {
					want = i
				}
				if got := scanText(b, 0); got != want {
					t.Fatalf("byte %#x at %d of %d: %d, want %d", c, i, n, got, want)
				}
			}
		}
	}
	for _, s := range []string{"12345678\t\x00", "\t\t\t\t\t\t\t\t\t\t\t\x01xxxxxxxxx", "aaaaaaa\taaaaaaaaa\x7f"} {
		if got, want := scanText([]byte(s), 0), strings.IndexAny(s, "\x00\x01\x7f"); got != want {
			t.Errorf("%q: %d, want %d", s, got, want)
		}
	}
}

func TestNextElement(t *testing.T) {
	for list, want := range map[string]string{"": "", ",": "", " , \t,": "", "a": "a", "a,b": "a|b", " a ,\tb\t, ": "a|b", "a b,c": "a b|c"} {
		var got []string
		for e, rest, ok := NextElement([]byte(list)); ok; e, rest, ok = NextElement(rest) {
			got = append(got, string(e))
		}
		if g := strings.Join(got, "|"); g != want {
			t.Errorf("%q: %q, want %q", list, g, want)
		}
	}
	if !HasElement([]byte("keep-alive, UpGrade"), "upgrade") || HasElement([]byte("upgraded, x-upgrade"), "upgrade") {
		t.Error("HasElement compares wrongly")
	}
}

func TestValidField(t *testing.T) {
	for v, want := range map[string]bool{"": true, "a b\tc": true, " a": false, "a ": false, "a\r\nb": false, "\xff": true, "\x00": false} {
		if ValidFieldValue([]byte(v)) != want {
			t.Errorf("value %q: want %v", v, want)
		}
	}
	for n, want := range map[string]bool{"": false, "X-a_b": true, "a b": false, "a:": false, "\xe9": false} {
		if ValidFieldName([]byte(n)) != want {
			t.Errorf("name %q: want %v", n, want)
		}
	}
}
