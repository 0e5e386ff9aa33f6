package main

import (
	"reflect"
	"testing"
	"time"

	"rehydra/proxy/session"
)

// Keys of non-sticky mode that do nothing are allowed, and said.
func TestLockWarnings(t *testing.T) {
	for name, tc := range map[string]struct {
		lines string
		want  []string
	}{
		"sticky":            {"lock = \"all\"\n", []string{"session.lock"}},
		"sticky by default": {"", nil},
		"a pattern for all": {"mode = \"non-sticky\"\nlock = \"all\"\nlock_pattern = '^/a'\n", []string{"session.lock_pattern"}},
		"a pattern":         {"mode = \"non-sticky\"\nlock = \"pattern\"\nlock_pattern = '^/a'\n", nil},
	} {
		t.Run(name, func(t *testing.T) {
			_, warnings, err := ParseConfig("x.toml", "[session]\ntoken = \"t\"\n"+tc.lines+goodStore+plainPool)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, w := range warnings {
				got = append(got, w.Key)
			}
			if !reflect.DeepEqual(got, tc.want) {
				t.Errorf("warnings of %q, want %q", got, tc.want)
			}
		})
	}
}

func TestLockKeysReachTheTier(t *testing.T) {
	cfg, _, err := ParseConfig("x.toml", `[session]
token = "t"
mode = "non-sticky"
lock = "pattern"
lock_pattern = '^/a'
lock_timeout = "70ms"
lock_failure = "go-on"
lock_expiry = "3s"
`+goodStore+plainPool)
	if err != nil {
		t.Fatal(err)
	}
	c, err := tierConfig(&cfg, &cfg.Pools[0], nil)
	if err != nil {
		t.Fatal(err)
	}
	if !c.NonSticky || c.Lock != session.LockPattern || c.LockPattern.String() != "^/a" || c.LockTimeout != 70*time.Millisecond ||
		!c.LockGoOn || c.LockExpiry != 3*time.Second {
		t.Errorf("the tier has %+v", c)
	}
}
