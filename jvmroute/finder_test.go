package jvmroute

import (
	"bytes"
	"slices"
	"strings"
	"testing"
)

// newTestFinder returns a finder of Tomcat's names.
func newTestFinder(t testing.TB) *Finder {
	t.Helper()
	f, err := NewFinder("JSESSIONID", "jsessionid")
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// ids returns the ids of candidates, all of which must be from source.
func ids(t testing.TB, all []Candidate, source Source) []string {
	t.Helper()
	var result []string
	for _, c := range all {
		if c.Source != source {
			t.Errorf("candidate %q is from the %v, want %v", c.ID, c.Source, source)
		}
		result = append(result, string(c.ID))
	}
	return result
}

func TestNewFinderRefusesBadNames(t *testing.T) {
	tests := []struct{ cookie, parameter, want string }{
		{"", "jsessionid", `cannot use cookie name ""`},
		{"A B", "", `cannot use cookie name "A B": " " at byte 1`},
		{"A=B", "", `"=" at byte 1`},
		{"A;", "", `";" at byte 1`},
		{"A", "a;b", `cannot use path parameter name "a;b": ";" at byte 1`},
		{"A", "a/b", `"/" at byte 1`},
		{"A", "a%b", `"%" at byte 1`},
	}
	for _, test := range tests {
		_, err := NewFinder(test.cookie, test.parameter)
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("NewFinder(%q, %q) = %v, want an error with %q", test.cookie, test.parameter, err, test.want)
		}
	}
	f, err := NewFinder("__Host-sid", "")
	if err != nil {
		t.Fatal(err)
	}
	if got := f.AppendPath(nil, []byte("/a;=ABC;jsessionid=ABC")); len(got) != 0 {
		t.Errorf("without a parameter name the path gave %q", ids(t, got, FromPath))
	}
}

func TestAppendPath(t *testing.T) {
	tests := []struct {
		target string
		want   []string
	}{
		{"/", nil},
		{"", nil},
		{"*", nil},
		{"/shop", nil},
		{"/shop;jsessionid=ABC.node1", []string{"ABC.node1"}},
		{"/shop;jsessionid=ABC.node1?x=1", []string{"ABC.node1"}},
		{"/shop;jsessionid=ABC.node1#top", []string{"ABC.node1"}},
		{"/shop;jsessionid=ABC.node1/cart", []string{"ABC.node1"}},
		{"/a;x=1;jsessionid=ABC.node1;y=2/b", []string{"ABC.node1"}},
		{"/a;jsessionid=ABC.node1/b;jsessionid=DEF.node2", []string{"ABC.node1", "DEF.node2"}},
		{"/a;jsessionid=A.n1;jsessionid=B.n2", []string{"A.n1", "B.n2"}},
		{"/a;;jsessionid=A.n1", []string{"A.n1"}},
		{"/a?;jsessionid=ABC.node1", nil},
		{"/a#;jsessionid=ABC.node1", nil},
		{"/a;JSESSIONID=ABC.node1", nil},
		{"/a;jsessionid2=ABC.node1", nil},
		{"/a;xjsessionid=ABC.node1", nil},
		{"/a;jsessionid", nil},
		{"/a;jsessionid=", nil},
		{"/a;jsessionid=/", nil},
		{"/a;jsessionid=A%2EB", nil},
		{"/a;jsessionid=A%2EB;jsessionid=OK", []string{"OK"}},
		{`/a;jsessionid="ABC"`, nil},
		{"/a;jsessionid=.node1", nil},
		{"/a;", nil},
		{"/jsessionid=ABC", nil},
		{"http://shop.example.com/a;jsessionid=ABC.node1", []string{"ABC.node1"}},
		{"http://shop;jsessionid=X/a;jsessionid=ABC.node1", []string{"ABC.node1"}},
		{"http://shop;jsessionid=X", nil},
	}
	f := newTestFinder(t)
	for _, test := range tests {
		if got := ids(t, f.AppendPath(nil, []byte(test.target)), FromPath); !slices.Equal(got, test.want) {
			t.Errorf("AppendPath(%q) = %q, want %q", test.target, got, test.want)
		}
	}
}

