package tomcat

import (
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// reported takes the state that an answer reported to where the session is not known, and returns the page there: what the
// tier would have if the node died now.
func (c *tier) reported(w word) answer {
	c.t.Helper()
	if len(w.bytes) == 0 {
		c.t.Fatalf("no state was reported: %+v", w)
	}
	dropped := c.send(request{op: "drop", path: "/shop/session", id: w.id})
	wantEqual(c.t, "status of drop", dropped.StatusCode, http.StatusNoContent)
	generation, _, _ := strings.Cut(w.version, ".")
	n, err := strconv.Atoi(generation)
	if err != nil {
		c.t.Fatalf("version %q: %v", w.version, err)
	}
	have := strconv.Itoa(n+1) + ".0"
	installed := c.send(request{op: "install", path: "/shop/session", id: w.id, have: have, body: w.bytes})
	wantEqual(c.t, "status of install", installed.StatusCode, http.StatusNoContent)
	c.cookie = w.id
	return c.send(request{path: "/shop/session", have: have})
}

// TestResponses holds that a change is reported whatever way a response takes.
func TestResponses(t *testing.T) {
	for _, release := range Releases() {
		t.Run(release.Version, func(t *testing.T) {
			s := Start(t, Config{Release: release, Route: "node1"})
			late := "pull"
			if release.HasTrailers() {
				late = "late"
			}
			for _, test := range []struct {
				name, path string
				status     int
				head       string // the parameter state in the head
			}{
				{"plain", "/shop/session?op=set&k=a&v=b", 200, "inline"},
				{"reset", "/shop/session?op=reset&k=a&v=b", 200, "inline"},
				{"forward", "/shop/session?op=forward&k=a&v=b", 200, "inline"},
				{"redirect", "/shop/session?op=set&k=a&v=b&status=302", 302, "inline"},
				{"no content", "/shop/session?op=set&k=a&v=b&status=204", 204, "inline"},
				{"error report", "/shop/session?op=error&k=a&v=b&code=503", 503, "inline"},
				{"error page", "/shop/session?op=error&k=a&v=b&code=418", 418, "inline"},
				{"exception", "/shop/session?op=throw&k=a&v=b", 500, "inline"},
				{"flushed", "/shop/session?op=late&k=a&v=b", 200, late},
				{"closed", "/shop/session?op=close&k=a&v=b", 200, late},
				{"length and flushed", "/shop/session?op=fixed&k=a&v=b", 200, "pull"},
				{"asynchronous", "/shop/later?k=a&v=b", 200, "inline"},
				{"asynchronous, flushed", "/shop/later?k=a&v=b&flush=1", 200, late},
				{"asynchronous, dispatched", "/shop/later?k=a&v=b&dispatch=1", 200, "inline"},
			} {
				t.Run(test.name, func(t *testing.T) {
					c := newTier(t, s)
					c.get("/shop/session?op=set&k=first&v=1")
					a := c.get(test.path)
					wantEqual(t, "status", a.StatusCode, test.status)
					w := c.last(a)
					wantEqual(t, "state in the head", w.head, test.head)
					wantEqual(t, "version", w.version, "1.2")
					restored := c.reported(w)
					wantEqual(t, "first", restored.line("value first"), "1")
					wantEqual(t, "a", restored.line("value a"), "b")
					if test.name == "error page" {
						wantEqual(t, "what the error page set", restored.line("value failed"), "yes")
					}
					if test.name == "asynchronous, dispatched" {
						wantEqual(t, "what the dispatch set", restored.line("value dispatched"), "yes")
					}
				})
			}
			t.Run("unchanged", func(t *testing.T) { unchangedIsSame(t, s) })
			t.Run("without the token", func(t *testing.T) { strangersSeeNothing(t, s) })
			t.Run("restored, then reset", func(t *testing.T) { cookieSurvivesReset(t, s) })
			t.Run("ttl", func(t *testing.T) { ttlIsReported(t, s) })
			t.Run("parallel", func(t *testing.T) { parallelRequestsCount(t, s) })
			s.Stop()
			for _, line := range s.BadLines() {
				t.Errorf("line in catalina.out: %s", line)
			}
		})
	}
}

func unchangedIsSame(t *testing.T, s *Server) {
	c := newTier(t, s)
	c.get("/shop/session?op=set&k=a&v=b")
	etag := c.get("/shop/static.txt").Header.Get("ETag")
	for _, r := range []request{
		{path: "/shop/session?op=touch"},
		{path: "/shop/static.txt"},
		{path: "/shop/static.txt", method: http.MethodHead},
		{path: "/shop/static.txt", header: map[string]string{"If-None-Match": etag}},
		{path: "/shop/none-such"},
	} {
		w := c.last(c.send(r))
		wantEqual(t, r.method+r.path+" version", w.version, "1.1")
		want := "same"
		if s.Release == Tomcat11 && r.path == "/shop/static.txt" && w.head == "pull" {
			// Tomcat 11 ends a response as soon as its Content-Length is reached, while the servlet still runs.
			want = "pull"
		}
		wantEqual(t, r.method+r.path+" state", w.head, want)
	}
}

func strangersSeeNothing(t *testing.T, s *Server) {
	c := newTier(t, s)
	for _, r := range []request{
		{path: "/shop/session?op=set&k=a&v=b", plain: true},
		{path: "/shop/session", plain: true, header: map[string]string{"Rehydra-Tier": "wrong", "Rehydra-Have": "ask", "Rehydra-Id": "A.node1"}},
		{path: "/shop/session", plain: true, header: map[string]string{"Rehydra-Tier": ""}},
	} {
		a := c.send(r)
		wantEqual(t, "status", a.StatusCode, http.StatusOK)
		for name := range a.Header {
			if strings.HasPrefix(name, "Rehydra-") {
				t.Errorf("%s in the answer to a stranger", name)
			}
		}
	}
	refused := c.send(request{path: "/shop/session", plain: true, method: "REPORT", header: map[string]string{"Rehydra-Tier": "wrong", "Rehydra-Op": "list"}})
	// The application answers it as it answers any method; Tomcat 7's pages take all of them.
	if !s.Release.of("7.0") {
		wantEqual(t, "status of an operation with a wrong token", refused.StatusCode, http.StatusMethodNotAllowed)
	}
	wantEqual(t, "adapter in the answer to a wrong token", refused.Header.Get("Rehydra-Adapter"), "")
	names := c.get("/shop/session?op=header").text
	if strings.Contains(strings.ToLower(names), "rehydra") {
		t.Errorf("the application sees the tier's fields: %s", names)
	}
}

func cookieSurvivesReset(t *testing.T, s *Server) {
	c := newTier(t, s)
	w := c.last(c.get("/shop/session?op=set&k=a&v=b"))
	c.send(request{op: "drop", path: "/shop/session"})
	c.cookie = baseID(w.id) + ".elsewhere"
	a := c.send(request{path: "/shop/session?op=reset&k=c&v=d", have: "2.0", state: w.bytes})
	wantEqual(t, "status", a.StatusCode, http.StatusOK)
	wantEqual(t, "cookie", c.cookie, baseID(w.id)+".node1")
	wantEqual(t, "lost header", a.Header.Get("X-Lost"), "")
}

func ttlIsReported(t *testing.T, s *Server) {
	c := newTier(t, s)
	wantEqual(t, "ttl", c.last(c.get("/shop/session?op=touch")).ttl, "1800")
	w := c.last(c.get("/shop/session?op=ttl&v=77"))
	wantEqual(t, "ttl", w.ttl, "77")
	wantEqual(t, "ttl of a restored session", c.reported(w).line("ttl"), "77")
	list := c.send(request{op: "list", path: "/shop/session"})
	if !strings.Contains(list.text, w.id+" 2.0 77 ") {
		t.Errorf("list: %q, want %s in version 2.0 with 77 s", list.text, w.id)
	}
}

// parallelRequestsCount holds that the newest version has every change, however requests overlap.
func parallelRequestsCount(t *testing.T, s *Server) {
	const requests = 40
	c := newTier(t, s)
	c.get("/shop/session?op=count&request=first")
	cookie := c.cookie
	newest, state := 0, []byte(nil)
	var mu sync.Mutex
	var wg sync.WaitGroup
	for range requests {
		wg.Go(func() {
			own := newTier(t, s)
			own.cookie = cookie
			w := own.last(own.get("/shop/session?op=count&request=next"))
			_, counter, _ := strings.Cut(w.version, ".")
			n, err := strconv.Atoi(counter)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				t.Errorf("version %q: %v", w.version, err)
			}
			if w.state == "inline" && n > newest {
				newest, state = n, w.bytes
			}
		})
	}
	wg.Wait()
	restored := c.reported(word{id: cookie, version: "1.99", bytes: state})
	wantEqual(t, "count in the newest state", restored.line("value count"), strconv.Itoa(requests+1))
}
