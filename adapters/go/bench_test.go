package rehydra

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

// sink is a response that is thrown away.
type sink struct{ header http.Header }

func (s *sink) Header() http.Header         { return s.header }
func (s *sink) Write(p []byte) (int, error) { return len(p), nil }
func (s *sink) WriteHeader(int)             {}

// stickyRequest returns one request of a session that is held, over and over.
func stickyRequest(tb testing.TB, change bool) func() {
	tb.Helper()
	m, err := New(Options{Token: testToken, Route: "node1"})
	if err != nil {
		tb.Fatal(err)
	}
	rec := m.sessions.testPut("A.node1")
	rec.set("user", []byte(`"ann"`))
	rec.settle()
	n := 0
	h := m.Middleware(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s, _ := Existing(r)
		if change {
			n++
			if err := s.Set("n", n); err != nil {
				tb.Error(err)
			}
		}
		_, _ = w.Write([]byte("ok"))
	}))
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header = http.Header{fieldTier: {testToken}, fieldID: {"A.node1"}, "Cookie": {"JSESSIONID=A.node1"}}
	w := &sink{header: http.Header{}}
	return func() {
		clear(w.header)
		h.ServeHTTP(w, r)
	}
}

func BenchmarkUnchanged(b *testing.B) {
	do := stickyRequest(b, false)
	b.ReportAllocs()
	for b.Loop() {
		do()
	}
}

func BenchmarkChanged(b *testing.B) {
	do := stickyRequest(b, true)
	b.ReportAllocs()
	for b.Loop() {
		do()
	}
}

// TestUnchangedAllocations keeps the price of a request that changes nothing where it is.
func TestUnchangedAllocations(t *testing.T) {
	const limit = 24
	if n := testing.AllocsPerRun(200, stickyRequest(t, false)); n > limit {
		t.Errorf("%v allocations, want at most %d", n, limit)
	}
}
