package upstream

import (
	"errors"
	"io"
	"strings"
	"syscall"
	"testing"
	"time"
)

// stateTable is one unstarted pool of one backend with the checks that a test makes by hand.
func stateTable(t *testing.T, log io.Writer, health HealthConfig) *Backend {
	return table(t, log, nil, Config{Name: "shop", Health: health, Backends: nodes("n1")}).Pools()[0].Backends()[0]
}

func TestPassiveStates(t *testing.T) {
	var log logBuffer
	b := stateTable(t, &log, HealthConfig{Fall: 2, Rise: 2})
	first := b.Epoch()
	if !b.Up() || first == 0 {
		t.Fatalf("a backend that was not checked: up %v, epoch %d; want true and not 0", b.Up(), first)
	}
	b.ReportReset(first, syscall.ECONNRESET)
	if b.Up() || b.Epoch() == first {
		t.Fatalf("after a reset: up %v, epoch %d; want false and another one than %d", b.Up(), b.Epoch(), first)
	}
	second := b.Epoch()
	b.ReportRefused(syscall.ECONNREFUSED) // it is out already: no event, no epoch
	b.checked(first, nil)                 // a check that began before says nothing
	b.checked(first, nil)
	b.checked(second, nil)
	if b.Up() {
		t.Fatal("up after one good check, want two")
	}
	b.checked(second, errors.New("bad"))
	b.checked(second, nil)
	if b.Up() {
		t.Fatal("up after good, bad, good; want two in a row")
	}
	b.checked(second, nil)
	if !b.Up() || b.Epoch() != second {
		t.Fatalf("after two good checks: up %v, epoch %d; want true and %d", b.Up(), b.Epoch(), second)
	}
	b.ReportReset(first, syscall.ECONNRESET) // a connection to the process before
	if !b.Up() {
		t.Fatal("a reset of an epoch that is over took it out")
	}
	lines := strings.Split(strings.TrimSpace(log.String()), "\n")
	if len(lines) != 2 {
		t.Fatalf("%d events, want 2:\n%s", len(lines), log.String())
	}
	for i, words := range [][]string{
		{`"level":"warn"`, `"message":"backend out"`, `"pool":"shop"`, `"backend":"n1"`, `"address":"127.0.0.1:1"`, `"reason":"connection reset: connection reset by peer"`},
		{`"level":"info"`, `"message":"backend up"`, `"pool":"shop"`, `"backend":"n1"`, `"address":"127.0.0.1:1"`, `"reason":"checks are good"`},
	} {
		for _, w := range words {
			if !strings.Contains(lines[i], w) {
				t.Errorf("event %s has no %s", lines[i], w)
			}
		}
	}
	if st := b.Stats(); !st.Up || st.Outs != 1 || st.Reason != "" || time.Since(st.Since) > time.Minute {
		t.Errorf("stats %+v, want up since just now, out once, no reason", st)
	}
}

func TestFailedChecks(t *testing.T) {
	bad := errors.New("bad")
	b := stateTable(t, io.Discard, HealthConfig{Fall: 2})
	b.checked(b.Epoch(), bad)
	b.checked(b.Epoch(), nil)
	b.checked(b.Epoch(), bad)
	if !b.Up() {
		t.Fatal("out after bad, good, bad; want two in a row")
	}
	b.checked(b.Epoch(), bad)
	if b.Up() {
		t.Fatal("up after two bad checks")
	}
	if got := b.Stats().Reason; got != "check failed: bad" {
		t.Errorf("reason %q", got)
	}
}