func TestAppendCookies(t *testing.T) {
	tests := []struct {
		value string
		want  []string
	}{
		{"", nil},
		{"JSESSIONID=ABC.node1", []string{"ABC.node1"}},
		{"a=b; JSESSIONID=ABC.node1; c=d", []string{"ABC.node1"}},
		{"a=b;JSESSIONID=ABC.node1;c=d", []string{"ABC.node1"}},
		{"a=b, JSESSIONID=ABC.node1, c=d", []string{"ABC.node1"}},
		{"a=b;\tJSESSIONID\t=\tABC.node1\t;", []string{"ABC.node1"}},
		{"JSESSIONID=A.n1; JSESSIONID=B.n2", []string{"A.n1", "B.n2"}},
		{"JSESSIONID=A.n1; x=1; JSESSIONID=A.n1", []string{"A.n1", "A.n1"}},
		{`JSESSIONID="ABC.node1"`, []string{"ABC.node1"}},
		{`$Version=1; JSESSIONID="ABC.node1"; $Path="/"`, []string{"ABC.node1"}},
		{`JSESSIONID="ABC.node1`, nil},
		{`JSESSIONID="`, nil},
		{`JSESSIONID=""`, nil},
		{"JSESSIONID=", nil},
		{"JSESSIONID", nil},
		{"JSESSIONID=; JSESSIONID=B.n2", []string{"B.n2"}},
		{"JSESSIONID=A B; JSESSIONID=B.n2", []string{"B.n2"}},
		{"JSESSIONID; JSESSIONID=B.n2", []string{"B.n2"}},
		{"XJSESSIONID=A.n1", nil},
		{"X-JSESSIONID=A.n1", nil},
		{"JSESSIONIDSSO=A.n1", nil},
		{"JSESSIONIDSSO=A.n1; JSESSIONID=B.n2", []string{"B.n2"}},
		{"jsessionid=A.n1", nil},
		{"x=JSESSIONID=A.n1", nil},
		{"x=y JSESSIONID=A.n1", nil},
		{"x=JSESSIONID; JSESSIONID=B.n2", []string{"B.n2"}},
		{"JSESSIONID=A=.n1", []string{"A=.n1"}},
		{"JSESSIONID==A.n1", []string{"=A.n1"}},
		{";;; ,JSESSIONID=A.n1", []string{"A.n1"}},
	}
	f := newTestFinder(t)
	for _, test := range tests {
		if got := ids(t, f.AppendCookies(nil, []byte(test.value)), FromCookie); !slices.Equal(got, test.want) {
			t.Errorf("AppendCookies(%q) = %q, want %q", test.value, got, test.want)
		}
	}
}

