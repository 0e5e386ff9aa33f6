package tls

import (
	"crypto/tls"
	"crypto/x509/pkix"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"rehydra/e2e/harness"
	"rehydra/e2e/tomcat"
)

// What a client shows arrives in Tomcat as the servlet specification has it, by way of Tomcat's own valves, and the way there is https too.
func TestTomcat(t *testing.T) {
	for release, namespace := range map[tomcat.Release]string{tomcat.Tomcat9: "javax", tomcat.Tomcat11: "jakarta"} {
		t.Run(release.Version, func(t *testing.T) {
			authority := harness.NewAuthority(t)
			own := authority.Issue(t, harness.Wanted{Names: []string{"tomcat.test"}})
			_, port, err := net.SplitHostPort(harness.FreeAddress(t))
			if err != nil {
				t.Fatal(err)
			}
			logs := t.TempDir()
			attribute := func(name string) string { return "%{" + namespace + ".servlet.request." + name + "}r" }
			tomcat.Start(t, tomcat.Config{
				Release: release, Route: "node1", NoAdapter: true,
				// It ends the connector, and begins another one that the rest of the file ends.
				ConnectorAttributes: fmt.Sprintf(`/>
    <Connector port="%s" address="127.0.0.1" protocol="org.apache.coyote.http11.Http11NioProtocol" SSLEnabled="true">
      <SSLHostConfig><Certificate certificateFile="%s" certificateKeyFile="%s"/></SSLHostConfig>
    </Connector>
    <Connector port="0" address="127.0.0.1"`, port, own.Certificate, own.Key),
				ContextXML: fmt.Sprintf(`<Valve className="org.apache.catalina.valves.RemoteIpValve" protocolHeader="X-Forwarded-Proto"/>
<Valve className="org.apache.catalina.valves.SSLValve"/>
<Valve className="org.apache.catalina.valves.AccessLogValve" directory="%s" prefix="access" suffix=".log" rotatable="false" buffered="false"
       requestAttributesEnabled="true" pattern="%s"/>`, logs,
					strings.Join([]string{"%U", "%h", attribute("cipher_suite"), attribute("key_size"), attribute("X509Certificate")}, " ")),
			})
			url := "https://127.0.0.1:" + port
			p := harness.Start(t, harness.Config{
				NoToken: true, TLS: files(authority.Issue(t, harness.Wanted{Names: []string{"shop.test"}})),
				TLSMore: []string{`client_auth = "request"`, fmt.Sprintf("client_ca = %q", authority.File)},
				Server:  []string{`proxy_protocol = ["127.0.0.1"]`},
				Pools: []harness.Pool{{
					Name: "shop", Lines: []string{fmt.Sprintf("tls.ca_file = %q", authority.File), `tls.server_name = "tomcat.test"`},
					Health:   []string{fmt.Sprintf("path = %q", tomcat.Form+"/session"), `interval = "1h"`, `timeout = "10s"`},
					Backends: []harness.Backend{{Route: "node1", Address: "127.0.0.1:" + port, Lines: []string{fmt.Sprintf("url = %q", url)}}},
				}},
			})
			anna := authority.Issue(t, harness.Wanted{Subject: pkix.Name{CommonName: "Anna"}})
			for path, shown := range map[string][]tls.Certificate{"/shop/session?with": {anna.Pair}, "/basic/session?without": nil} {
				raw, err := (&net.Dialer{Timeout: patience}).DialContext(t.Context(), "tcp", p.Secure())
				if err != nil {
					t.Fatal(err)
				}
				if _, err := raw.Write([]byte("PROXY TCP4 198.51.100.7 192.0.2.1 4711 443\r\n")); err != nil {
					t.Fatal(err)
				}
				conn := tls.Client(raw, &tls.Config{ServerName: "shop.test", RootCAs: authority.Pool(), Certificates: shown})
				if _, err := conn.Write([]byte("GET " + path + " HTTP/1.1\r\nHost: shop.test\r\nConnection: close\r\n\r\n")); err != nil {
					t.Fatal(err)
				}
				first := make([]byte, len("HTTP/1.1 200 "))
				if _, err := io.ReadFull(conn, first); err != nil || string(first) != "HTTP/1.1 200 " {
					t.Errorf("%s: got %q, %v", path, first, err)
				}
				conn.Close()
			}
			log := filepath.Join(logs, "access.log")
			line := func(path string) (fields []string) {
				harness.Eventually(t, "Tomcat logs "+path, func() bool {
					text, err := os.ReadFile(log)
					if err != nil {
						return false
					}
					for line := range strings.Lines(string(text)) {
						// The check of the backend comes from the proxy itself.
						if f := strings.Fields(line); len(f) == 5 && f[0] == path && f[1] == "198.51.100.7" {
							fields = f
						}
					}
					return fields != nil
				})
				return fields
			}
			if f := line("/shop/session"); !strings.HasPrefix(f[2], "TLS_") || f[3] != "128" && f[3] != "256" || !strings.HasPrefix(f[4], "[Ljava.security.cert.X509Certificate;") {
				t.Errorf("with a certificate Tomcat says %q", f)
			}
			if f := line("/basic/session"); !strings.HasPrefix(f[2], "TLS_") || f[4] != "-" {
				t.Errorf("without a certificate Tomcat says %q", f)
			}
		})
	}
}
