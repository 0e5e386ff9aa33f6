package tlsfront_test

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"strings"
	"testing"
	"time"

	"rehydra/e2e/harness"
	"rehydra/proxy/tlsfront"
)

// load loads certificates that were issued.
func load(t *testing.T, issued ...harness.Issued) (certificates []*tlsfront.Certificate) {
	t.Helper()
	for _, i := range issued {
		c, err := tlsfront.Load(i.Certificate, i.Key)
		if err != nil {
			t.Fatal(err)
		}
		certificates = append(certificates, c)
	}
	return certificates
}

// shake makes one connection and returns what client and server say of it. Each reads what the other has to say after the handshake: in TLS 1.3
// a client learns only then that it was refused.
func shake(t *testing.T, server, client *tls.Config) (state tls.ConnectionState, seen tls.ConnectionState, clientErr, serverErr error) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	done := make(chan struct{})
	go func() {
		defer close(done)
		raw, err := ln.Accept()
		if err != nil {
			serverErr = err
			return
		}
		conn := tls.Server(raw, server)
		defer conn.Close()
		conn.SetDeadline(time.Now().Add(20 * time.Second))
		if serverErr = conn.Handshake(); serverErr == nil {
			seen = conn.ConnectionState()
			_, serverErr = conn.Write([]byte("x"))
		}
	}()
	raw, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	conn := tls.Client(raw, client)
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(20 * time.Second))
	if clientErr = conn.Handshake(); clientErr == nil {
		state = conn.ConnectionState()
		var n int
		if n, clientErr = conn.Read(make([]byte, 1)); n == 1 {
			clientErr = nil // the end may come with it
		}
	}
	raw.Close()
	<-done
	return state, seen, clientErr, serverErr
}

func TestCertificateByName(t *testing.T) {
	authority := harness.NewAuthority(t)
	first := authority.Issue(t, harness.Wanted{Names: []string{"first.test"}})
	wild := authority.Issue(t, harness.Wanted{Names: []string{"*.shop.test"}})
	exact := authority.Issue(t, harness.Wanted{Names: []string{"www.shop.test"}})
	withRSA := authority.Issue(t, harness.Wanted{Names: []string{"both.test"}, RSA: true})
	withECDSA := authority.Issue(t, harness.Wanted{Names: []string{"both.test"}})
	certificates := load(t, first, wild, exact, withRSA, withECDSA)
	for _, test := range []struct {
		name, asked string
		strict      bool
		suites      []uint16
		want        *harness.Issued // nil: refused
	}{
		{name: "its own", asked: "first.test", want: &first},
		{name: "case does not count", asked: "WWW.Shop.test", want: &exact},
		{name: "a wildcard", asked: "a.shop.test", want: &wild},
		{name: "itself before a wildcard", asked: "www.shop.test", want: &exact},
		{name: "a wildcard is one label", asked: "a.b.shop.test", want: &first},
		{name: "a wildcard is one label at least", asked: "shop.test", want: &first},
		{name: "unknown", asked: "unknown.test", want: &first},
		{name: "none", want: &first},
		{name: "unknown, strictly", asked: "unknown.test", strict: true},
		{name: "none, strictly", strict: true},
		{name: "its own, strictly", asked: "a.shop.test", strict: true, want: &wild},
		{name: "the first of two kinds", asked: "both.test", want: &withRSA},
		{name: "the one of two kinds that the client can use", asked: "both.test", suites: []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256}, want: &withECDSA},
	} {
		t.Run(test.name, func(t *testing.T) {
			server := tlsfront.Config{Certificates: certificates, Strict: test.strict, MinVersion: tls.VersionTLS12, Protocols: []string{"http/1.1"}}.TLS()
			client := &tls.Config{ServerName: test.asked, InsecureSkipVerify: true, CipherSuites: test.suites}
			if test.suites != nil {
				client.MaxVersion = tls.VersionTLS12
			}
			state, _, err, _ := shake(t, server, client)
			if test.want == nil {
				if err == nil || !strings.Contains(err.Error(), "unrecognized name") {
					t.Errorf("got %v, wanted the alert unrecognized name", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := state.PeerCertificates[0]; !got.Equal(test.want.Pair.Leaf) {
				t.Errorf("got the certificate of %q, wanted that of %q", got.DNSNames, test.want.Pair.Leaf.DNSNames)
			}
		})
	}
}

func TestVersionsAndProtocols(t *testing.T) {
	authority := harness.NewAuthority(t)
	certificates := load(t, authority.Issue(t, harness.Wanted{Names: []string{"shop.test"}}))
	for _, test := range []struct {
		name      string
		least     uint16
		client    *tls.Config
		want      string // of ALPN
		wantError bool
	}{
		{name: "1.3", least: tls.VersionTLS12, client: &tls.Config{NextProtos: []string{"h2", "http/1.1"}}, want: "http/1.1"},
		{name: "1.2", least: tls.VersionTLS12, client: &tls.Config{MaxVersion: tls.VersionTLS12}},
		{name: "1.2 where 1.3 is wanted", least: tls.VersionTLS13, client: &tls.Config{MaxVersion: tls.VersionTLS12}, wantError: true},
		{name: "1.1", least: tls.VersionTLS12, client: &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}, wantError: true},
		{name: "another protocol only", least: tls.VersionTLS12, client: &tls.Config{NextProtos: []string{"spdy/3"}}, wantError: true},
	} {
		t.Run(test.name, func(t *testing.T) {
			test.client.ServerName, test.client.RootCAs = "shop.test", authority.Pool()
			state, _, err, _ := shake(t, tlsfront.Config{Certificates: certificates, MinVersion: test.least, Protocols: []string{"http/1.1"}}.TLS(), test.client)
			if (err != nil) != test.wantError || state.NegotiatedProtocol != test.want {
				t.Errorf("got %q and %v", state.NegotiatedProtocol, err)
			}
		})
	}
}

// TestLeaving: a server that leaves speaks HTTP/2 with those alone who speak nothing else, and knows everybody's session all the same.
func TestLeaving(t *testing.T) {
	authority := harness.NewAuthority(t)
	certificates := load(t, authority.Issue(t, harness.Wanted{Names: []string{"shop.test"}}))
	both, h1, h2 := []string{"h2", "http/1.1"}, []string{"http/1.1"}, []string{"h2"}
	for _, test := range []struct {
		name          string
		spoken, asked []string
		before, after string // what is chosen before the server leaves, and while it does
	}{
		{"both", both, both, "h2", "http/1.1"},
		{"HTTP/2 alone", both, h2, "h2", "h2"},
		{"HTTP/1.1 alone", both, h1, "http/1.1", "http/1.1"},
		{"nothing", both, nil, "", ""},
		{"both, of one who speaks HTTP/2 alone", h2, both, "h2", "h2"},
		{"both, of one who speaks HTTP/1.1 alone", h1, both, "http/1.1", "http/1.1"},
	} {
		for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
			t.Run(test.name+" in "+tls.VersionName(version), func(t *testing.T) {
				leaves := false
				config := tlsfront.Leaving(tlsfront.Config{Certificates: certificates, MinVersion: tls.VersionTLS12, Protocols: test.spoken}.TLS(), func() bool { return leaves })
				client := &tls.Config{ServerName: "shop.test", RootCAs: authority.Pool(), NextProtos: test.asked, MaxVersion: version, ClientSessionCache: tls.NewLRUClientSessionCache(1)}
				for i, want := range []string{test.before, test.after} {
					leaves = i == 1
					state, _, clientErr, serverErr := shake(t, config, client)
					if clientErr != nil || serverErr != nil || state.NegotiatedProtocol != want {
						t.Errorf("leaves: %v; got %q, %v and %v, wanted %q", leaves, state.NegotiatedProtocol, clientErr, serverErr, want)
					}
					if leaves && !state.DidResume {
						t.Error("the session is not known any more")
					}
				}
			})
		}
	}
}

