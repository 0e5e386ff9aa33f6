package http2

import (
	"crypto/tls"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"rehydra/e2e/harness"
)

// onlyOurs are fields that nobody but the proxy may say to a backend, and spellings of them that a server might take for one.
var onlyOurs = []string{
	"SSL_CLIENT_VERIFY", "SSL_CLIENT_CERT", "SSL_CLIENT_S_DN", "SSL_CIPHER", "Ssl-Client-Verify", "Ssl-Client_Cert", "ssl_session_id",
	"X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "X-Forwarded-Port", "X-Forwarded-Prefix", "X_Forwarded_For", "X-Forwarded_Proto", "X_Forwarded-Host",
	"Forwarded", "X-Real-Ip", "X_Real_Ip", "REMOTE_USER", "Content_Length", "Transfer_Encoding",
	"Rehydra-Tier", "Rehydra-Id", "Rehydra-Have", "Rehydra-State", "Rehydra-Op", "Rehydra-Session", "Rehydra-Adapter", "Rehydra_Have", "rehydra_State", "Rehydra-Anything",
}

// notebook is a backend that notes the fields of each request of a path, with its trailers.
type notebook struct {
	mu   sync.Mutex
	seen map[string]http.Header
}

func (n *notebook) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	buffer := make([]byte, 1<<10)
	for err := error(nil); err == nil; {
		_, err = r.Body.Read(buffer)
	}
	got := r.Header.Clone()
	for name, values := range r.Trailer {
		got[name] = append(got[name], values...)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.seen[r.URL.Path] = got
	w.WriteHeader(http.StatusNoContent)
}

// TestForgedFields: what only the proxy may say reaches no backend from a client of HTTP/2, in the head or as a trailer, spelled in any way. The backend is told the
// same of it as of a client of HTTP/1.1.
func TestForgedFields(t *testing.T) {
	t.Parallel()
	n := &notebook{seen: make(map[string]http.Header)}
	c := &cluster{t: t, cert: harness.NewCertificate(t)}
	// With a session tier, which adds fields of its own.
	c.Proxy = harness.Start(t, harness.Config{TLS: c.cert, Store: []string{`kind = "embedded"`}, Server: []string{"forwarded = true"}, Pools: []harness.Pool{{
		Name: "shop", Backends: []harness.Backend{{Route: "node1", Address: harness.ServeHTTP(t, n)}},
	}}})
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: c.cert.Pool}, DisableCompression: true}
	t.Cleanup(transport.CloseIdleConnections)
	older := &http.Client{Transport: transport, Timeout: patience}
	for path, client := range map[string]*http.Client{"/1": older, "/2": c.client()} {
		body := struct{ *strings.Reader }{strings.NewReader("body")} // of a length that is not known, so that trailers may follow
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, c.url(path), body)
		if err != nil {
			t.Fatal(err)
		}
		req.Header = http.Header{"User-Agent": {"tester"}, "X-Plain": {"passes"}, "Cookie": {"JSESSIONID=ABC.node1"}}
		req.Trailer = http.Header{}
		for _, name := range onlyOurs {
			req.Header[name] = []string{"forged"}
			if !strings.HasPrefix(strings.ToLower(name), "content") && !strings.HasPrefix(strings.ToLower(name), "transfer") {
				req.Trailer[name] = []string{"forged"}
			}
		}
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if want := map[string]int{"/1": 1, "/2": 2}[path]; resp.StatusCode != 204 || resp.ProtoMajor != want {
			t.Fatalf("%s: %s by %s, wanted 204 by HTTP/%d", path, resp.Status, resp.Proto, want)
		}
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	first, second := n.seen["/1"], n.seen["/2"]
	for path, got := range n.seen {
		for name, values := range got {
			if slices.Contains(values, "forged") {
				t.Errorf("%s: the client's %s came through: %q", path, name, values)
			}
		}
		if got.Get("X-Plain") != "passes" || got.Get("Ssl_client_verify") != "NONE" || got.Get("X-Forwarded-For") != "127.0.0.1" || got.Get("X-Forwarded-Proto") != "https" ||
			got.Get("Rehydra-Tier") == "" || got.Get("Forwarded") == "" {
			t.Errorf("%s: the backend was told %v", path, got)
		}
	}
	if a, b := slices.Sorted(maps.Keys(first)), slices.Sorted(maps.Keys(second)); !slices.Equal(a, b) {
		t.Errorf("of a client of HTTP/1.1 the backend is told\n%v\nof one of HTTP/2\n%v", a, b)
	}
	for name, values := range first {
		if name != "Via" && name != "Rehydra-Have" && name != "Rehydra-Tier" && !slices.Equal(values, second[name]) {
			t.Errorf("%s is %q of a client of HTTP/1.1 and %q of one of HTTP/2", name, values, second[name])
		}
	}
}
