package jvmroute

import (
	"bytes"
	"testing"
)

func TestSetCookie(t *testing.T) {
	tests := []struct{ value, id, rewritten string }{
		{"JSESSIONID=ABC.node1; Path=/shop; HttpOnly", "ABC.node1", "JSESSIONID=ABC.node2; Path=/shop; HttpOnly"},
		{"JSESSIONID=ABC", "ABC", "JSESSIONID=ABC.node2"},
		{"JSESSIONID=ABC-n1.node1.x", "ABC-n1.node1.x", "JSESSIONID=ABC-n1.node2"},
		{`JSESSIONID="ABC.node1";Path=/`, "ABC.node1", `JSESSIONID="ABC.node2";Path=/`},
		{" JSESSIONID = ABC.node1 ; Secure", "ABC.node1", " JSESSIONID = ABC.node2 ; Secure"},
		{"JSESSIONID=ABC.node1;", "ABC.node1", "JSESSIONID=ABC.node2;"},
		{"JSESSIONID=; Max-Age=0", "", ""},
		{"JSESSIONID=.node1", "", ""},
		{"JSESSIONID", "", ""},
		{"JSESSIONIDSSO=ABC.node1", "", ""},
		{"jsessionid=ABC.node1", "", ""},
		{"other=1; JSESSIONID=ABC.node1", "", ""},
		{"JSESSIONID=A B", "", ""},
		{"", "", ""},
	}
	f := newTestFinder(t)
	for _, test := range tests {
		if got := string(f.SetCookieID([]byte(test.value))); got != test.id {
			t.Errorf("SetCookieID(%q) = %q, want %q", test.value, got, test.id)
		}
		out, ok := f.RewriteSetCookie([]byte("x"), []byte(test.value), "node2")
		if string(out) != "x"+test.rewritten || ok != (test.id != "") {
			t.Errorf("RewriteSetCookie(%q) = %q, %v, want %q", test.value, out, ok, "x"+test.rewritten)
		}
	}
	if out, _ := f.RewriteSetCookie(nil, []byte("JSESSIONID=ABC.node1; Path=/"), ""); string(out) != "JSESSIONID=ABC; Path=/" {
		t.Errorf("with an empty route: %q", out)
	}
}

func FuzzSetCookie(f *testing.F) {
	f.Add([]byte("JSESSIONID=ABC.node1; Path=/shop; HttpOnly"))
	f.Add([]byte(`JSESSIONID="A"`))
	finder := newTestFinder(f)
	f.Fuzz(func(t *testing.T, value []byte) {
		id := finder.SetCookieID(value)
		out, ok := finder.RewriteSetCookie(nil, value, "node2")
		if ok != (id != nil) {
			t.Fatalf("%q: id %q but rewritten %v", value, id, ok)
		}
		if !ok {
			return
		}
		base, _ := Split(id)
		rewritten := append(append([]byte(nil), base...), ".node2"...)
		if Valid(rewritten) && !bytes.Equal(finder.SetCookieID(out), rewritten) {
			t.Fatalf("%q became %q, whose id is not %q", value, out, rewritten)
		}
	})
}