func TestAppendKeepsWhatIsThere(t *testing.T) {
	f := newTestFinder(t)
	all := f.AppendPath(nil, []byte("/;jsessionid=P.n1"))
	all = f.AppendCookies(all, []byte("JSESSIONID=C.n2"))
	all = f.AppendCookies(all, []byte("JSESSIONID=D.n3"))
	want := []string{"path P n1", "cookie C n2", "cookie D n3"}
	var got []string
	for _, c := range all {
		got = append(got, c.Source.String()+" "+string(c.Base())+" "+string(c.Route()))
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestTomcatOrder(t *testing.T) {
	tests := []struct {
		name, target, cookies string
		want                  []string
	}{
		{"nothing", "/", "", nil},
		{"a path", "/;jsessionid=P", "", []string{"P"}},
		{"two in the path, the last counts", "/;jsessionid=P/;jsessionid=Q", "", []string{"Q"}},
		{"a cookie wins over the path", "/;jsessionid=P", "JSESSIONID=C", []string{"C"}},
		{"cookies from left to right", "/;jsessionid=P", "JSESSIONID=C; JSESSIONID=D", []string{"C", "D"}},
		{"cookies only", "/", "JSESSIONID=C; JSESSIONID=D", []string{"C", "D"}},
	}
	f := newTestFinder(t)
	for _, test := range tests {
		all := f.AppendCookies(f.AppendPath(nil, []byte(test.target)), []byte(test.cookies))
		var got []string
		for _, c := range TomcatOrder(all) {
			got = append(got, string(c.ID))
		}
		if !slices.Equal(got, test.want) {
			t.Errorf("%s: TomcatOrder = %q, want %q", test.name, got, test.want)
		}
	}
}

func TestFindingAllocatesNothing(t *testing.T) {
	f := newTestFinder(t)
	target := []byte("/shop;jsessionid=ABC.node1/cart;x=1?q=1")
	cookies := []byte(`_ga=GA1.2.3; JSESSIONID=ABC-n1.node1; theme=dark; JSESSIONID="DEF.node2"`)
	setCookie := []byte("JSESSIONID=ABC.node1; Path=/shop; HttpOnly")
	all := make([]Candidate, 0, 8)
	buf := make([]byte, 0, 256)
	allocations := testing.AllocsPerRun(100, func() {
		all = f.AppendCookies(f.AppendPath(all[:0], target), cookies)
		for _, c := range TomcatOrder(all) {
			if len(c.Base()) == 0 || len(c.Route()) == 0 {
				t.Fatal("no base or no route")
			}
		}
		buf = StripPathParameters(buf[:0], target)
		buf, _ = f.RewriteSetCookie(buf[:0], setCookie, "node2")
		if f.SetCookieID(setCookie) == nil {
			t.Fatal("no id")
		}
	})
	if allocations != 0 {
		t.Errorf("%v allocations, want none", allocations)
	}
	if len(all) != 3 {
		t.Errorf("found %d ids, want 3", len(all))
	}
}

func FuzzFinder(f *testing.F) {
	f.Add([]byte("/a;jsessionid=ABC.node1/b;x=1?q#f"), []byte(`JSESSIONID="A.n1"; b=c, JSESSIONID=B`))
	f.Add([]byte("http://h;jsessionid=X/;jsessionid=Y"), []byte("XJSESSIONID=1; JSESSIONID =2"))
	finder := newTestFinder(f)
	f.Fuzz(func(t *testing.T, target, cookies []byte) {
		all := finder.AppendCookies(finder.AppendPath(nil, target), cookies)
		sawCookie := false
		for _, c := range all {
			if !Valid(c.ID) {
				t.Fatalf("%q is offered and not valid", c.ID)
			}
			in, name := target, ";jsessionid="
			if c.Source == FromCookie {
				in, name, sawCookie = cookies, "JSESSIONID", true
			} else if sawCookie {
				t.Fatalf("the path's %q comes after a cookie's", c.ID)
			}
			if !bytes.Contains(in, c.ID) || !bytes.Contains(in, []byte(name)) {
				t.Fatalf("%q is not in %q", c.ID, in)
			}
		}
		if tomcat := TomcatOrder(all); (len(tomcat) == 0) != (len(all) == 0) {
			t.Fatalf("Tomcat's order has %d of %d", len(tomcat), len(all))
		}
		// The path that is left must hold no id and must not change when it is stripped again.
		path := StripPathParameters(nil, target)
		if bytes.ContainsAny(path, ";?#") || len(finder.AppendPath(nil, path)) != 0 {
			t.Fatalf("%q is left of %q", path, target)
		}
	})
}

func BenchmarkFind(b *testing.B) {
	f := newTestFinder(b)
	target := []byte("/shop/cart/items?page=1")
	cookies := []byte("_ga=GA1.2.1234567890.1234567890; theme=dark; JSESSIONID=0C9F6E2B9D1E4A0B8C7D6E5F4A3B2C1D.node1; lang=en")
	all := make([]Candidate, 0, 8)
	b.ReportAllocs()
	for b.Loop() {
		all = f.AppendCookies(f.AppendPath(all[:0], target), cookies)
	}
	if len(all) != 1 {
		b.Fatalf("found %d ids, want 1", len(all))
	}
}
