package sessiontier

import (
	"bytes"
	"errors"
	"fmt"
	"testing"
	"time"
)

// newStores are the stores that the conformance test holds for.
var newStores = map[string]func(t *testing.T) store{
	"embedded": func(t *testing.T) store {
		start := time.Now()
		return newEmbedded(64<<20, func() time.Duration { return time.Since(start) })
	},
	"memcached": func(t *testing.T) store {
		return newMemcached(startMemcached(t).address(), time.Second, 4, time.Now)
	},
}

// TestStore is what every store must do.
func TestStore(t *testing.T) {
	for name, open := range newStores {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := open(t)
			t.Cleanup(s.close)
			for _, c := range storeCases {
				t.Run(c.name, func(t *testing.T) { c.run(t, s, "key-"+c.name) })
			}
		})
	}
}

var storeCases = []struct {
	name string
	run  func(t *testing.T, s store, key string)
}{
	{"miss", func(t *testing.T, s store, key string) {
		wantGet(t, s, key, "", errMiss)
	}},
	{"add", func(t *testing.T, s store, key string) {
		mustPut(t, s, key, "one", 0, token{})
		wantGet(t, s, key, "one", nil)
	}},
	{"add-over-value", func(t *testing.T, s store, key string) {
		mustPut(t, s, key, "one", 0, token{})
		wantPut(t, s, key, "two", token{}, errConflict)
		wantGet(t, s, key, "one", nil)
	}},
	{"replace-what-was-written", func(t *testing.T, s store, key string) {
		tok := mustPut(t, s, key, "one", 0, token{})
		tok = mustPut(t, s, key, "two", 0, tok)
		mustPut(t, s, key, "three", 0, tok)
		wantGet(t, s, key, "three", nil)
	}},
	{"replace-what-was-read", func(t *testing.T, s store, key string) {
		mustPut(t, s, key, "one", 0, token{})
		mustPut(t, s, key, "two", 0, wantGet(t, s, key, "one", nil))
		wantGet(t, s, key, "two", nil)
	}},
	{"replace-changed", func(t *testing.T, s store, key string) {
		old := mustPut(t, s, key, "one", 0, token{})
		mustPut(t, s, key, "two", 0, old)
		wantPut(t, s, key, "late", old, errConflict)
		wantGet(t, s, key, "two", nil)
	}},
	{"replace-gone", func(t *testing.T, s store, key string) {
		tok := mustPut(t, s, key, "one", 0, token{})
		if err := s.remove(key, tok); err != nil {
			t.Fatal(err)
		}
		wantPut(t, s, key, "late", tok, errConflict)
		wantGet(t, s, key, "", errMiss)
	}},
	{"same-value-again-is-a-change", func(t *testing.T, s store, key string) {
		old := mustPut(t, s, key, "one", 0, token{})
		mustPut(t, s, key, "one", 0, old)
		wantPut(t, s, key, "late", old, errConflict)
	}},
	{"remove", func(t *testing.T, s store, key string) {
		old := mustPut(t, s, key, "one", 0, token{})
		tok := mustPut(t, s, key, "two", 0, old)
		for _, bad := range []token{{}, old} {
			if err := s.remove(key, bad); !errors.Is(err, errConflict) {
				t.Fatalf("remove with another token: %v, want %v", err, errConflict)
			}
		}
		wantGet(t, s, key, "two", nil)
		if err := s.remove(key, tok); err != nil {
			t.Fatal(err)
		}
		wantGet(t, s, key, "", errMiss)
		if err := s.remove(key, tok); !errors.Is(err, errConflict) {
			t.Fatalf("remove twice: %v, want %v", err, errConflict)
		}
		mustPut(t, s, key, "again", 0, token{})
	}},
	{"expiry", func(t *testing.T, s store, key string) {
		begun := time.Now()
		mustPut(t, s, key, "short", 4*time.Second, token{})          // by memcached's clock, which ticks once a second, and late on a loaded machine
		mustPut(t, s, key+"-long", "long", 40*24*time.Hour, token{}) // over memcached's 30 days
		eventually(t, "the value expires", func() bool { _, _, err := s.get(key); return errors.Is(err, errMiss) })
		if lived := time.Since(begun); lived < time.Second {
			t.Errorf("a value for 4 s lived %v", lived)
		}
		wantGet(t, s, key+"-long", "long", nil)
		mustPut(t, s, key, "again", 0, token{})
	}},
	{"large", func(t *testing.T, s store, key string) {
		value := bytes.Repeat([]byte("0123456789"), 100_000)
		mustPut(t, s, key, string(value), 0, token{})
		wantGet(t, s, key, string(value), nil)
	}},
	{"too-large-keeps-the-old", func(t *testing.T, s store, key string) {
		tok := mustPut(t, s, key, "old", 0, token{})
		wantPut(t, s, key, string(make([]byte, s.maxValue(key)+1)), tok, errTooLarge)
		wantGet(t, s, key, "old", nil)
		mustPut(t, s, key, string(make([]byte, s.maxValue(key))), 0, tok)
	}},
	{"longest-key", func(t *testing.T, s store, key string) {
		k := Key{Pool: "p", App: "a", BaseID: string(bytes.Repeat([]byte("x"), maxBaseIDLength))}.storeKey()
		mustPut(t, s, k, "one", 0, token{})
		wantGet(t, s, k, "one", nil)
	}},
	{"value-got-is-the-callers", func(t *testing.T, s store, key string) {
		mustPut(t, s, key, "one", 0, token{})
		got, _, err := s.get(key)
		if err != nil {
			t.Fatal(err)
		}
		got[0] = 'X'
		wantGet(t, s, key, "one", nil)
	}},
	{"empty-value", func(t *testing.T, s store, key string) {
		mustPut(t, s, key, "", 0, token{})
		wantGet(t, s, key, "", nil)
	}},
	{"one-of-many-wins", func(t *testing.T, s store, key string) {
		tok := mustPut(t, s, key, "start", 0, token{})
		const writers = 8
		won := make(chan error, writers)
		for i := range writers {
			go func() {
				_, err := s.put(key, fmt.Append(nil, i), 0, tok)
				won <- err
			}()
		}
		wins := 0
		for range writers {
			switch err := <-won; {
			case err == nil:
				wins++
			case !errors.Is(err, errConflict):
				t.Error(err)
			}
		}
		if wins != 1 {
			t.Errorf("%d of %d writers replaced the same value, want 1", wins, writers)
		}
	}},
	{"ping", func(t *testing.T, s store, key string) {
		if err := s.ping(); err != nil {
			t.Fatal(err)
		}
	}},
	{"~closed", func(t *testing.T, s store, key string) { // last: the order is that of this list
		s.close()
		wantGet(t, s, key, "", errDown)
		wantPut(t, s, key, "x", token{}, errDown)
		if err := s.ping(); !errors.Is(err, errDown) {
			t.Errorf("ping: %v, want %v", err, errDown)
		}
	}},
}

func mustPut(t *testing.T, s store, key, value string, life time.Duration, old token) token {
	t.Helper()
	tok, err := s.put(key, []byte(value), life, old)
	if err != nil {
		t.Fatal(err)
	}
	if tok.isZero() {
		t.Fatal("put returned the zero token")
	}
	return tok
}

func wantPut(t *testing.T, s store, key, value string, old token, want error) {
	t.Helper()
	if _, err := s.put(key, []byte(value), 0, old); !errors.Is(err, want) {
		t.Fatalf("put: error %v, want %v", err, want)
	}
}

func wantGet(t *testing.T, s store, key, value string, want error) token {
	t.Helper()
	got, tok, err := s.get(key)
	if !errors.Is(err, want) || string(got) != value {
		t.Fatalf("get: %d bytes %.20q, error %v; want %.20q, error %v", len(got), got, err, value, want)
	}
	return tok
}
