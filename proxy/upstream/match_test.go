package upstream

import (
	"io"
	"net/url"
	"path"
	"strings"
	"testing"

	"github.com/rs/zerolog"
)

func TestMatch(t *testing.T) {
	var configs []Config
	for name, patterns := range map[string]string{
		"all":       "",
		"host":      "shop.example.com/*",
		"hostCart":  "shop.example.com/cart/*",
		"hostExact": "shop.example.com/cart",
		"wild":      "*.example.com/*",
		"deepWild":  "*.eu.example.com/*",
		"shop":      "/shop/*",
		"shopAdmin": "/shop/admin/*",
		"one":       "/favicon.ico",
		"bare":      "bare.example.org",
		"v6":        "[::1]/*",
		"two":       "/a/* /b/*",
		"umlaut":    "/%C3%BC/*",
		"onlyPath":  "other.example.org/x/*",
		"slash":     "/slash/",
	} {
		configs = append(configs, Config{Name: name, Match: strings.Fields(patterns), Backends: nodes("n1")})
	}
	tab := table(t, io.Discard, nil, configs...)
	for _, tc := range []struct{ host, path, want string }{
		{"shop.example.com", "/", "host"},
		{"SHOP.Example.COM:8080", "/x", "host"},
		{"shop.example.com.", "/x", "host"},
		{"shop.example.com", "/cart", "hostExact"},
		{"shop.example.com", "/cart/", "hostCart"},
		{"shop.example.com", "/cart/1", "hostCart"},
		{"shop.example.com", "/carts", "host"},
		{"shop.example.com", "/shop/x", "host"},
		{"www.example.com", "/shop/x", "wild"},
		{"a.b.example.com", "/", "wild"},
		{"a.eu.example.com", "/", "deepWild"},
		{"eu.example.com", "/", "wild"},
		{"example.com", "/", "all"},
		{".example.com", "/", "all"},
		{"badexample.com", "/", "all"},
		{"bare.example.org", "/any", "bare"},
		{"[::1]:8080", "/any", "v6"},
		{"[::1]", "/any", "v6"},
		{"other.example.org", "/x/1", "onlyPath"},
		{"other.example.org", "/shop/1", "shop"},
		{"", "/shop", "shop"},
		{"h", "/shop/", "shop"},
		{"h", "/shop/x", "shop"},
		{"h", "/shopping", "all"},
		{"h", "/shop?a=/admin", "shop"},
		{"h", "/shop;jsessionid=A.n1", "shop"},
		{"h", "/shop;jsessionid=A.n1/admin;x=/..", "shop"},
		{"h", "/shop/admin;p/x", "shopAdmin"},
		{"h", "/shop/x/../admin/y", "shopAdmin"},
		{"h", "/shop/%2e%2E/shop/admin/y", "shopAdmin"},
		{"h", "/shop/..;x=y/shop/admin", "shopAdmin"},
		{"h", "//shop///admin/./", "shopAdmin"},
		{"h", "/shop/%61dmin/", "shopAdmin"},
		{"h", "/shop/%2561dmin/", "shop"},
		{"h", "/shop/../x", "all"},
		{"h", "/../../shop/x", "shop"},
		{"h", "/x%2fshop", "all"},
		{"h", "/shop%2Fadmin", "all"},
		{"h", "/shop/admin/..", "shop"},
		{"h", "/SHOP/", "all"},
		{"h", "/\xc3\xbc/x", "umlaut"},
		{"h", "/%c3%bc/x", "umlaut"},
		{"h", "/favicon.ico", "one"},
		{"h", "/favicon.ico/x", "all"},
		{"h", "/b", "two"},
		{"h", "/slash/", "slash"},
		{"h", "/slash", "all"},
		{"h", "*", "all"},
		{"h", "", "all"},
		{"h", "/shop/" + strings.Repeat("x/../", 300) + "admin/1", "shopAdmin"},
		{strings.Repeat("A", 300) + ".example.com", "/", "wild"},
	} {
		p := tab.Match([]byte(tc.host), []byte(tc.path))
		if p == nil || p.Name() != tc.want {
			t.Errorf("Match(%q, %q) = %v, want %s", tc.host, tc.path, p, tc.want)
		}
	}
}

func TestMatchNothing(t *testing.T) {
	tab := table(t, io.Discard, nil, Config{Name: "p", Match: []string{"h/a/*"}, Backends: nodes("n1")})
	for _, c := range [][2]string{{"h", "/"}, {"h", "/b"}, {"g", "/a"}, {"", ""}} {
		if p := tab.Match([]byte(c[0]), []byte(c[1])); p != nil {
			t.Errorf("Match(%q, %q) = %s, want none", c[0], c[1], p.Name())
		}
	}
}

