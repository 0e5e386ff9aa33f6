package rehydra

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestSessionAPI(t *testing.T) {
	newRig(t, Options{}, func(_ http.ResponseWriter, r *http.Request) {
		if s, ok := Existing(r); ok {
			t.Errorf("session %s exists, before anybody made one", s.ID())
		}
		s, err := FromRequest(r)
		if err != nil {
			t.Error(err)
			return
		}
		if again, err := FromRequest(r); again != s || err != nil {
			t.Errorf("the same request has session %v, %v", again, err)
		}
		if err := errors.Join(s.Set("n", 7), s.Set("list", []string{"a", "b"}), s.Set("gone", true)); err != nil {
			t.Error(err)
		}
		s.Delete("gone")
		s.Delete("never there")
		var n int
		var list []string
		if ok, err := s.Get("n", &n); !ok || err != nil || n != 7 {
			t.Errorf("n is %d, %v, %v", n, ok, err)
		}
		if ok, err := s.Get("list", &list); !ok || err != nil || len(list) != 2 {
			t.Errorf("list is %v, %v, %v", list, ok, err)
		}
		if ok, err := s.Get("gone", &n); ok || err != nil {
			t.Errorf("a deleted value: %v, %v", ok, err)
		}
		if ok, err := s.Get("list", &n); !ok || err == nil || !strings.Contains(err.Error(), `"list"`) {
			t.Errorf("a value of another type: %v, %v", ok, err)
		}
		if err := s.Set("bad", func() {}); err == nil || !strings.Contains(err.Error(), `"bad"`) {
			t.Errorf("a value without a JSON form: %v", err)
		}
		if names := strings.Join(s.Names(), " "); names != "list n" {
			t.Errorf("names %q", names)
		}
		old := s.ID()
		if err := s.Renew(); err != nil || baseOf(s.ID()) == baseOf(old) {
			t.Errorf("renewed %s to %s: %v", old, s.ID(), err)
		}
		s.Invalidate()
		s.Invalidate()
		if err := s.Set("n", 8); !errors.Is(err, ErrEnded) {
			t.Errorf("Set after the end: %v", err)
		}
		if err := s.Renew(); !errors.Is(err, ErrEnded) {
			t.Errorf("Renew after the end: %v", err)
		}
		next, err := FromRequest(r)
		if err != nil || next.ID() == s.ID() || len(next.Names()) != 0 {
			t.Errorf("the next session is %v, %v", next, err)
		}
	}).send("GET", "/")
}

func TestWithoutMiddleware(t *testing.T) {
	r, err := http.NewRequestWithContext(context.Background(), http.MethodGet, "/", nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := FromRequest(r); !errors.Is(err, ErrNoMiddleware) {
		t.Errorf("error %v", err)
	}
	if _, ok := Existing(r); ok {
		t.Error("a session exists")
	}
}

// TestTooLate: what the client could not learn is refused.
func TestTooLate(t *testing.T) {
	r := newRig(t, Options{}, func(w http.ResponseWriter, r *http.Request) {
		s, _ := Existing(r)
		w.(http.Flusher).Flush()
		if s == nil {
			if _, err := FromRequest(r); !errors.Is(err, ErrResponseBegan) {
				t.Errorf("a new session after the response began: %v", err)
			}
		} else if err := s.Renew(); !errors.Is(err, ErrResponseBegan) {
			t.Errorf("a new id after the response began: %v", err)
		}
	})
	r.send("GET", "/")
	rec := r.manager.sessions.testPut("A.node1")
	r.send("GET", "/", "Cookie", "JSESSIONID=A.node1")
	if rec.head.Load().id != "A.node1" {
		t.Error("the id was renewed")
	}
}

// TestLocalOnly is the life of a session without any proxy in front.
func TestLocalOnly(t *testing.T) {
	r := newRig(t, Options{TTL: time.Minute}, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/in":
			s, err := FromRequest(r)
			if err == nil {
				err = s.Set("user", "ann")
			}
			if err != nil {
				t.Error(err)
			}
		case "/out":
			if s, ok := Existing(r); ok {
				s.Invalidate()
			}
		}
		if s, ok := Existing(r); ok {
			fmt.Fprint(w, strings.Join(s.Names(), " "))
		}
	})
	in := r.send("GET", "/in")
	cookie, _, _ := strings.Cut(in.header.Get("Set-Cookie"), ";")
	if in.body != "user" || !strings.HasPrefix(cookie, "JSESSIONID=") || !strings.Contains(in.header.Get("Set-Cookie"), "HttpOnly") {
		t.Fatalf("%+v", in)
	}
	if a := r.send("GET", "/", "Cookie", cookie); a.body != "user" || a.header.Get("Set-Cookie") != "" {
		t.Errorf("the next request: %+v", a)
	}
	// Only the id as it is: a route that somebody changed is not ours.
	if a := r.send("GET", "/", "Cookie", strings.Replace(cookie, ".node1", ".node2", 1)); a.body != "" {
		t.Errorf("with another route: %+v", a)
	}
	out := r.send("GET", "/out", "Cookie", cookie)
	if !strings.Contains(out.header.Get("Set-Cookie"), "Max-Age=0") {
		t.Errorf("the end: %+v", out)
	}
	if a := r.send("GET", "/", "Cookie", cookie); a.body != "" {
		t.Errorf("after the end: %+v", a)
	}
}

