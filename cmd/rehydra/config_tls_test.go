package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"rehydra/e2e/harness"
	"rehydra/proxy/tlsfront"
)

// tlsServer is a [server.tls] with one certificate.
func tlsServer(issued harness.Issued, lines ...string) string {
	return "[server.tls]\nlisten = [\"127.0.0.1:0\"]\n" + strings.Join(lines, "\n") +
		fmt.Sprintf("\n[[server.tls.certificate]]\ncertificate = %q\nkey = %q\n", issued.Certificate, issued.Key)
}

func TestTLSReachesTheConfig(t *testing.T) {
	authority := harness.NewAuthority(t)
	shop, blog := authority.Issue(t, harness.Wanted{Names: []string{"shop.test"}}), authority.Issue(t, harness.Wanted{Names: []string{"blog.test"}})
	cfg, warnings, err := ParseConfig("x.toml", `
[server]
listen = []
proxy_protocol = ["10.0.0.0/8", "192.0.2.1"]
trusted_proxies = ["2001:db8::/32", "::1"]
`+tlsServer(shop, `client_auth = "require"`, fmt.Sprintf("client_ca = %q", authority.File), `hsts = "max-age=31536000; includeSubDomains"`)+
		fmt.Sprintf("[[server.tls.certificate]]\ncertificate = %q\nkey = %q\n", blog.Certificate, blog.Key)+`
[[pool]]
[pool.tls]
server_name = "tomcat.test"
`+fmt.Sprintf("ca_file = %q\ncertificate = %q\nkey = %q\n", authority.File, blog.Certificate, blog.Key)+`
[[pool.backend]]
route = "n1"
url = "https://h"
[[pool.backend]]
route = "n2"
url = "http://h"
`)
	if err != nil || len(warnings) > 0 {
		t.Fatal(err, warnings)
	}
	server := cfg.Server.TLS
	if len(server.Certificates) != 2 || server.Certificates[1].Loaded.Names[0] != "blog.test" || server.Clients == nil || server.MinVersion != "1.2" {
		t.Errorf("read %+v", server)
	}
	front, err := frontConfig(&cfg, "127.0.0.1:8443", nil)
	if err != nil {
		t.Fatal(err)
	}
	if fmt.Sprint(front.ProxyProtocol, front.Trusted) != "[10.0.0.0/8 192.0.2.1/32] [2001:db8::/32 ::1/128]" || front.RedirectPort != 8443 || front.TLS == nil {
		t.Errorf("the front is %+v", front)
	}
	pool, err := poolConfig(&cfg.Pools[0])
	if err != nil {
		t.Fatal(err)
	}
	n1, n2 := pool.Backends[0], pool.Backends[1]
	if n1.Address != "h:443" || n1.TLS == nil || n1.TLS.ServerName != "tomcat.test" || n1.TLS.InsecureSkipVerify || n1.TLS.RootCAs == nil || len(n1.TLS.Certificates) != 1 {
		t.Errorf("the first backend is %+v", n1)
	}
	if n2.Address != "h:80" || n2.TLS != nil {
		t.Errorf("the second backend is %+v", n2)
	}
}

// A pool without [pool.tls] looks for the host of each url.
func TestBackendIsItsHost(t *testing.T) {
	cfg, _, err := ParseConfig("x.toml", "[[pool]]\n[[pool.backend]]\nroute = \"n1\"\nurl = \"https://[::1]:8443\"\n")
	if err != nil {
		t.Fatal(err)
	}
	pool, err := poolConfig(&cfg.Pools[0])
	if err != nil || pool.Backends[0].TLS.ServerName != "::1" || pool.Backends[0].Address != "[::1]:8443" {
		t.Errorf("%+v, %v", pool.Backends, err)
	}
}

