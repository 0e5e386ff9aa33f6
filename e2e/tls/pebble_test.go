package tls

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"rehydra/e2e/harness"
)

// pebble is a running pebble: an ACME server for tests.
type pebble struct {
	authority *harness.Authority // who signed its own certificate
	address   string
	manage    string
	cmd       *exec.Cmd
	exited    chan struct{}
}

// places is where an ACME server finds the host of every domain.
type places struct {
	host            string // an address of the loopback network
	plain, withTLS  string // ports of it
	nobody, noOther string // ports of it where nobody listens
}

func newPlaces(t *testing.T) places {
	t.Helper()
	host, port, err := net.SplitHostPort(harness.FreeAddress(t))
	if err != nil {
		t.Fatal(err)
	}
	p := places{host: host, plain: port}
	for _, to := range []*string{&p.withTLS, &p.nobody, &p.noOther} {
		if _, *to, err = net.SplitHostPort(harness.FreeAddress(t)); err != nil {
			t.Fatal(err)
		}
	}
	return p
}

// startPebble builds and starts pebble. It asks for challenges at these ports of the host that all names have.
func startPebble(t *testing.T, host, httpPort, tlsPort string) *pebble {
	t.Helper()
	dir := t.TempDir()
	binary := filepath.Join(dir, "pebble")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", binary, "github.com/letsencrypt/pebble/v2/cmd/pebble")
	build.Dir = "pebble"
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("cannot build pebble: %v\n%s", err, out)
	}
	p := &pebble{authority: harness.NewAuthority(t), address: harness.FreeAddress(t), manage: harness.FreeAddress(t), exited: make(chan struct{})}
	names := []string{}
	for _, address := range []string{p.address, p.manage} {
		name, _, err := net.SplitHostPort(address)
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, name)
	}
	own := p.authority.Issue(t, harness.Wanted{Names: names})
	var config struct {
		Pebble map[string]any `json:"pebble"`
	}
	config.Pebble = map[string]any{
		"listenAddress": p.address, "managementListenAddress": p.manage, "certificate": own.Certificate, "privateKey": own.Key,
		"httpPort": json.Number(httpPort), "tlsPort": json.Number(tlsPort), "retryAfter": map[string]int{"authz": 1, "order": 1}, "keyAlgorithm": "ecdsa",
	}
	text, err := json.Marshal(config)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "pebble.json")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	p.cmd = exec.Command(binary, "-config", file, "-dnsserver", serveNames(t, host))
	// By default it waits up to 15 s before each challenge, and refuses one request in twenty.
	p.cmd.Env = append(os.Environ(), "PEBBLE_VA_NOSLEEP=1", "PEBBLE_WFE_NONCEREJECT=0")
	log := &harness.Output{}
	p.cmd.Stdout, p.cmd.Stderr = log, log
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = p.cmd.Wait() // it is killed
		close(p.exited)
	}()
	t.Cleanup(func() {
		p.stop()
		if t.Failed() {
			t.Logf("pebble wrote:\n%s", log)
		}
	})
	harness.Eventually(t, "pebble answers", func() bool { return p.root(t) != nil })
	return p
}

// stop ends it.
func (p *pebble) stop() {
	_ = p.cmd.Process.Kill() // it may have ended
	<-p.exited
}

// root returns the authority that signs what it issues, nil while it does not answer.
func (p *pebble) root(t *testing.T) *x509.CertPool {
	t.Helper()
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: p.authority.Pool()}, DisableKeepAlives: true}
	status, body, err := get(t, &http.Client{Transport: transport, Timeout: patience}, "https://"+p.manage+"/roots/0")
	roots := x509.NewCertPool()
	if err != nil || status != 200 || !roots.AppendCertsFromPEM([]byte(body)) {
		return nil
	}
	return roots
}

// serveNames answers DNS by TCP: every name has this address. It returns where.
func serveNames(t *testing.T, host string) string {
	t.Helper()
	return harness.Serve(t, func(conn *net.TCPConn) {
		_ = conn.SetDeadline(time.Now().Add(patience)) // what fails is seen by who asks
		if err := answerName(conn, netip.MustParseAddr(host).As4()); err != nil && !errors.Is(err, io.EOF) {
			t.Logf("cannot answer a question for a name: %v", err)
		}
	}).Address()
}

