package rehydra

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

// A session is not dropped under a request that has not touched it yet; when that has ended, it is.
func TestDropWaitsForRequests(t *testing.T) {
	runs, goOn := make(chan struct{}), make(chan struct{})
	rig := newRig(t, Options{}, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			close(runs)
			<-goOn
		}
		s, err := FromRequest(r)
		if err == nil {
			err = s.Set("path", r.URL.Path)
		}
		if err != nil {
			t.Error(err)
		}
	})
	made := rig.tier(http.MethodGet, "/")
	_, id, _ := strings.Cut(made.header.Get("Set-Cookie"), "=")
	id, _, _ = strings.Cut(id, ";")
	drop := func() int { return rig.tier("REPORT", "/", fieldOp, "drop", fieldID, id).status }

	slow := make(chan answer, 1)
	go func() {
		slow <- rig.tier(http.MethodGet, "/slow", fieldID, id, fieldHave, "1.1", "Cookie", "JSESSIONID="+id)
	}()
	select {
	case <-runs:
	case <-time.After(30 * time.Second):
		t.Fatal("the request has not reached the application")
	}
	if status := drop(); status != http.StatusConflict {
		t.Errorf("drop under a request: status %d, want 409", status)
	}
	close(goOn)
	if a := <-slow; a.status != http.StatusOK || !strings.Contains(a.header.Get(fieldSession), "version=1.2") {
		t.Errorf("the request was answered %d, %q, want version 1.2 of its session", a.status, a.header.Get(fieldSession))
	}
	for deadline := time.Now().Add(30 * time.Second); drop() != http.StatusNoContent; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the session is not dropped after its request has ended")
		}
	}
	if a := rig.tier("REPORT", "/", fieldOp, "read", fieldID, id); a.status != http.StatusNotFound {
		t.Errorf("read after drop: status %d, want 404", a.status)
	}
}