func TestBadTLS(t *testing.T) {
	authority := harness.NewAuthority(t)
	shop, other := authority.Issue(t, harness.Wanted{Names: []string{"shop.test"}}), authority.Issue(t, harness.Wanted{Names: []string{"other.test"}})
	mixed := harness.Issued{Certificate: shop.Certificate, Key: other.Key}
	const wantedPair = "wanted a PEM file with the certificate and its chain, and a key that fits"
	const wantedNetwork = `wanted an IP address or a network, such as "10.0.0.0/8", "192.0.2.1" or "2001:db8::/32"`
	on := "[server.tls]\nlisten = [\"h:1\"]\n"
	acme := on + "[server.tls.acme]\n"
	for _, test := range []struct {
		name, document string
		want           []string
	}{
		{"no certificate", on, []string{"1: server.tls.certificate: given nothing, wanted a [[server.tls.certificate]], or domains in [server.tls.acme]"}},
		{"half of one", on + "[[server.tls.certificate]]\ncertificate = \"x\"\n", []string{"3: server.tls.certificate.key: given nothing, wanted a PEM file"}},
		{"one that is not there", on + "[[server.tls.certificate]]\ncertificate = \"/no/x\"\nkey = \"/no/y\"\n", []string{
			`4: server.tls.certificate.certificate: given what is of no use: cannot read certificate "/no/x": no such file or directory, ` + wantedPair}},
		{"a key of another", tlsServer(mixed), []string{fmt.Sprintf(
			"5: server.tls.certificate.certificate: given what is of no use: cannot use certificate %q with key %q: private key does not match public key, %s", shop.Certificate, other.Key, wantedPair)}},
		{"choices", tlsServer(shop, `min_version = "1.1"`, `client_auth = "yes"`, `hsts = "on"`, "redirect_port = 70000"), []string{
			`3: server.tls.min_version: given "1.1", wanted "1.2" or "1.3"`,
			`4: server.tls.client_auth: given "yes", wanted "none" or "request" or "require"`,
			`5: server.tls.hsts: given "on", wanted "" or "max-age=SECONDS", with "; includeSubDomains" and "; preload" behind it or not`,
			"6: server.tls.redirect_port: given 70000, wanted 0 to 65535"}},
		{"a header in hsts", tlsServer(shop, `hsts = "max-age=1\r\nX: y"`), []string{
			`3: server.tls.hsts: given "max-age=1\r\nX: y", wanted "" or "max-age=SECONDS", with "; includeSubDomains" and "; preload" behind it or not`}},
		{"clients of nobody", tlsServer(shop, `client_auth = "require"`), []string{
			"1: server.tls.client_ca: given nothing, wanted a PEM file with the authorities that sign clients' certificates"}},
		{"authorities that are none", tlsServer(shop, `client_auth = "require"`, `client_ca = "/no/x"`), []string{
			`4: server.tls.client_ca: given what is of no use: cannot read authorities "/no/x": no such file or directory, wanted a PEM file with certificates`}},
		{"addresses twice", "[server]\nlisten = [\"h:1\"]\n[server.tls]\nlisten = [\"h:1\", \"h:2\", \"h:2\", \"x\"]\n[[server.tls.certificate]]\n" +
			fmt.Sprintf("certificate = %q\nkey = %q\n", shop.Certificate, shop.Key), []string{
			`4: server.tls.listen: given "h:1", which server.listen holds too, wanted addresses of its own`,
			`4: server.tls.listen: given "h:2" twice, wanted different addresses`,
			`4: server.tls.listen: given "x", wanted "host:port" with a port from 0 to 65535, such as "127.0.0.1:8080"`}},
		{"without an address", "[server.tls]\nredirect = true\n[server.tls.acme]\ndomains = [\"shop.test\"]\ncache = \"x\"\n", []string{
			"2: server.tls.redirect: given true, wanted server.tls.listen beside it: nobody speaks TLS without",
			"4: server.tls.acme.domains: given names, wanted server.tls.listen beside it: nobody speaks TLS without"}},
		{"acme", acme + "domains = [\"*.shop.test\", \"shop\", \"1.2.3.4\", \"shop.test\", \"Shop.test\"]\nemail = \"me\"\ndirectory = \"http://acme.test\"\nca_file = \"/no/x\"\n", []string{
			`4: server.tls.acme.domains: given "*.shop.test", wanted a host name such as "shop.example.com"; there are no certificates for "*" this way`,
			`4: server.tls.acme.domains: given "shop", wanted a host name such as "shop.example.com"; there are no certificates for "*" this way`,
			`4: server.tls.acme.domains: given "1.2.3.4", wanted a host name such as "shop.example.com"; there are no certificates for "*" this way`,
			`4: server.tls.acme.domains: given "shop.test" twice, wanted different names`,
			`5: server.tls.acme.email: given "me", wanted an address such as "admin@example.com", or "" for none`,
			`6: server.tls.acme.directory: given "http://acme.test", wanted the https URL of an ACME server's directory`,
			`7: server.tls.acme.ca_file: given what is of no use: cannot read authorities "/no/x": no such file or directory, wanted a PEM file with certificates`,
			"3: server.tls.acme.cache: given nothing, wanted a folder that keeps keys and certificates over a restart"}},
		{"networks", "[server]\nproxy_protocol = [\"10.0.0.1/8\", \"x\"]\ntrusted_proxies = [\"fe80::1%eth0\", \"::ffff:10.0.0.0/104\"]\n", []string{
			`2: server.proxy_protocol: given "10.0.0.1/8", ` + wantedNetwork, `2: server.proxy_protocol: given "x", ` + wantedNetwork,
			`3: server.trusted_proxies: given "fe80::1%eth0", ` + wantedNetwork, `3: server.trusted_proxies: given "::ffff:10.0.0.0/104", ` + wantedNetwork}},
	} {
		t.Run(test.name, func(t *testing.T) { checkProblems(t, test.document+plainPool, test.want) })
	}
}

