package session

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"
)

func TestParseReport(t *testing.T) {
	r, err := ParseReport([]byte(`id="ABC-n1.node2"; app="localhost/shop"; version=2.8; ttl=1800; state=inline; was="OLD.node1"; later=x`))
	if err != nil {
		t.Fatal(err)
	}
	want := Report{ID: "ABC-n1.node2", Base: "ABC-n1", WasBase: "OLD", App: "localhost/shop", Version: Version{2, 8}, TTL: 30 * time.Minute, Kind: StateInline}
	if r.ID != want.ID || r.Base != want.Base || r.WasBase != want.WasBase || r.App != want.App || r.Version != want.Version || r.TTL != want.TTL || r.Kind != want.Kind {
		t.Errorf("got %+v, want %+v", r, want)
	}
}

func TestParseReportTTL(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"0": 0, "-1": 0, "1": time.Second, "2678400": 31 * 24 * time.Hour, "999999999999999": 0,
	} {
		r, err := ParseReport([]byte(`id=A.n; app=/; version=1.1; state=same; ttl=` + text))
		if err != nil || r.TTL != want {
			t.Errorf("ttl=%s: %v, %v; want %v", text, r.TTL, err, want)
		}
	}
}

// Each of these is a report that must not be believed; the error names what is
// wrong and quotes nothing of it.
func TestParseReportRefuses(t *testing.T) {
	const good = `id="A.n"; app="/"; version=1.1; ttl=1; state=same`
	if _, err := ParseReport([]byte(good)); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{
		"", " ", ";", "id", "id=", `id="A.n`, `=x`,
		strings.Replace(good, `id="A.n"`, `id="A b"`, 1),
		strings.Replace(good, `id="A.n"`, `id=".n"`, 1),
		strings.Replace(good, `id="A.n"`, `id="../x"`, 1),
		strings.Replace(good, `id="A.n"`, `id="`+strings.Repeat("A", 300)+`"`, 1),
		strings.Replace(good, `id="A.n"; `, ``, 1),
		strings.Replace(good, `app="/"; `, ``, 1),
		strings.Replace(good, `app="/"`, `app=""`, 1),
		strings.Replace(good, `app="/"`, `app="a b"`, 1),
		strings.Replace(good, `version=1.1; `, ``, 1),
		strings.Replace(good, "1.1", "1", 1), strings.Replace(good, "1.1", "0.1", 1), strings.Replace(good, "1.1", "1.1.1", 1),
		strings.Replace(good, "1.1", "-1.1", 1), strings.Replace(good, "1.1", "1.99999999999999999999", 1),
		strings.Replace(good, "ttl=1", "ttl=1s", 1), strings.Replace(good, "ttl=1", "ttl=--1", 1),
		strings.Replace(good, "state=same", "state=other", 1),
		good + "; state=gone", good + " x", good + `; was="a b"`,
	} {
		_, err := ParseReport([]byte(bad))
		if !errors.Is(err, errMalformed) {
			t.Errorf("ParseReport(%q) = %v, want an error", bad, err)
		}
	}
}

func TestParseNeed(t *testing.T) {
	n, err := ParseNeed([]byte(`id="ABC.node1"; app="localhost/shop"`))
	if err != nil || n.ID != "ABC.node1" || n.Base != "ABC" || n.App != "localhost/shop" {
		t.Errorf("got %+v, %v", n, err)
	}
	for _, bad := range []string{"", "id=A.n", "app=/", `id="a b"; app=/`} {
		if _, err := ParseNeed([]byte(bad)); err == nil {
			t.Errorf("ParseNeed(%q) took it", bad)
		}
	}
}

func TestState(t *testing.T) {
	for _, state := range [][]byte{{}, {0}, {0xff, 0xfe, 0xfd}, bytes.Repeat([]byte{7}, 4096)} {
		got, err := DecodeState(AppendState(nil, state))
		if err != nil || !bytes.Equal(got, state) {
			t.Errorf("a state of %d bytes came back as %d, %v", len(state), len(got), err)
		}
	}
	for _, bad := range []string{"a", "ab==", "a b", "+/", "ab\x00", "AB"} {
		if _, err := DecodeState([]byte(bad)); err == nil {
			t.Errorf("DecodeState(%q) took it", bad)
		}
	}
}

func TestVersionOrder(t *testing.T) {
	ordered := []Version{{1, 1}, {1, 2}, {1, 10}, {2, 0}, {2, 1}, {10, 0}}
	for i, v := range ordered {
		for j, w := range ordered {
			want := min(1, max(-1, i-j))
			if got := v.Compare(w); got != want {
				t.Errorf("%v.Compare(%v) = %d, want %d", v, w, got, want)
			}
		}
		if back, ok := ParseVersion([]byte(v.String())); !ok || back != v {
			t.Errorf("%v came back as %v, %v", v, back, ok)
		}
	}
}

// What is taken must be safe: it becomes a part of store keys and of log lines.
func FuzzParseReport(f *testing.F) {
	f.Add([]byte(`id="ABC.node2"; app="localhost/shop"; version=2.8; ttl=1800; state=inline`))
	f.Add([]byte(`id=A;app=/;version=1.1;state=gone;was="B.c"`))
	f.Add([]byte(`;;=";`))
	f.Fuzz(func(t *testing.T, value []byte) {
		r, err := ParseReport(value)
		if err != nil {
			return
		}
		if r.Base == "" || strings.ContainsAny(r.ID+r.App+r.WasBase, " \t\r\n\"") || r.Kind == StateMissing || r.TTL < 0 {
			t.Errorf("ParseReport(%q) = %+v", value, r)
		}
	})
}
