package session

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestReaders(t *testing.T) {
	var r readers
	now := time.Unix(1000, 0)
	get, path := []byte("GET"), []byte("/shop/cart")
	want := func(what string, trusted bool) {
		t.Helper()
		if got := r.trusts(get, path); got != trusted {
			t.Errorf("%s: trusted %v, want %v", what, got, trusted)
		}
	}
	want("never seen", false)
	r.learn(get, path, lessonRead, now)
	want("only read", true)
	if r.trusts([]byte("POST"), path) || r.trusts(get, []byte("/shop")) {
		t.Error("another method or path is trusted too")
	}
	r.learn(get, path, lessonDoubt, now)
	want("perhaps changed", false)
	r.learn(get, path, lessonRead, now)
	want("only read again", true)
	r.learn(get, path, lessonChanged, now)
	want("changed", false)
	r.learn(get, path, lessonRead, now.Add(trustAfter-1))
	want("only read soon after a change", false)
	r.learn(get, path, lessonDoubt, now.Add(trustAfter-1))
	r.learn(get, path, lessonRead, now.Add(trustAfter))
	want("only read long after a change", true)

	long := []byte("/" + strings.Repeat("x", readersLength))
	r.learn(get, long, lessonRead, now)
	if r.trusts(get, long) {
		t.Error("a path over the limit is trusted")
	}
}

// Full of either kind it forgets, and never trusts by that what it has seen to change.
func TestReadersAreBounded(t *testing.T) {
	var r readers
	now := time.Unix(1000, 0)
	get := []byte("GET")
	for i := range 3 * readersMost {
		r.learn(get, fmt.Appendf(nil, "/r%d", i), lessonRead, now)
	}
	if n := len(r.trusted); n > readersMost {
		t.Errorf("%d paths are trusted, want at most %d", n, readersMost)
	}
	for i := range readersMost + 1 {
		r.learn(get, fmt.Appendf(nil, "/w%d", i), lessonChanged, now)
	}
	if n := len(r.changed); n > readersMost || n == 0 {
		t.Errorf("%d paths are known to change, want 1 to %d", n, readersMost)
	}
	if n := len(r.trusted); n != 0 {
		t.Errorf("%d paths are trusted after which of them change was forgotten, want none", n)
	}
}

func TestReadersDoNotAllocate(t *testing.T) {
	var r readers
	get, path := []byte("GET"), []byte("/shop/cart")
	now := time.Unix(1000, 0)
	r.learn(get, path, lessonRead, now)
	if n := testing.AllocsPerRun(100, func() {
		if !r.trusts(get, path) {
			t.Fatal("not trusted")
		}
		r.learn(get, path, lessonRead, now)
	}); n != 0 {
		t.Errorf("%v allocations for a path that is known, want 0", n)
	}
}