func TestBadPoolTLS(t *testing.T) {
	authority := harness.NewAuthority(t)
	shop, other := authority.Issue(t, harness.Wanted{Names: []string{"shop.test"}}), authority.Issue(t, harness.Wanted{Names: []string{"other.test"}})
	const backend = "[[pool.backend]]\nroute = \"n\"\nurl = \"https://h\"\n"
	checkProblems(t, "[[pool]]\n[pool.tls]\nca_file = \"/no/x\"\nserver_name = \"a b\"\nkey = \"/no/y\"\n"+backend, []string{
		`3: pool.tls.ca_file: given what is of no use: cannot read authorities "/no/x": no such file or directory, wanted a PEM file with certificates`,
		`4: pool.tls.server_name: given "a b", wanted a host name or IP address, or "" for the host of each url`,
		"2: pool.tls.certificate: given nothing, wanted the PEM file that the key is for"})
	checkProblems(t, fmt.Sprintf("[[pool]]\n[pool.tls]\ncertificate = %q\nkey = %q\n", shop.Certificate, other.Key)+backend, []string{fmt.Sprintf(
		"3: pool.tls.certificate: given what is of no use: cannot use certificate %q with key %q: private key does not match public key, wanted a PEM file with the certificate and its chain, and a key that fits",
		shop.Certificate, other.Key)})
}

// What is allowed and hardly meant.
func TestWarningsOfTLS(t *testing.T) {
	authority := harness.NewAuthority(t)
	old := authority.Issue(t, harness.Wanted{Names: []string{"shop.test"}, Begins: time.Now().Add(-2 * time.Hour), Ends: time.Now().Add(-time.Hour)})
	early := authority.Issue(t, harness.Wanted{Names: []string{"shop.test"}, Begins: time.Now().Add(time.Hour)})
	link := authority.Issue(t, harness.Wanted{Names: []string{"shop.test"}, Link: authority.Intermediate(t, time.Now().Add(-time.Hour))})
	for _, test := range []struct{ name, document, want string }{
		{"expired", tlsServer(old) + plainPool, "which expired on " + old.Pair.Leaf.NotAfter.UTC().Format(time.RFC3339)},
		{"of an expired chain", tlsServer(link) + plainPool, "which expired on"},
		{"not valid yet", tlsServer(early) + plainPool, "which is not valid before"},
		{"TLS is off", "[[server.tls.certificate]]\ncertificate = \"x\"\n" + plainPool, "server.tls.certificate: given a certificate, wanted server.tls.listen"},
		{"nobody is asked", "[server.tls]\nclient_ca = " + fmt.Sprintf("%q\n", authority.File) + plainPool, "server.tls.client_ca: given"},
		{"plain backends", "[[pool]]\n[pool.tls]\ninsecure = true\n" + strings.TrimPrefix(plainPool, "[[pool]]\n"), "pool.tls: given settings"},
		{"insecure", "[[pool]]\n[pool.tls]\ninsecure = true\n[[pool.backend]]\nroute = \"n\"\nurl = \"https://h\"\n", "pool.tls.insecure: given true"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, warnings, err := ParseConfig("x.toml", test.document)
			if err != nil || len(warnings) != 1 || !strings.Contains(warnings.Error(), test.want) {
				t.Errorf("got %v and the warnings %v, wanted one with %q", err, warnings, test.want)
			}
		})
	}
}

// Files are looked for beside the configuration, and read again by each load.
func TestCertificateFilesAreReadEachTime(t *testing.T) {
	authority := harness.NewAuthority(t)
	dir := t.TempDir()
	put := func(issued harness.Issued) {
		t.Helper()
		for from, name := range map[string]string{issued.Certificate: "cert.pem", issued.Key: "key.pem"} {
			data, err := os.ReadFile(from)
			if err == nil {
				err = os.WriteFile(filepath.Join(dir, name), data, 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	file := filepath.Join(dir, "rehydra.toml")
	text := tlsServer(harness.Issued{Certificate: "cert.pem", Key: "key.pem"}) + plainPool
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	load := func() *tlsfront.Certificate {
		t.Helper()
		cfg, _, err := LoadConfig(file)
		if err != nil {
			t.Fatal(err)
		}
		return cfg.Server.TLS.Certificates[0].Loaded
	}
	for _, name := range []string{"a.test", "b.test"} {
		put(authority.Issue(t, harness.Wanted{Names: []string{name}}))
		if got := load().Names; len(got) != 1 || got[0] != name {
			t.Errorf("got the names %q, wanted %q", got, name)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "cert.pem"), []byte("nonsense"), 0o600); err != nil {
		t.Fatal(err)
	}
	var problems Problems
	if _, _, err := LoadConfig(file); !errors.As(err, &problems) || len(problems) != 1 || problems[0].Key != "server.tls.certificate.certificate" {
		t.Errorf("got %v", err)
	}
}
