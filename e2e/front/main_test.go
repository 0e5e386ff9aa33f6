// Package front holds the side of the proxy that clients see to what they do with it: curl, Tomcat's own examples application, and clients and
// backends that break off at every point of an exchange.
package front

import (
	"crypto/tls"
	"fmt"
	"net/http"
	"os"
	"testing"
	"time"

	"rehydra/e2e/harness"
)

func TestMain(m *testing.M) { os.Exit(harness.Main(m)) }

// patience is the limit of anything that should happen; only a failing test uses it up.
const patience = 20 * time.Second

// client returns one of HTTP/1.1 or HTTP/2, which keeps cookies by itself if it is given a jar.
func client(t *testing.T, cert *harness.Certificate, major int, jar http.CookieJar) *http.Client {
	t.Helper()
	var protocols http.Protocols
	protocols.SetHTTP1(major == 1)
	protocols.SetHTTP2(major == 2)
	transport := &http.Transport{Protocols: &protocols, TLSClientConfig: &tls.Config{RootCAs: cert.Pool}}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Jar: jar, Timeout: 3 * patience}
}

// descriptors counts what the proxy has open.
func descriptors(t *testing.T, p *harness.Proxy) int {
	t.Helper()
	list, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", p.PID()))
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}
