package upstream

import (
	"io"
	"strings"
	"testing"
	"time"
)

// What was known before is out at the first request, and checked at once.
func TestKnownToBeOut(t *testing.T) {
	s := serve(t, "127.0.0.1:0", hold)
	config := Config{Name: "p", Health: HealthConfig{Interval: time.Hour, Rise: 1}, Backends: []BackendConfig{{Route: "n1", Address: s.addr}}}
	tab := table(t, io.Discard, nil, config)
	b := tab.Pools()[0].Backends()[0]
	for range 2 {
		b.ReportKnown("known to be out: cable pulled")
	}
	if b.Up() {
		t.Fatal("it is up")
	}
	if reason := b.Stats().Reason; reason != "known to be out: cable pulled" {
		t.Errorf("reason %q", reason)
	}
	if _, _, err := b.Pool().Choose(nil, nil); err != ErrNoBackend {
		t.Errorf("Choose: %v, want %v", err, ErrNoBackend)
	}
	tab.Start()
	eventually(t, "back after a check", b.Up)
	b.ReportKnown("again")
	if reason := b.Stats().Reason; !strings.HasSuffix(reason, "again") {
		t.Errorf("reason %q", reason)
	}
	eventually(t, "back after a check at once", b.Up)
}
