package jvmroute

import (
	"bytes"
	"strings"
	"testing"
)

func TestSplit(t *testing.T) {
	tests := []struct {
		id, base, route string
		routeIsNil      bool
	}{
		{"ABC.node1", "ABC", "node1", false},
		{"ABC-n1.node1", "ABC-n1", "node1", false},
		{"ABC.node1.x", "ABC", "node1.x", false},
		{"ABC..node1", "ABC", ".node1", false},
		{"ABC.", "ABC", "", false},
		{".node1", "", "node1", false},
		{"ABC", "ABC", "", true},
		{"", "", "", true},
	}
	for _, test := range tests {
		base, route := Split([]byte(test.id))
		if string(base) != test.base || string(route) != test.route || (route == nil) != test.routeIsNil {
			t.Errorf("Split(%q) = %q, %q (nil %v), want %q, %q (nil %v)",
				test.id, base, route, route == nil, test.base, test.route, test.routeIsNil)
		}
	}
}

func TestValid(t *testing.T) {
	tests := []struct {
		name, id string
		want     bool
	}{
		{"Tomcat", "0C9F6E2B9D1E4A0B8C7D6E5F4A3B2C1D.node1", true},
		{"memcached-session-manager", "ABC-n1.node1", true},
		{"WebLogic", "Ln1vS3vQ!-1180226430!NONE", true},
		{"JBoss", "GsYmM0Bg9JTvPb3uEf3z9w**.node1", true},
		{"WebSphere", "0000JtFqz3:-1", true},
		{"Jetty", "node01p2j0q3zt6i3o1.node0", true},
		{"base 64", "ab+c/", false},
		{"base 64, no slash", "ab+c==", true},
		{"longest", strings.Repeat("a", MaxIDLength), true},
		{"too long", strings.Repeat("a", MaxIDLength+1), false},
		{"empty", "", false},
		{"no base", ".node1", false},
		{"only dots", "..", false},
		{"traversal", "../../etc", false},
		{"blank", "AB C", false},
		{"tab", "AB\tC", false},
		{"line end", "ABC\r\n", false},
		{"NUL", "AB\x00C", false},
		{"DEL", "AB\x7fC", false},
		{"quote", `A"BC`, false},
		{"apostrophe", "A'BC", false},
		{"semicolon", "A;BC", false},
		{"comma", "A,BC", false},
		{"percent", "A%2EBC", false},
		{"backslash", `A\BC`, false},
		{"UTF-8", "AÄC", false},
	}
	for _, test := range tests {
		if got := Valid([]byte(test.id)); got != test.want {
			t.Errorf("%s: Valid(%q) = %v, want %v", test.name, test.id, got, test.want)
		}
	}
}

func FuzzSplit(f *testing.F) {
	for _, seed := range []string{"ABC-n1.node1", "ABC", ".x", "a..b", ""} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, id []byte) {
		base, route := Split(id)
		if bytes.IndexByte(base, '.') >= 0 {
			t.Fatalf("base %q of %q holds a dot", base, id)
		}
		joined := append([]byte(nil), base...)
		if route != nil {
			joined = append(append(joined, '.'), route...)
		}
		if !bytes.Equal(joined, id) {
			t.Fatalf("%q and %q do not make %q", base, route, id)
		}
		if Valid(id) && (len(base) == 0 || len(id) > MaxIDLength || bytes.ContainsAny(id, " \t\r\n\x00\"';,%/\\")) {
			t.Fatalf("%q counts as valid", id)
		}
	})
}