func TestClientCertificates(t *testing.T) {
	authority, stranger := harness.NewAuthority(t), harness.NewAuthority(t)
	certificates := load(t, authority.Issue(t, harness.Wanted{Names: []string{"shop.test"}}))
	good, bad := authority.Issue(t, harness.Wanted{}), stranger.Issue(t, harness.Wanted{})
	old := authority.Issue(t, harness.Wanted{Begins: time.Now().Add(-2 * time.Hour), Ends: time.Now().Add(-time.Hour)})
	server := authority.Issue(t, harness.Wanted{Edit: func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} }})
	for _, test := range []struct {
		name  string
		way   tlsfront.ClientAuth
		shown *harness.Issued
		taken bool
		seen  bool
	}{
		{"not asked for", tlsfront.ClientNone, &good, true, false},
		{"not shown", tlsfront.ClientRequest, nil, true, false},
		{"shown", tlsfront.ClientRequest, &good, true, true},
		{"shown and not valid", tlsfront.ClientRequest, &bad, false, false},
		{"required and not shown", tlsfront.ClientRequire, nil, false, false},
		{"required and shown", tlsfront.ClientRequire, &good, true, true},
		{"of a stranger", tlsfront.ClientRequire, &bad, false, false},
		{"expired", tlsfront.ClientRequire, &old, false, false},
		{"not for clients", tlsfront.ClientRequire, &server, false, false},
	} {
		for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
			t.Run(test.name+" in "+tls.VersionName(version), func(t *testing.T) {
				config := tlsfront.Config{Certificates: certificates, MinVersion: tls.VersionTLS12, ClientAuth: test.way, Clients: authority.Pool()}.TLS()
				client := &tls.Config{ServerName: "shop.test", RootCAs: authority.Pool(), MaxVersion: version}
				if test.shown != nil {
					// Whatever authorities the server names.
					client.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &test.shown.Pair, nil }
				}
				_, seen, clientErr, serverErr := shake(t, config, client)
				if taken := clientErr == nil && serverErr == nil; taken != test.taken {
					t.Fatalf("client %v, server %v; wanted it taken: %v", clientErr, serverErr, test.taken)
				}
				if got := len(seen.VerifiedChains) > 0; got != test.seen {
					t.Errorf("verified: %v, wanted %v", got, test.seen)
				}
			})
		}
	}
}
