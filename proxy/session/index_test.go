package session

import (
	"fmt"
	"testing"
	"time"
)

func TestContextPath(t *testing.T) {
	for app, want := range map[string]string{
		"localhost/shop": "/shop", "localhost/a/b": "/a/b", "localhost/": "", "localhost": "", "/": "", "/shop": "/shop",
	} {
		if got := contextPath(app); got != want {
			t.Errorf("contextPath(%q) = %q, want %q", app, got, want)
		}
	}
}

// The index must never take one app's session for another's: when it cannot be
// certain which app answers a path, it knows nothing.
func TestFindNamesTheRightApp(t *testing.T) {
	x, now := newIndex(), time.Unix(1000, 0)
	for _, app := range []string{"h/", "h/shop", "h/shop/admin"} {
		x.update(Key{App: app, BaseID: "A"}, now, func(k *known) { k.stored = Version{1, 1} })
	}
	x.update(Key{App: "h/shop", BaseID: "B"}, now, func(*known) {})
	for _, tc := range []struct {
		base, path, app string
		certain         bool
	}{
		{"A", "/", "h/", true}, {"A", "/x", "h/", true}, {"A", "/shopping", "h/", true}, {"A", "/shop", "h/shop", true}, {"A", "/shop/x", "h/shop", true},
		{"A", "/shop/admin", "h/shop/admin", true}, {"A", "/shop/admin/x", "h/shop/admin", true}, {"A", "/shop/administration", "h/shop", true},
		{"A", "/shop/../x", "", false}, {"A", "/shop//x", "", false}, {"A", "/%73hop/x", "", false}, {"A", "/shop/./x", "", false}, {"A", `/shop\x`, "", false},
		{"B", "/shop/x", "h/shop", true}, {"B", "/x", "", false}, {"B", "/shop/admin/x", "", false}, {"C", "/shop/x", "", false},
		{"A", "/unseen/x", "h/", false}, {"A", "/x/", "h/", false}, {"A", "", "h/", false},
	} {
		k, certain, ok := x.find([]byte(tc.base), []byte(tc.path), now)
		if k.app != tc.app || certain != tc.certain || ok != (tc.app != "") {
			t.Errorf("find(%s, %s) = %q, %v, %v; want %q, %v", tc.base, tc.path, k.app, certain, ok, tc.app, tc.certain)
		}
	}
}

func TestIndexIsBounded(t *testing.T) {
	x := newIndex()
	for i := range maxIndexed + 1000 {
		x.update(Key{App: "/", BaseID: fmt.Sprint(i)}, time.Unix(int64(i), 0), func(*known) {})
	}
	if n := x.size(); n > maxIndexed {
		t.Errorf("the index holds %d sessions, wanted at most %d", n, maxIndexed)
	}
	if _, ok := x.get(Key{App: "/", BaseID: fmt.Sprint(maxIndexed + 999)}); !ok {
		t.Error("the newest session was forgotten")
	}
}

func TestForget(t *testing.T) {
	x, now := newIndex(), time.Unix(0, 0)
	x.update(Key{App: "h/a", BaseID: "A"}, now, func(*known) {})
	x.update(Key{App: "h/b", BaseID: "A"}, now, func(*known) {})
	x.forget(Key{App: "h/a", BaseID: "A"})
	if _, ok := x.get(Key{App: "h/a", BaseID: "A"}); ok {
		t.Error("a forgotten session is still known")
	}
	if _, ok := x.get(Key{App: "h/b", BaseID: "A"}); !ok {
		t.Error("another app's session was forgotten too")
	}
	x.forget(Key{App: "h/b", BaseID: "A"})
	if x.size() != 0 {
		t.Error("an empty entry stayed")
	}
}
