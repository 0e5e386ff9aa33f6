package tls

import (
	"crypto/tls"
	"crypto/x509/pkix"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"rehydra/e2e/harness"
)

// curl, as people use it: a certificate by its name, HTTP/1.1, TLS of both versions, an upload and a download.
func TestCurl(t *testing.T) {
	authority := harness.NewAuthority(t)
	p := harness.Start(t, harness.Config{
		NoToken: true, TLS: files(authority.Issue(t, harness.Wanted{Names: []string{"shop.test"}})),
		TLSMore: []string{`hsts = "max-age=31536000"`},
		Issued: []harness.Issued{
			authority.Issue(t, harness.Wanted{Names: []string{"*.blog.test"}, RSA: true}), authority.Issue(t, harness.Wanted{Names: []string{"help.test"}}),
		},
		Pools: pool(startBackend(t, nil)),
	})
	for _, version := range []string{"1.2", "1.3"} {
		for _, name := range []string{"shop.test", "help.test", "my.blog.test"} {
			out, code := curl(t, append(resolve(t, name, p.Secure()), "--http1.1", "--include", "--cacert", authority.File, "--tls-max", version, "--tlsv1.2")...)
			if code != 0 || !strings.HasPrefix(out, "HTTP/1.1 200 ") || !strings.Contains(out, "Strict-Transport-Security: max-age=31536000\r\n") {
				t.Errorf("%s by TLS %s: curl ended with %d and printed\n%s", name, version, code, out)
			}
			wantLine(t, out, "X-Forwarded-Proto: https")
			wantLine(t, out, "Ssl_protocol: TLSv"+version)
		}
	}
	if out, code := curl(t, append(resolve(t, "other.test", p.Secure()), "--cacert", authority.File)...); code != 60 { // no certificate for that name
		t.Errorf("a name that is not ours: curl ended with %d and printed\n%s", code, out)
	}
	upload := t.TempDir() + "/upload"
	if err := os.WriteFile(upload, make([]byte, 3<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	out, code := curl(t, append(resolve(t, "shop.test", p.Secure()), "--cacert", authority.File, "--upload-file", upload)...)
	if code != 0 {
		t.Errorf("an upload: curl ended with %d", code)
	}
	wantLine(t, out, fmt.Sprintf("body: %d", 3<<20))
	args := resolve(t, "shop.test", p.Secure())
	args[len(args)-1] = strings.TrimSuffix(args[len(args)-1], "/a") + "/large"
	if out, code := curl(t, append(args, "--cacert", authority.File, "--output", os.DevNull, "--write-out", "%{size_download}")...); code != 0 || out != fmt.Sprint(8<<20) {
		t.Errorf("a download: curl ended with %d and %s bytes", code, out)
	}
}

func TestNameThatNobodyHas(t *testing.T) {
	authority := harness.NewAuthority(t)
	p := harness.Start(t, harness.Config{
		NoToken: true, TLS: files(authority.Issue(t, harness.Wanted{Names: []string{"shop.test"}})), TLSMore: []string{"strict_sni = true"}, Pools: pool(startBackend(t, nil)),
	})
	if status, _, err := get(t, client(t, p.Secure(), &tls.Config{RootCAs: authority.Pool()}), "https://shop.test/"); err != nil || status != 200 {
		t.Errorf("a name that there is: %d, %v", status, err)
	}
	_, _, err := get(t, client(t, p.Secure(), &tls.Config{InsecureSkipVerify: true}), "https://other.test/")
	if err == nil || !strings.Contains(err.Error(), "unrecognized name") {
		t.Errorf("got %v, wanted the alert unrecognized name", err)
	}
	p.WaitMetric(t, "rehydra_client_handshakes_failed_total", 1)
}

// What a client shows reaches the backend, and what it claims does not.
func TestClientCertificate(t *testing.T) {
	authority, stranger := harness.NewAuthority(t), harness.NewAuthority(t)
	p := harness.Start(t, harness.Config{
		NoToken: true, TLS: files(authority.Issue(t, harness.Wanted{Names: []string{"shop.test"}})),
		TLSMore: []string{`client_auth = "request"`, fmt.Sprintf("client_ca = %q", authority.File)}, Pools: pool(startBackend(t, nil)),
	})
	anna := authority.Issue(t, harness.Wanted{Subject: pkix.Name{CommonName: "Anna", Organization: []string{"Shop"}}})
	claims := []string{"--cacert", authority.File, "-H", "SSL_CLIENT_S_DN: CN=root", "-H", "Ssl-Client-Verify: SUCCESS", "-H", "SSL_CLIENT_CERT: x"}
	args := append(resolve(t, "shop.test", p.Secure()), claims...)
	out, code := curl(t, append(args, "--cert", anna.Certificate, "--key", anna.Key)...)
	if code != 0 {
		t.Fatalf("curl ended with %d and printed\n%s", code, out)
	}
	wantLine(t, out, "Ssl_client_s_dn: CN=Anna,O=Shop")
	wantLine(t, out, "Ssl_client_verify: SUCCESS")
	if !strings.Contains(out, "\nSsl_client_cert: -----BEGIN CERTIFICATE----- MII") || strings.Contains(out, "Ssl-Client") || strings.Contains(out, "root") {
		t.Errorf("the backend was told\n%s", out)
	}
	out, code = curl(t, args...)
	if code != 0 || strings.Contains(out, "Ssl_client_s_dn") || strings.Contains(out, "Ssl_client_cert") {
		t.Errorf("without a certificate curl ended with %d, and the backend was told\n%s", code, out)
	}
	wantLine(t, out, "Ssl_client_verify: NONE")
	eve := stranger.Issue(t, harness.Wanted{Subject: pkix.Name{CommonName: "Anna"}})
	if out, code := curl(t, append(args, "--cert", eve.Certificate, "--key", eve.Key)...); code == 0 {
		t.Errorf("a certificate of a stranger was taken:\n%s", out)
	}
}

// With redirect, requests without TLS come again.
func TestRedirect(t *testing.T) {
	authority := harness.NewAuthority(t)
	p := harness.Start(t, harness.Config{
		NoToken: true, TLS: files(authority.Issue(t, harness.Wanted{Names: []string{"shop.test"}})), TLSMore: []string{"redirect = true"}, Pools: pool(startBackend(t, nil)),
	})
	_, port, err := net.SplitHostPort(p.Secure())
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://shop.test/a?b=c", strings.NewReader("body"))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := client(t, p.Address(), nil).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if want := "https://shop.test:" + port + "/a?b=c"; resp.StatusCode != 308 || resp.Header.Get("Location") != want {
		t.Errorf("got %d to %q, wanted 308 to %q", resp.StatusCode, resp.Header.Get("Location"), want)
	}
}

// A reload takes new certificates; a broken one leaves all as it was, and says why.
func TestReload(t *testing.T) {
	authority := harness.NewAuthority(t)
	first, second, other := authority.Issue(t, harness.Wanted{Names: []string{"shop.test"}}), authority.Issue(t, harness.Wanted{Names: []string{"shop.test"}}),
		authority.Issue(t, harness.Wanted{Names: []string{"other.test"}})
	cfg := harness.Config{NoToken: true, TLS: files(first), Pools: pool(startBackend(t, nil))}
	p := harness.Start(t, cfg)
	shown := func() string {
		t.Helper()
		conn, err := tls.DialWithDialer(&net.Dialer{Timeout: patience}, "tcp", p.Secure(), &tls.Config{ServerName: "shop.test", RootCAs: authority.Pool()})
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		return conn.ConnectionState().PeerCertificates[0].SerialNumber.String()
	}
	want := func(i harness.Issued) {
		t.Helper()
		if got := shown(); got != i.Pair.Leaf.SerialNumber.String() {
			t.Errorf("the certificate %s is shown, wanted %s", got, i.Pair.Leaf.SerialNumber)
		}
		metric := fmt.Sprintf("rehydra_tls_certificate_expiry_seconds{certificate=%q}", cfg.TLS.File)
		if got := p.Metrics(t)[metric]; got != float64(i.Pair.Leaf.NotAfter.Unix()) {
			t.Errorf("%s is %v", metric, got)
		}
	}
	want(first)
	kept := client(t, p.Secure(), &tls.Config{RootCAs: authority.Pool()})
	if status, _, err := get(t, kept, "https://shop.test/"); err != nil || status != 200 {
		t.Fatal(status, err)
	}
	copyFile(t, second.Certificate, first.Certificate)
	copyFile(t, second.Key, first.Key)
	p.Reload(t, cfg)
	want(second)
	copyFile(t, other.Key, first.Key)
	p.TryReload(t, cfg)
	e := p.WaitEvent(t, "the reload is refused", harness.Message("configuration not reloaded"))
	if why := e.Text("error"); !strings.Contains(why, "server.tls.certificate.certificate") || !strings.Contains(why, "private key does not match public key") || !strings.Contains(why, first.Key) {
		t.Errorf("it says %q", why)
	}
	want(second)
	if status, _, err := get(t, kept, "https://shop.test/"); err != nil || status != 200 { // on the connection from before
		t.Errorf("after the reloads: %d, %v", status, err)
	}
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	data, err := os.ReadFile(from)
	if err == nil {
		err = os.WriteFile(to, data, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// An expired chain is said, shown in the metrics, and used: whoever wants to know may look away.
func TestExpired(t *testing.T) {
	authority := harness.NewAuthority(t)
	ended := time.Now().Add(-time.Hour).Truncate(time.Second)
	issued := authority.Issue(t, harness.Wanted{Names: []string{"shop.test"}, Link: authority.Intermediate(t, ended)})
	p := harness.Start(t, harness.Config{NoToken: true, TLS: files(issued), Pools: pool(startBackend(t, nil))})
	p.WaitEvent(t, "the warning", func(e harness.Event) bool {
		return e.Text("message") == "configuration" && e.Text("level") == "warn" && strings.Contains(e.Text("problem"), "which expired on "+ended.UTC().Format(time.RFC3339))
	})
	if got := p.Metric(t, fmt.Sprintf("rehydra_tls_certificate_expiry_seconds{certificate=%q}", issued.Certificate)); got != float64(ended.Unix()) {
		t.Errorf("the metric is %v, wanted %d", got, ended.Unix())
	}
	if status, _, err := get(t, client(t, p.Secure(), &tls.Config{InsecureSkipVerify: true}), "https://shop.test/"); err != nil || status != 200 {
		t.Errorf("got %d, %v", status, err)
	}
	if _, _, err := get(t, client(t, p.Secure(), &tls.Config{RootCAs: authority.Pool()}), "https://shop.test/"); err == nil {
		t.Error("a client that looks at it took it")
	}
}

// A PROXY header names the client in the log and to the backend; one that cannot be read ends the connection, and is counted and logged.
func TestProxyHeaders(t *testing.T) {
	authority := harness.NewAuthority(t)
	p := harness.Start(t, harness.Config{
		NoToken: true, TLS: files(authority.Issue(t, harness.Wanted{Names: []string{"shop.test"}})),
		Server: []string{`proxy_protocol = ["127.0.0.1"]`, `trusted_proxies = ["192.0.2.0/24"]`, "forwarded = true"}, Pools: pool(startBackend(t, nil)),
	})
	// curl sends one of version 1, with the address that it has itself.
	out, code := curl(t, append(resolve(t, "shop.test", p.Secure()), "--cacert", authority.File, "--haproxy-protocol")...)
	if code != 0 {
		t.Errorf("curl ended with %d and printed\n%s", code, out)
	}
	wantLine(t, out, "X-Forwarded-For: 127.0.0.1")
	// The client's address is that of the header, and what it says is judged by that address.
	for header, want := range map[string]string{
		"PROXY TCP4 198.51.100.7 192.0.2.1 4711 80\r\n": "X-Forwarded-For: 198.51.100.7",
		"PROXY TCP4 192.0.2.9 192.0.2.1 4711 80\r\n":    "X-Forwarded-For: 203.0.113.5, 192.0.2.9",
	} {
		body := raw(t, p.Address(), header+"GET /told HTTP/1.1\r\nHost: shop.test\r\nX-Forwarded-For: 203.0.113.5\r\nConnection: close\r\n\r\n")
		wantLine(t, body, want)
	}
	for _, client := range []string{"198.51.100.7", "203.0.113.5"} {
		p.WaitEvent(t, "the log names "+client, func(e harness.Event) bool { return e.Text("message") == "request" && e.Text("client") == client })
	}
	if got := raw(t, p.Address(), "PROXY TCP4 198.51.100.7\r\nGET / HTTP/1.1\r\nHost: shop.test\r\n\r\n"); got != "" {
		t.Errorf("a header that cannot be read was answered %q", got)
	}
	p.WaitEvent(t, "it is logged", harness.Message("PROXY header refused"))
	if n := p.Metric(t, "rehydra_client_proxy_headers_refused_total"); n != 1 {
		t.Errorf("%v headers were refused, wanted 1", n)
	}
}

// raw sends bytes and returns what comes until the other side ends.
func raw(t *testing.T, address, request string) string {
	t.Helper()
	conn, err := (&net.Dialer{Timeout: patience}).DialContext(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(conn)
	if ne, ok := err.(net.Error); ok && ne.Timeout() {
		t.Fatalf("no end of the connection after %q", got)
	}
	return strings.ReplaceAll(string(got), "\r\n", "\n")
}