func TestBadPatterns(t *testing.T) {
	for pattern, want := range map[string]string{
		"":                   "empty",
		"/shop|/*":           "| ;",
		"/a b/*":             "blank",
		"/*.jsp":             "last segment",
		"/shop*":             "last segment",
		"/*/x":               "last segment",
		"*":                  "host is not a name",
		"sh*p.example.com/*": "host is not a name",
		"*.*.com/*":          "host is not a name",
		"*./x":               "host is not a name",
		".example.com/*":     "host is not a name",
		"*..com":             "host is not a name",
		"h:8080/*":           "port",
		"[::1]:80/*":         "port",
		"h/x?y":              "blank or one of",
	} {
		_, err := NewTable([]Config{{Name: "p", Match: []string{pattern}, Backends: nodes("n1")}}, nil, zerolog.Nop())
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "wanted") {
			t.Errorf("pattern %q: error %v, want one that says %q and what is wanted", pattern, err, want)
		}
	}
}

func TestPlainPath(t *testing.T) {
	for in, want := range map[string]string{
		"/":             "/",
		"":              "/",
		"*":             "/",
		"/a/b":          "/a/b",
		"/a//b":         "/a/b",
		"/a/./b/.":      "/a/b/",
		"/a/b/..":       "/a/",
		"/a/b/../":      "/a/",
		"/..":           "/",
		"/../..//x":     "/x",
		"/.a/..b/c.":    "/.a/..b/c.",
		"/a;x/b;y=/..;": "/a/",
		"/;x":           "/",
		"/%":            "/%",
		"/%4":           "/%4",
		"/%zz%41":       "/%zzA",
		"/%2F%2f":       "/%2F%2f",
		"/a%3Bb":        "/a;b",
		"/%252e%252e/a": "/%2e%2e/a",
		"/a#b":          "/a",
		"/%2e%2e%2fa/b": "/..%2fa/b",
	} {
		if got := string(plainPath(nil, []byte(in))); got != want {
			t.Errorf("plainPath(%q) = %q, want %q", in, got, want)
		}
	}
}

// FuzzPlainPath compares with the standard library's way to do the same.
func FuzzPlainPath(f *testing.F) {
	for _, s := range []string{"/", "/a/../b", "/%2e%2e/x;y/z", "//a/./b?c", "/;/..;/", "/a%2fb/..", "/%41%zz"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		before := string(in)
		got := string(plainPath(nil, in))
		if string(in) != before {
			t.Fatalf("plainPath changed its argument %q to %q", before, in)
		}
		if want := plainPathBySteps(before); got != want {
			t.Errorf("plainPath(%q) = %q, want %q", before, got, want)
		}
	})
}

func plainPathBySteps(in string) string {
	if !strings.HasPrefix(in, "/") {
		return "/"
	}
	if i := strings.IndexAny(in, "?#"); i >= 0 {
		in = in[:i]
	}
	segments := strings.Split(in, "/")
	for i, s := range segments {
		s, _, _ = strings.Cut(s, ";")
		var b strings.Builder
		for len(s) > 0 {
			n := 1
			if len(s) > 2 && s[0] == '%' && !strings.EqualFold(s[:3], "%2f") {
				if d, err := url.PathUnescape(s[:3]); err == nil {
					b.WriteString(d)
					s = s[3:]
					continue
				}
			}
			b.WriteString(s[:n])
			s = s[n:]
		}
		segments[i] = b.String()
	}
	last := segments[len(segments)-1]
	out := path.Clean("/" + strings.Join(segments, "/"))
	if (last == "" || last == "." || last == "..") && out != "/" {
		out += "/"
	}
	return out
}

// FuzzPattern holds that a pattern that is accepted finds its pool by its own host and path.
func FuzzPattern(f *testing.F) {
	for _, s := range []string{"/*", "/shop/*", "shop.example.com/a", "*.example.com/*", "h", "[::1]/x", "/%2e%2e/x/*", "/a//b/", "/%3f"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		pool := &Pool{}
		m := matcher{exact: make(map[string]rules), wildcard: make(map[string]rules)}
		if err := m.add(text, pool); err != nil {
			return
		}
		host, rest, _ := strings.Cut(text, "/")
		host = strings.Replace(host, "*.", "any.", 1)
		paths := []string{"/" + rest}
		if prefix, ok := strings.CutSuffix(paths[0], "/*"); ok {
			paths = append(paths, prefix, prefix+"/", prefix+"/x")
		}
		for _, path := range paths {
			if m.match([]byte(host), []byte(path)) != pool {
				t.Errorf("pattern %q does not match host %q and path %q", text, host, path)
			}
		}
	})
}