func TestTimeouts(t *testing.T) {
	bad := errors.New("bad")
	for _, tc := range []struct {
		name, path string
		do         func(*Backend)
		up         bool
	}{
		{"one is not enough", "", func(b *Backend) { b.ReportFirstByteTimeout(b.Epoch()) }, true},
		{"two are", "", func(b *Backend) { b.ReportFirstByteTimeout(b.Epoch()); b.ReportFirstByteTimeout(b.Epoch()) }, false},
		{"an answer between", "", func(b *Backend) {
			b.ReportFirstByteTimeout(b.Epoch())
			b.ReportAnswer()
			b.ReportFirstByteTimeout(b.Epoch())
		}, true},
		{"a good connect between", "", func(b *Backend) {
			b.ReportFirstByteTimeout(b.Epoch())
			b.checked(b.Epoch(), nil)
			b.ReportFirstByteTimeout(b.Epoch())
		}, false},
		{"a good answer to a check between", "/up", func(b *Backend) {
			b.ReportFirstByteTimeout(b.Epoch())
			b.checked(b.Epoch(), nil)
			b.ReportFirstByteTimeout(b.Epoch())
		}, true},
		{"with a failed check", "/up", func(b *Backend) { b.checked(b.Epoch(), bad); b.ReportFirstByteTimeout(b.Epoch()) }, false},
		{"and then a failed check", "/up", func(b *Backend) { b.ReportFirstByteTimeout(b.Epoch()); b.checked(b.Epoch(), bad) }, false},
		{"of another epoch", "", func(b *Backend) { b.ReportFirstByteTimeout(b.Epoch() - 1); b.ReportFirstByteTimeout(b.Epoch()) }, true},
		{"connects", "", func(b *Backend) {
			b.ReportConnect(&ConnectError{Timeout: true})
			b.ReportConnect(&ConnectError{Timeout: true})
		}, false},
		{"connect refused", "", func(b *Backend) { b.ReportConnect(&ConnectError{Refused: true, Err: errOut}) }, false},
		{"no descriptors here", "", func(b *Backend) {
			for range 5 {
				b.ReportConnect(&ConnectError{Local: true})
			}
		}, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := stateTable(t, io.Discard, HealthConfig{Path: tc.path, Fall: 2})
			if tc.do(b); b.Up() != tc.up {
				t.Errorf("up %v, want %v", b.Up(), tc.up)
			}
		})
	}
}

// A stopped process accepts connections: it comes back by them, but one more time-out is enough to take it out.
func TestTimeoutsAfterReturnByConnect(t *testing.T) {
	b := stateTable(t, io.Discard, HealthConfig{Fall: 3})
	for range 3 {
		b.ReportFirstByteTimeout(b.Epoch())
	}
	if b.Up() {
		t.Fatal("up after three time-outs")
	}
	b.checked(b.Epoch(), nil)
	if !b.Up() {
		t.Fatal("out after a good check")
	}
	b.ReportFirstByteTimeout(b.Epoch())
	if b.Up() {
		t.Fatal("up after the first time-out since its return")
	}
	b.checked(b.Epoch(), nil)
	b.ReportAnswer()
	b.ReportFirstByteTimeout(b.Epoch())
	if !b.Up() {
		t.Fatal("out after one time-out, though it had answered")
	}
}

func TestAdapterIsOfItsEpoch(t *testing.T) {
	b := stateTable(t, io.Discard, HealthConfig{})
	if b.AdapterSeen() {
		t.Fatal("seen before any answer")
	}
	first := b.Epoch()
	b.SetAdapterSeen(first, true)
	if !b.AdapterSeen() {
		t.Fatal("not seen after an answer")
	}
	b.SetAdapterSeen(first, false)
	if b.AdapterSeen() {
		t.Fatal("seen after an answer without")
	}
	b.SetAdapterSeen(first, true)
	b.ReportRefused(errOut)
	if b.AdapterSeen() {
		t.Fatal("still seen after it was out")
	}
	b.SetAdapterSeen(first, true) // an answer of the process before
	if b.AdapterSeen() {
		t.Fatal("an answer of an epoch that is over counts")
	}
	b.SetAdapterSeen(b.Epoch(), true)
	b.SetAdapterSeen(first, false)
	if !b.AdapterSeen() {
		t.Fatal("an answer of an epoch that is over cleared it")
	}
}