// answerName answers one question (RFC 1035, section 4.2.2: by TCP a message follows its length).
func answerName(conn net.Conn, address [4]byte) error {
	var length [2]byte
	if _, err := io.ReadFull(conn, length[:]); err != nil {
		return err
	}
	message := make([]byte, int(length[0])<<8|int(length[1]))
	if _, err := io.ReadFull(conn, message); err != nil {
		return err
	}
	var asked dnsmessage.Message
	if err := asked.Unpack(message); err != nil {
		return err
	}
	answer := dnsmessage.Message{Header: dnsmessage.Header{ID: asked.ID, Response: true, RecursionAvailable: true}, Questions: asked.Questions}
	for _, q := range asked.Questions {
		if q.Type == dnsmessage.TypeA {
			answer.Answers = append(answer.Answers, dnsmessage.Resource{
				Header: dnsmessage.ResourceHeader{Name: q.Name, Class: q.Class, TTL: 1}, Body: &dnsmessage.AResource{A: address},
			})
		}
	}
	packed, err := answer.Pack()
	if err != nil {
		return err
	}
	_, err = conn.Write(append([]byte{byte(len(packed) >> 8), byte(len(packed))}, packed...))
	return err
}

// acmeConfig is a configuration with certificates from an ACME server.
func acmeConfig(b *backend, at places, address, authority, cache string, more ...string) harness.Config {
	return harness.Config{
		NoToken: true, Listen: net.JoinHostPort(at.host, at.plain), TLS: &harness.Certificate{}, Pools: pool(b),
		TLSMore: append([]string{
			fmt.Sprintf("listen = [%q]", net.JoinHostPort(at.host, at.withTLS)), `acme.domains = ["shop.test"]`, `acme.email = "admin@shop.test"`,
			fmt.Sprintf("acme.directory = %q", "https://"+address+"/dir"), fmt.Sprintf("acme.ca_file = %q", authority), fmt.Sprintf("acme.cache = %q", cache),
		}, more...),
	}
}

// A certificate comes by either challenge, is shown, and is there after a restart when the ACME server is not.
func TestCertificateFromPebble(t *testing.T) {
	for _, test := range []struct {
		name      string
		more      []string
		challenge func(places) (httpPort, tlsPort string)
	}{
		{"tls-alpn-01", nil, func(p places) (string, string) { return p.nobody, p.withTLS }},
		{"http-01", []string{"redirect = true"}, func(p places) (string, string) { return p.plain, p.noOther }},
	} {
		t.Run(test.name, func(t *testing.T) {
			at := newPlaces(t)
			httpPort, tlsPort := test.challenge(at)
			server := startPebble(t, at.host, httpPort, tlsPort)
			roots := server.root(t)
			cfg := acmeConfig(startBackend(t, nil), at, server.address, server.authority.File, filepath.Join(t.TempDir(), "acme"), test.more...)
			p := harness.Start(t, cfg)
			issued := p.WaitEvent(t, "the certificate is issued", harness.Message("certificate issued"))
			if issued.Text("domain") != "shop.test" {
				t.Errorf("the log says %v", issued)
			}
			ask := func(p *harness.Proxy) {
				t.Helper()
				harness.Eventually(t, "a request gets through", func() bool {
					status, body, err := get(t, client(t, p.Secure(), &tls.Config{RootCAs: roots}), "https://shop.test/a")
					if err != nil || status != 200 {
						return false
					}
					wantLine(t, body, "X-Forwarded-Proto: https")
					return true
				})
			}
			ask(p)
			if end := p.Metric(t, `rehydra_tls_certificate_expiry_seconds{certificate="shop.test"}`); end < float64(time.Now().Unix()) {
				t.Errorf("the certificate ends at %v", end)
			}
			p.Stop(t)
			server.stop()
			ask(harness.Start(t, cfg))
		})
	}
}

// Without its ACME server the proxy starts, says what is wrong, and serves what it has certificates for.
func TestNoACMEServer(t *testing.T) {
	at := newPlaces(t)
	authority := harness.NewAuthority(t)
	cfg := acmeConfig(startBackend(t, nil), at, net.JoinHostPort(at.host, at.nobody), authority.File, filepath.Join(t.TempDir(), "acme"))
	cfg.Issued = []harness.Issued{authority.Issue(t, harness.Wanted{Names: []string{"blog.test"}})}
	p := harness.Start(t, cfg)
	e := p.WaitEvent(t, "it is logged", harness.Message("no certificate issued"))
	if e.Text("domain") != "shop.test" || e.Text("error") == "" {
		t.Errorf("the log says %v", e)
	}
	if status, _, err := get(t, client(t, p.Secure(), &tls.Config{RootCAs: authority.Pool()}), "https://blog.test/a"); err != nil || status != 200 {
		t.Errorf("got %d, %v", status, err)
	}
	p.Stop(t)
}