// TestSecretsStayOut: the application sees neither the token nor anything else of the protocol.
func TestSecretsStayOut(t *testing.T) {
	r := newRig(t, Options{}, func(w http.ResponseWriter, r *http.Request) {
		for name := range r.Header {
			if strings.HasPrefix(name, "Rehydra-") {
				t.Errorf("the application sees %s", name)
			}
		}
		w.Header().Set("Rehydra-Session", "forged")
		w.Header().Set("X-Own", "kept")
	})
	a := r.tier("GET", "/", fieldID, "A.node1", fieldHave, "none")
	if a.header.Get(fieldSession) != "" || a.header.Get(fieldAdapter) != "1" || a.header.Get("X-Own") != "kept" {
		t.Errorf("%+v", a)
	}
}

// TestClearedHeaders: an application that clears the head does not silence the adapter.
func TestClearedHeaders(t *testing.T) {
	r := newRig(t, Options{}, func(w http.ResponseWriter, r *http.Request) {
		s, err := FromRequest(r)
		if err != nil {
			t.Error(err)
			return
		}
		if err := s.Set("a", 1); err != nil {
			t.Error(err)
		}
		clear(w.Header())
		w.WriteHeader(http.StatusForbidden)
	})
	a := r.tier("GET", "/")
	if a.header.Get(fieldAdapter) != "1" || a.header.Get(fieldState) == "" || a.header.Get("Set-Cookie") == "" {
		t.Errorf("%+v", a)
	}
}

// TestOtherRequestRenews: a request that ran while another one renewed the id tells the tier, and not its own
// client: it may be the one who planted the old id.
func TestOtherRequestRenews(t *testing.T) {
	begun, renewed := make(chan struct{}), make(chan struct{})
	r := newRig(t, Options{}, func(_ http.ResponseWriter, r *http.Request) {
		s, ok := Existing(r)
		if !ok {
			t.Error("no session")
			return
		}
		if r.URL.Path == "/login" {
			if err := s.Renew(); err != nil {
				t.Error(err)
			}
			return
		}
		close(begun)
		<-renewed
	})
	r.manager.sessions.testPut("A.node1")
	var slow answer
	var wg sync.WaitGroup
	wg.Go(func() { slow = r.tier("GET", "/slow", fieldID, "A.node1", "Cookie", "JSESSIONID=A.node1") })
	<-begun
	login := r.tier("GET", "/login", fieldID, "A.node1", "Cookie", "JSESSIONID=A.node1")
	close(renewed)
	wg.Wait()
	if id := r.only(); !strings.Contains(login.header.Get("Set-Cookie"), id) {
		t.Errorf("the login's cookie is %q, the session %s", login.header.Get("Set-Cookie"), id)
	}
	if !strings.Contains(slow.header.Get(fieldSession), `was="A.node1"`) || slow.header.Get("Set-Cookie") != "" {
		t.Errorf("the other request: %+v", slow.header)
	}
}

// TestGoneWhileRunning: a request that runs when its session ends learns it and does not revive it.
func TestGoneWhileRunning(t *testing.T) {
	begun, ended := make(chan struct{}), make(chan struct{})
	r := newRig(t, Options{}, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/slow" {
			return
		}
		s, _ := Existing(r)
		close(begun)
		<-ended
		if err := s.Set("a", 1); !errors.Is(err, ErrEnded) {
			t.Errorf("Set: %v", err)
		}
		io.WriteString(w, "done")
	})
	r.manager.sessions.testPut("A.node1")
	var slow answer
	var wg sync.WaitGroup
	wg.Go(func() { slow = r.tier("GET", "/slow", fieldID, "A.node1", "Cookie", "JSESSIONID=A.node1") })
	<-begun
	r.tier("GET", "/", fieldID, "A.node1", "Cookie", "JSESSIONID=A.node1", fieldHave, "gone")
	close(ended)
	wg.Wait()
	if !strings.Contains(slow.header.Get(fieldSession), "state=gone") || r.manager.Len() != 0 {
		t.Errorf("%q with %d sessions left", slow.header.Get(fieldSession), r.manager.Len())
	}
}

// TestTTL is what the tier is told, in seconds.
func TestTTL(t *testing.T) {
	for ttl, want := range map[time.Duration]string{
		0: "ttl=1800", time.Hour: "ttl=3600", 1500 * time.Millisecond: "ttl=2", -1: "ttl=0",
	} {
		r := newRig(t, Options{TTL: ttl}, func(_ http.ResponseWriter, r *http.Request) {
			if _, err := FromRequest(r); err != nil {
				t.Error(err)
			}
		})
		if got := r.tier("GET", "/").header.Get(fieldSession); !strings.Contains(got, want+";") {
			t.Errorf("TTL %v: %q, want %s", ttl, got, want)
		}
	}
}

// TestTooLargeForTrailers: beyond MaxState the tier is told to ask.
func TestTooLargeForTrailers(t *testing.T) {
	r := newRig(t, Options{MaxState: 10_000}, func(w http.ResponseWriter, r *http.Request) {
		s, err := FromRequest(r)
		if err != nil {
			t.Error(err)
			return
		}
		if r.URL.Path == "/late" {
			w.(http.Flusher).Flush()
		}
		if err := s.Set("big", strings.Repeat("x", 20_000)); err != nil {
			t.Error(err)
		}
	})
	if a := r.tier("GET", "/"); !strings.Contains(a.header.Get(fieldSession), "state=pull") || len(a.trailer) != 0 {
		t.Errorf("%+v", a)
	}
	a := r.tier("GET", "/late")
	if !strings.Contains(a.header.Get(fieldSession), "state=late") || !strings.Contains(a.trailer.Get(fieldSession), "state=pull") {
		t.Errorf("%+v", a)
	}
}
