package rehydra

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestVersion(t *testing.T) {
	for text, want := range map[string]version{
		"1.1": {1, 1}, "2.0": {2, 0}, "12.345": {12, 345}, "999999999999999999.0": {999999999999999999, 0},
	} {
		if v, ok := parseVersion(text); !ok || v != want || v.String() != text {
			t.Errorf("parseVersion(%q) = %v %v, want %v", text, v, ok, want)
		}
	}
	for _, text := range []string{"", ".", "1", "1.", ".1", "0.1", "1.1.1", "-1.1", "+1.1", "1.1 ", "1,1", "a.b", "1.1e1",
		"1000000000000000000.0", "none"} {
		if v, ok := parseVersion(text); ok {
			t.Errorf("parseVersion(%q) = %v, want it refused", text, v)
		}
	}
	ordered := []version{{1, 1}, {1, 2}, {1, 10}, {2, 0}, {2, 1}, {10, 0}}
	for i, v := range ordered {
		for j, w := range ordered {
			if v.newer(w) != (i > j) {
				t.Errorf("%v newer than %v: %v", v, w, v.newer(w))
			}
		}
	}
}

func TestIDs(t *testing.T) {
	a, b := newID("node1"), newID("node1")
	if a == b || len(a) != 32+6 || !validID(a) || routeOf(a) != "node1" || strings.Contains(baseOf(a), ".") {
		t.Errorf("new ids %q and %q", a, b)
	}
	if id := newID(""); len(id) != 32 || routeOf(id) != "" {
		t.Errorf("new id without a route: %q", id)
	}
	for _, id := range []string{"A", "ABC-n1.node1", "A.b.c", strings.Repeat("x", 200)} {
		if !validID(id) {
			t.Errorf("%q is no id", id)
		}
	}
	for _, id := range []string{"", ".", ".node1", "a b", "a\"b", "a;b", "a,b", "a/b", "a%41", "a\x00", "é", strings.Repeat("x", 201)} {
		if validID(id) {
			t.Errorf("%q is an id", id)
		}
	}
}

func TestIDsOf(t *testing.T) {
	r := &http.Request{Header: http.Header{"Cookie": {
		`JSESSIONID=A.node1; other=X; JSESSIONID="B.node2"`, `jsessionid=C; JSESSIONID=a/b; JSESSIONID=D`}}}
	if got := strings.Join(idsOf(r, "JSESSIONID"), " "); got != "A.node1 B.node2 D" {
		t.Errorf("ids %q, want A.node1 B.node2 D", got)
	}
}

func TestState(t *testing.T) {
	created := time.UnixMilli(1_700_000_000_123)
	state := appendState(nil, created, values{"b": json.RawMessage(`[1,2]`), `a"`: json.RawMessage(`"x"`)})
	const want = `{"format":1,"created":1700000000123,"values":{"a\"":"x","b":[1,2]}}`
	if string(state) != want {
		t.Errorf("state %s, want %s", state, want)
	}
	at, vs, err := parseState(state)
	if err != nil || !at.Equal(created) || string(vs["b"]) != "[1,2]" || len(vs) != 2 {
		t.Errorf("parsed %v %v %v", at, vs, err)
	}
	for _, bad := range []string{"", "null", "{}", "[]", `{"format":2,"values":{}}`, want[:len(want)-1], want + "x"} {
		if _, _, err := parseState([]byte(bad)); err == nil {
			t.Errorf("state %q was read", bad)
		}
	}
}

// FuzzParseState: what is read is written again as a state that reads the same.
func FuzzParseState(f *testing.F) {
	f.Add([]byte(`{"format":1,"created":1700000000123,"values":{"a":"x","b":[1, 2],"c":null}}`))
	f.Add([]byte(`{"format":1}`))
	f.Fuzz(func(t *testing.T, in []byte) {
		created, vs, err := parseState(in)
		if err != nil {
			return
		}
		state := appendState(nil, created, vs)
		again, vs2, err := parseState(state)
		if err != nil {
			t.Fatalf("cannot read again %q: %v", state, err)
		}
		if !bytes.Equal(state, appendState(nil, again, vs2)) {
			t.Fatalf("%q is written as %q", state, appendState(nil, again, vs2))
		}
	})
}

// FuzzTierFields: whatever the fields hold, the request is decided, and what 428 names can stand in a field.
func FuzzTierFields(f *testing.F) {
	f.Add("A.node1", "2.0", "e30", "JSESSIONID=A.node1")
	f.Add("A.node2", "none", "", "JSESSIONID=A.node1; JSESSIONID=B")
	f.Add("A", "gone", "!", "")
	m, err := New(Options{Token: testToken, Route: "node1"})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, id, have, state, cookie string) {
		r := &http.Request{Header: http.Header{fieldID: {id}, fieldHave: {have}, fieldState: {state}, "Cookie": {cookie}}}
		e, need := m.begin(r, true)
		e.release()
		if need != "" && !validID(need) {
			t.Fatalf("428 names %q", need)
		}
	})
}

func TestOptions(t *testing.T) {
	for _, c := range []struct {
		o    Options
		want string
	}{
		{Options{Token: "x"}, "no Route given"},
		{Options{Route: "a b"}, `Route "a b"`},
		{Options{Route: strings.Repeat("r", 200)}, "Route"},
		{Options{App: "a b"}, `App "a b"`},
		{Options{App: `a"b`}, "App"},
		{Options{CookieName: "a b"}, `CookieName "a b"`},
		{Options{CookiePath: "a;b"}, `CookiePath "a;b"`},
		{Options{InlineLimit: -1}, "InlineLimit -1"},
		{Options{MaxSessions: -1}, "MaxSessions -1"},
	} {
		if _, err := New(c.o); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("New(%+v): %v, want an error with %q", c.o, err, c.want)
		}
	}
}
