package proxy

import (
	"crypto/tls"
	"net/netip"
	"strings"
	"testing"

	"rehydra/proxy/http1"
)

// arriving returns the exchange of a request from a peer, whose fields are given.
func arriving(t testing.TB, front *Front, peer string, fields ...string) *exchange {
	t.Helper()
	addr := netip.MustParseAddr(peer)
	x := &exchange{c: &client{peer: addr, addr: addr.String()}, front: front}
	head := "GET /a HTTP/1.1\r\nHost: shop.test:8080\r\n"
	for _, f := range fields {
		head += f + "\r\n"
	}
	if err := x.req.Parse([]byte(head + "\r\n")); err != nil {
		t.Fatal(err)
	}
	x.arrive()
	return x
}

// forwardedFields is what a backend is told of where the request comes from.
func (x *exchange) forwardedFields() string {
	var b []byte
	for i := range x.req.Fields {
		if f := &x.req.Fields[i]; x.forwards(f) {
			b = http1.AppendField(b, f.Name, f.Value)
		}
	}
	return string(x.appendOrigin(b))
}

func networks(t testing.TB, list ...string) (parsed []netip.Prefix) {
	t.Helper()
	for _, text := range list {
		parsed = append(parsed, netip.MustParsePrefix(text))
	}
	return parsed
}

func TestClientAddress(t *testing.T) {
	trusted := networks(t, "10.0.0.0/8", "2001:db8::/32")
	for _, test := range []struct {
		name, peer string
		forwarded  bool
		fields     []string
		want       string // "": the peer's
	}{
		{"nothing said", "10.0.0.1", false, nil, ""},
		{"a stranger's word", "192.0.2.9", false, []string{"X-Forwarded-For: 1.2.3.4"}, ""},
		{"one", "10.0.0.1", false, []string{"X-Forwarded-For: 192.0.2.1"}, "192.0.2.1"},
		{"the last that is not trusted", "10.0.0.1", false, []string{"X-Forwarded-For: 1.1.1.1, 192.0.2.1, 10.0.0.2"}, "192.0.2.1"},
		{"all are trusted", "10.0.0.1", false, []string{"X-Forwarded-For: 10.0.0.3, 10.0.0.2"}, "10.0.0.3"},
		{"over several fields", "10.0.0.1", false, []string{"X-Forwarded-For: 1.1.1.1, 192.0.2.1", "Accept: */*", "X-Forwarded-For: 10.0.0.2"}, "192.0.2.1"},
		{"empty elements", "10.0.0.1", false, []string{"X-Forwarded-For: , 192.0.2.1,, "}, "192.0.2.1"},
		{"an empty field", "10.0.0.1", false, []string{"X-Forwarded-For:"}, ""},
		{"with a port", "10.0.0.1", false, []string{"X-Forwarded-For: 192.0.2.1:4711"}, "192.0.2.1"},
		{"IPv6", "2001:db8::1", false, []string{"X-Forwarded-For: 2001:db9::7"}, "2001:db9::7"},
		{"IPv6 in brackets with a port", "10.0.0.1", false, []string{"X-Forwarded-For: [2001:db9::7]:80"}, "2001:db9::7"},
		{"IPv6 written as IPv4", "::ffff:10.0.0.1", false, []string{"X-Forwarded-For: ::ffff:10.1.1.1, 10.0.0.2"}, "::ffff:10.1.1.1"},
		{"not known", "10.0.0.1", false, []string{"X-Forwarded-For: 1.1.1.1, unknown"}, ""},
		{"not known behind one that is", "10.0.0.1", false, []string{"X-Forwarded-For: 1.1.1.1, unknown, 10.0.0.2"}, "10.0.0.2"},
		{"a zone", "10.0.0.1", false, []string{"X-Forwarded-For: fe80::1%eth0"}, ""},
		{"nonsense behind brackets", "10.0.0.1", false, []string{"X-Forwarded-For: [2001:db9::7]x"}, ""},
		{"Forwarded where it is not spoken", "10.0.0.1", false, []string{"Forwarded: for=192.0.2.1"}, ""},
		{"Forwarded", "10.0.0.1", true, []string{`Forwarded: for=1.1.1.1, For=192.0.2.1;proto=https, for="10.0.0.2:80"`}, "192.0.2.1"},
		{"Forwarded with IPv6", "10.0.0.1", true, []string{`Forwarded: proto=http;for="[2001:db9::7]:4711"`}, "2001:db9::7"},
		{"Forwarded with quoted separators", "10.0.0.1", true, []string{`Forwarded: for=192.0.2.1;ext="a,for=9.9.9.9;\",b"`}, "192.0.2.1"},
		{"Forwarded that does not say it", "10.0.0.1", true, []string{"Forwarded: for=1.1.1.1, proto=https"}, ""},
		{"Forwarded hidden", "10.0.0.1", true, []string{"Forwarded: for=1.1.1.1, for=_hidden"}, ""},
		{"Forwarded, and a stranger's", "192.0.2.9", true, []string{"Forwarded: for=1.1.1.1"}, ""},
		{"both: X-Forwarded-For counts", "10.0.0.1", true, []string{"Forwarded: for=1.1.1.1", "X-Forwarded-For: 192.0.2.1"}, "192.0.2.1"},
	} {
		t.Run(test.name, func(t *testing.T) {
			x := arriving(t, &Front{Trusted: trusted, Forwarded: test.forwarded}, test.peer, test.fields...)
			if got := string(x.origin.client); got != test.want {
				t.Errorf("the client is %q, wanted %q", got, test.want)
			}
		})
	}
}

