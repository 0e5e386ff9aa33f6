package rehydra

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"
)

// TestTransparent runs handlers with and without the middleware: a client must not see a difference.
func TestTransparent(t *testing.T) {
	for name, handler := range map[string]http.HandlerFunc{
		"nothing": func(http.ResponseWriter, *http.Request) {},
		"small":   func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "<html>small") },
		"large":   func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, strings.Repeat("x", 100_000)) },
		"declared": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "5")
			io.WriteString(w, "five!")
		},
		"status": func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusTeapot)
			io.WriteString(w, "tea")
		},
		"twice": func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusCreated)
			w.WriteHeader(http.StatusNotFound)
		},
		"redirect":     func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/there", http.StatusFound) },
		"not modified": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotModified) },
		"no content": func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusNoContent)
			if _, err := io.WriteString(w, "x"); !errors.Is(err, http.ErrBodyNotAllowed) {
				panic(fmt.Sprintf("a body with 204: %v", err))
			}
		},
		"error after a page": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			io.WriteString(w, "<p>half")
			http.Error(w, "failed", http.StatusInternalServerError)
		},
		"late header": func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusOK)
			w.Header().Set("X-Late", "never seen")
		},
		"own trailers": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Trailer", "X-Sum")
			io.WriteString(w, "body")
			w.Header().Set("X-Sum", "4")
			w.Header().Set(http.TrailerPrefix+"X-More", "5")
		},
		"flushed": func(w http.ResponseWriter, _ *http.Request) {
			io.WriteString(w, "a")
			w.(http.Flusher).Flush()
			io.WriteString(w, "b")
		},
		"early hints": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Link", "</x.css>")
			w.WriteHeader(http.StatusEarlyHints)
			io.WriteString(w, "page")
		},
		"file": func(w http.ResponseWriter, r *http.Request) {
			http.ServeContent(w, r, "x.txt", time.Time{}, strings.NewReader(strings.Repeat("line\n", 10_000)))
		},
		"hijacked": func(w http.ResponseWriter, _ *http.Request) {
			conn, _, err := w.(http.Hijacker).Hijack()
			if err != nil {
				panic(err)
			}
			io.WriteString(conn, "HTTP/1.1 202 Accepted\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi")
			conn.Close()
		},
		"deadlines": func(w http.ResponseWriter, _ *http.Request) {
			if err := http.NewResponseController(w).SetWriteDeadline(time.Now().Add(time.Minute)); err != nil {
				panic(err)
			}
		},
	} {
		for _, method := range []string{http.MethodGet, http.MethodHead} {
			t.Run(name+"/"+method, func(t *testing.T) {
				plain := httptest.NewServer(handler)
				defer plain.Close()
				want := (&rig{t: t, url: plain.URL, client: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}}).send(method, "/")
				got := newRig(t, Options{}, handler).send(method, "/")
				// Its answer to a client without a session: nothing may be added.
				for _, a := range []*answer{&want, &got} {
					a.header.Del("Date")
					a.header.Del("Connection")
				}
				// A body between 2 and 8 KiB may get a length that net/http alone would not have known; none here is.
				if !reflect.DeepEqual(got, want) {
					t.Errorf("with the middleware\n%+v\nwithout\n%+v", got, want)
				}
			})
		}
	}
}

// TestPanicReleases: a handler that panics must not leave its session in use.
func TestPanicReleases(t *testing.T) {
	r := newRig(t, Options{TTL: time.Minute}, func(_ http.ResponseWriter, r *http.Request) {
		if _, err := FromRequest(r); err != nil {
			t.Error(err)
		}
		panic(http.ErrAbortHandler)
	})
	response, err := r.client.Get(r.url)
	if err == nil {
		response.Body.Close()
		t.Fatalf("status %d given, want an aborted connection", response.StatusCode)
	}
	if r.manager.Len() != 1 {
		t.Fatalf("%d sessions, want the one that was begun", r.manager.Len())
	}
	r.clock.advance(time.Minute)
	if r.manager.Len() != 0 {
		t.Error("the session does not expire: it counts as in use")
	}
}
