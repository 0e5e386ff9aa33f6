package front

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"rehydra/e2e/harness"
)

// curlBackend answers curl.
func curlBackend(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/echo":
		if err := http.NewResponseController(w).EnableFullDuplex(); err != nil {
			panic(http.ErrAbortHandler)
		}
		_, _ = io.Copy(w, r.Body) // an error: the client sees that
	case "/early":
		w.WriteHeader(http.StatusRequestEntityTooLarge)
	case "/hints":
		w.Header().Set("Link", "</a.css>; rel=preload")
		w.WriteHeader(http.StatusEarlyHints)
		_, _ = io.WriteString(w, "page")
	case "/cut":
		_, _ = io.WriteString(w, "part")
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	default:
		_, _ = io.WriteString(w, r.Header.Get("Via"))
	}
}

// TestCurl: curl by HTTP/1.1 without TLS, and by HTTP/1.1 and HTTP/2 with it.
func TestCurl(t *testing.T) {
	t.Parallel()
	address := harness.ServeHTTP(t, http.HandlerFunc(curlBackend))
	cert := harness.NewCertificate(t)
	p := harness.Start(t, harness.Config{NoToken: true, TLS: cert, Pools: []harness.Pool{{
		Name: "app", Backends: []harness.Backend{{Route: "node1", Address: address}},
	}}})
	file := filepath.Join(t.TempDir(), "file")
	data := make([]byte, 5<<20)
	if _, err := rand.Read(data); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, way := range []struct{ name, option, url, version, via string }{
		{"plain", "--http1.1", "http://" + p.Address(), "1.1", "1.1 rehydra"},
		{"TLS", "--http1.1", "https://" + p.Secure(), "1.1", "1.1 rehydra"},
		{"HTTP/2", "--http2", "https://" + p.Secure(), "2", "2.0 rehydra"},
	} {
		t.Run(way.name, func(t *testing.T) {
			const told = "%{stderr}%{http_version} %{http_code}"
			curl := func(args ...string) (body []byte, said string, err error) {
				args = append([]string{"--silent", "--max-time", "60", "--cacert", cert.File, way.option, "--write-out", told}, args...)
				cmd := exec.CommandContext(t.Context(), "curl", args...)
				var out, errs bytes.Buffer
				cmd.Stdout, cmd.Stderr = &out, &errs
				err = cmd.Run()
				return out.Bytes(), errs.String(), err
			}
			wantSaid := func(what, said string, code int) {
				t.Helper()
				if want := fmt.Sprintf("%s %d", way.version, code); said != want {
					t.Errorf("%s: curl says %q, wanted %q", what, said, want)
				}
			}
			body, said, err := curl(way.url + "/")
			if err != nil || string(body) != way.via {
				t.Errorf("a page: %q, %v", body, err)
			}
			wantSaid("a page", said, 200)
			for _, how := range [][]string{
				{"--upload-file", file}, {"--data-binary", "@" + file}, {"--expect100-timeout", "120", "--data-binary", "@" + file, "--header", "Expect: 100-continue"}, // longer than --max-time
				{"--data-binary", "@" + file, "--header", "Transfer-Encoding: chunked"},
			} {
				if way.version == "2" && how[len(how)-1] == "Transfer-Encoding: chunked" {
					continue // not in HTTP/2
				}
				body, said, err = curl(append(how, way.url+"/echo")...)
				if err != nil || !bytes.Equal(body, data) {
					t.Errorf("%v: %d bytes came back, %v", how, len(body), err)
				}
				wantSaid("an upload", said, 200)
			}
			_, said, err = curl("--data-binary", "@"+file, way.url+"/early")
			if err != nil {
				t.Errorf("an early answer: %v", err)
			}
			wantSaid("an early answer", said, 413)
			body, _, err = curl("--include", way.url+"/hints")
			if text := strings.ToLower(string(body)); err != nil || !strings.Contains(text, " 103") || !strings.Contains(text, "link: </a.css>") || !strings.HasSuffix(text, "page") {
				t.Errorf("early hints: %q, %v", body, err)
			}
			if body, said, err = curl(way.url + "/cut"); err == nil {
				t.Errorf("an answer that was cut looks whole: %q %s", body, said)
			}
			if body, _, err = curl("--head", way.url+"/"); err != nil || !strings.Contains(strings.ToLower(string(body)), "content-length: 11") {
				t.Errorf("HEAD: %q, %v", body, err)
			}
		})
	}
}