func TestWhatBackendsAreTold(t *testing.T) {
	trusted := networks(t, "10.0.0.0/8", "2001:db8::/32")
	said := []string{
		"X-Forwarded-For: 192.0.2.1", "X-Forwarded-Proto: https", "X-Forwarded-Host: www.test", "X-Forwarded-Port: 443", "Forwarded: for=192.0.2.1",
		"X-Real-IP: 9.9.9.9", "SSL_CLIENT_VERIFY: SUCCESS", "Ssl-Client-Verify: x", "X_Forwarded_For: 9.9.9.9",
	}
	for _, test := range []struct {
		name, peer string
		forwarded  bool
		secure     bool
		said       []string
		want       []string
	}{
		{"a stranger says nothing", "192.0.2.9", false, false, nil, []string{
			"X-Forwarded-For: 192.0.2.9", "X-Forwarded-Proto: http", "X-Forwarded-Host: shop.test:8080"}},
		{"a stranger's words are removed", "192.0.2.9", false, true, said, []string{
			"X-Forwarded-For: 192.0.2.9", "X-Forwarded-Proto: https", "X-Forwarded-Host: shop.test:8080", "SSL_CIPHER: x"}},
		{"Forwarded is ours", "192.0.2.9", true, false, said, []string{
			"X-Forwarded-For: 192.0.2.9", "X-Forwarded-Proto: http", "X-Forwarded-Host: shop.test:8080",
			`Forwarded: for=192.0.2.9;proto=http;host="shop.test:8080"`}},
		{"a trusted proxy's are passed on", "10.0.0.1", false, false, said, []string{
			"X-Forwarded-Proto: https", "X-Forwarded-Host: www.test", "X-Forwarded-Port: 443", "X-Forwarded-For: 192.0.2.1, 10.0.0.1"}},
		{"and Forwarded", "10.0.0.1", true, false, said, []string{
			"X-Forwarded-Proto: https", "X-Forwarded-Host: www.test", "X-Forwarded-Port: 443", "X-Forwarded-For: 192.0.2.1, 10.0.0.1",
			`Forwarded: for=192.0.2.1, for=10.0.0.1;proto=http;host="shop.test:8080"`}},
		{"a trusted proxy says nothing", "2001:db8::5", true, false, nil, []string{
			"X-Forwarded-For: 2001:db8::5", "X-Forwarded-Proto: http", "X-Forwarded-Host: shop.test:8080",
			`Forwarded: for="[2001:db8::5]";proto=http;host="shop.test:8080"`}},
		{"Connection takes nothing of it away", "10.0.0.1", false, false,
			[]string{"Connection: X-Forwarded-For, X-Forwarded-Proto", "X-Forwarded-For: 192.0.2.1", "X-Forwarded-Proto: https"}, []string{
				"X-Forwarded-Proto: https", "X-Forwarded-For: 192.0.2.1, 10.0.0.1", "X-Forwarded-Host: shop.test:8080"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			x := arriving(t, &Front{Trusted: trusted, Forwarded: test.forwarded}, test.peer, test.said...)
			if test.secure {
				x.c.tls, x.c.tlsFields = &tls.ConnectionState{}, []byte("SSL_CIPHER: x\r\n")
			}
			if got, want := x.forwardedFields(), strings.Join(test.want, "\r\n")+"\r\n"; got != want {
				t.Errorf("a backend is told\n%swanted\n%s", got, want)
			}
		})
	}
}

// A peer that is believed says whether the client has TLS; ours says it otherwise.
func TestSecure(t *testing.T) {
	front := &Front{Trusted: networks(t, "10.0.0.0/8")}
	for _, test := range []struct {
		peer, said string
		want       bool
	}{
		{"10.0.0.1", "X-Forwarded-Proto: HTTPS", true},
		{"10.0.0.1", "X-Forwarded-Proto: http", false},
		{"10.0.0.1", "Accept: */*", false},
		{"192.0.2.1", "X-Forwarded-Proto: https", false},
	} {
		if x := arriving(t, front, test.peer, test.said); x.origin.secure != test.want {
			t.Errorf("%s says %q: secure is %v, wanted %v", test.peer, test.said, x.origin.secure, test.want)
		}
	}
}

func TestArrivingAllocatesNothing(t *testing.T) {
	for name, front := range map[string]*Front{"nobody is trusted": {}, "somebody is": {Trusted: networks(t, "10.0.0.0/8"), Forwarded: true}} {
		x := arriving(t, front, "192.0.2.1", "X-Forwarded-For: 1.1.1.1")
		dst := make([]byte, 0, 1024)
		if n := testing.AllocsPerRun(100, func() { x.arrive(); dst = x.appendOrigin(dst[:0]) }); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

func FuzzClientAddress(f *testing.F) {
	f.Add("for=1.2.3.4, for=\"[::1]:80\"", true)
	f.Add("1.2.3.4, [::1]:80, unknown", false)
	f.Add("for=\"a\\", true)
	f.Fuzz(func(t *testing.T, value string, forwarded bool) {
		if strings.ContainsAny(value, "\r\n\x00") {
			return
		}
		name := "X-Forwarded-For: "
		if forwarded {
			name = "Forwarded: "
		}
		var req http1.RequestHead
		if req.Parse([]byte("GET / HTTP/1.1\r\nHost: x\r\n"+name+value+"\r\n\r\n")) != nil {
			return
		}
		front := &Front{Trusted: networks(t, "10.0.0.0/8"), Forwarded: true}
		x := arriving(t, front, "10.0.0.1", name+value)
		if client := x.origin.client; client != nil {
			if addr, err := netip.ParseAddr(string(client)); err != nil || addr.Zone() != "" {
				t.Errorf("the client is %q", client)
			}
		}
		if n := strings.Count(x.forwardedFields(), "\r\n"); n != 4 {
			t.Errorf("%d lines for four fields", n)
		}
	})
}
