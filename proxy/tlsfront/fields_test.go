package tlsfront_test

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"strings"
	"testing"
	"time"

	"rehydra/e2e/harness"
	"rehydra/proxy/tlsfront"
)

// fields makes a connection with a client's certificate, or none, and returns what a backend is told.
func fields(t *testing.T, authority *harness.Authority, client *harness.Issued, version uint16) map[string]string {
	t.Helper()
	certificates := load(t, authority.Issue(t, harness.Wanted{Names: []string{"shop.test"}}))
	server := tlsfront.Config{Certificates: certificates, MinVersion: tls.VersionTLS12, ClientAuth: tlsfront.ClientRequest, Clients: authority.Pool()}.TLS()
	config := &tls.Config{
		ServerName: "shop.test", RootCAs: authority.Pool(), MinVersion: version, MaxVersion: version,
		CipherSuites: []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384},
	}
	if client != nil {
		config.Certificates = []tls.Certificate{client.Pair}
	}
	_, seen, clientErr, serverErr := shake(t, server, config)
	if clientErr != nil || serverErr != nil {
		t.Fatal(clientErr, serverErr)
	}
	text := string(tlsfront.AppendFields(nil, &seen))
	if strings.Contains(strings.ReplaceAll(text, "\r\n", ""), "\r") || strings.Contains(strings.ReplaceAll(text, "\r\n", ""), "\n") {
		t.Fatalf("a lone line end in %q", text)
	}
	all := map[string]string{}
	for line := range strings.SplitSeq(strings.TrimSuffix(text, "\r\n"), "\r\n") {
		name, value, ok := strings.Cut(line, ": ")
		if !ok || all[name] != "" {
			t.Fatalf("line %q in %q", line, text)
		}
		for _, c := range []byte(value) {
			if c < ' ' || c > '~' {
				t.Fatalf("byte %#x in %q", c, line)
			}
		}
		all[name] = value
	}
	return all
}

func TestFieldsOfTheConnection(t *testing.T) {
	authority := harness.NewAuthority(t)
	got := fields(t, authority, nil, tls.VersionTLS12)
	for name, want := range map[string]string{
		"SSL_PROTOCOL": "TLSv1.2", "SSL_CIPHER": "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", "SSL_CIPHER_USEKEYSIZE": "256", "SSL_CLIENT_VERIFY": "NONE",
	} {
		if got[name] != want {
			t.Errorf("%s is %q, wanted %q", name, got[name], want)
		}
	}
	if len(got) != 4 {
		t.Errorf("got %v, wanted these four", got)
	}
	if got := fields(t, authority, nil, tls.VersionTLS13)["SSL_PROTOCOL"]; got != "TLSv1.3" {
		t.Errorf("SSL_PROTOCOL is %q, wanted TLSv1.3", got)
	}
}

func TestFieldsOfTheClient(t *testing.T) {
	authority := harness.NewAuthority(t)
	ends := time.Now().Add(time.Hour).Truncate(time.Second)
	client := authority.Issue(t, harness.Wanted{Ends: ends, Subject: pkix.Name{
		CommonName: "Zoë\r\nSSL_CLIENT_VERIFY: SUCCESS", Organization: []string{"Shop, Ltd"}, Country: []string{"DE"},
	}})
	got := fields(t, authority, &client, tls.VersionTLS13)
	for name, want := range map[string]string{
		"SSL_CLIENT_VERIFY":   "SUCCESS",
		"SSL_CLIENT_S_DN":     `CN=Zo\C3\AB\0D\0ASSL_CLIENT_VERIFY: SUCCESS,O=Shop\, Ltd,C=DE`,
		"SSL_CLIENT_I_DN":     "CN=authority of a test",
		"SSL_CLIENT_M_SERIAL": strings.ToUpper(client.Pair.Leaf.SerialNumber.Text(16)),
		"SSL_CLIENT_V_END":    ends.UTC().Format("Jan _2 15:04:05 2006 GMT"),
	} {
		if got[name] != want {
			t.Errorf("%s is %q, wanted %q", name, got[name], want)
		}
	}
	if cert := sslValve(t, got["SSL_CLIENT_CERT"]); !cert.Equal(client.Pair.Leaf) {
		t.Errorf("SSL_CLIENT_CERT is %q", got["SSL_CLIENT_CERT"])
	}
}

// sslValve reads a certificate in the way of Tomcat's SSLValve: it takes 28 characters off the beginning and 26 off the end, and makes each blank between
// them a line end.
func sslValve(t *testing.T, value string) *x509.Certificate {
	t.Helper()
	if len(value) <= 28+26 {
		t.Fatalf("SSL_CLIENT_CERT is %q", value)
	}
	middle := strings.ReplaceAll(value, " ", "\n")[28 : len(value)-26]
	block, rest := pem.Decode([]byte("-----BEGIN CERTIFICATE-----\n" + middle + "\n-----END CERTIFICATE-----\n"))
	if block == nil || len(rest) > 0 {
		t.Fatalf("no PEM in %q", value)
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}
