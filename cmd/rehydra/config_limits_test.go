package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestBadLimits(t *testing.T) {
	for _, tc := range []struct {
		document string
		want     string // in the problems
	}{
		{"[server]\nmax_uri_bytes = 10\n" + plainPool, `x.toml:2: server.max_uri_bytes: given 10, wanted 64 to 1048576`},
		{"[server]\nmax_connections = -1\n" + plainPool, `x.toml:2: server.max_connections: given -1, wanted 0 to 10000000`},
		{"[server]\nmax_connections = 5\nmax_connections_per_client = 6\n" + plainPool,
			`x.toml:3: server.max_connections_per_client: given 6, wanted at most server.max_connections, 5`},
		{"[server]\nmax_requests_per_connection = -1\n" + plainPool, `x.toml:2: server.max_requests_per_connection: given -1, wanted 0 to 1000000000`},
		{"[server]\nmax_body_bytes = \"1 GB\"\n" + plainPool, `x.toml:2: server.max_body_bytes: given "1 GB", wanted a number of bytes`},
		{plainPool + "[pool.retry]\nbudget_percent = 101\n", `pool.retry.budget_percent: given 101, wanted 0 to 100`},
		{plainPool + "[pool.retry]\nbudget_minimum = -1\n", `pool.retry.budget_minimum: given -1, wanted 0 to 1000000`},
		{plainPool + "[pool.retry]\nbody_bytes = \"65MiB\"\n", `pool.retry.body_bytes: given 68157440, wanted at most "64MiB"`},
		{plainPool + "[pool.timeout]\ntunnel = \"0s\"\n", `pool.timeout.tunnel: given 0s, wanted a duration over 0`},
		{"[server]\nerror_pages = \"/never/there\"\n" + plainPool, `x.toml:2: server.error_pages: given "/never/there" (no such file or directory), wanted a folder`},
	} {
		_, _, err := ParseConfig("x.toml", tc.document)
		var problems Problems
		if !errors.As(err, &problems) || len(problems) != 1 || !strings.Contains(problems.Error(), tc.want) {
			t.Errorf("%s: got %v, wanted %q", tc.document, err, tc.want)
		}
	}
}

// A pool that says nothing has the server's limit, and 0 is no limit.
func TestBodyLimitOfPools(t *testing.T) {
	cfg, _, err := ParseConfig("x.toml", "[server]\nmax_body_bytes = \"1MiB\"\n[[pool]]\nname = \"a\"\nmatch = [\"/a/*\"]\n[[pool.backend]]\nroute = \"n\"\nurl = \"http://h\"\n"+
		"[[pool]]\nname = \"b\"\nmatch = [\"/b/*\"]\nmax_body_bytes = 0\n[[pool.backend]]\nroute = \"n\"\nurl = \"http://h\"\n")
	if err != nil {
		t.Fatal(err)
	}
	if a, b := cfg.Pools[0].MaxBodyBytes, cfg.Pools[1].MaxBodyBytes; a != 1<<20 || b != 0 {
		t.Errorf("the limits are %d and %d, wanted the server's 1048576 and none", a, b)
	}
}

func TestConnectionsFor(t *testing.T) {
	for descriptors, want := range map[uint64]int{0: 8, 64: 8, 1024: 480, 20000: 9968, 1 << 62: 10000000} {
		if got := connectionsFor(descriptors); got != want {
			t.Errorf("%d descriptors are enough for %d, wanted %d", descriptors, got, want)
		}
	}
}

func TestErrorPagesAreRead(t *testing.T) {
	folder := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	file := filepath.Join(filepath.Dir(folder), "x.toml")
	document := "[server]\nerror_pages = \"" + filepath.Base(folder) + "\"\n" + plainPool
	write("logo.svg", "<svg/>")
	write("200.html", "never")
	if _, _, err := ParseConfig(file, document); err == nil || !strings.Contains(err.Error(), "in which there is no page") {
		t.Errorf("a folder without a page: %v", err)
	}
	write("503.html", "closed")
	cfg, _, err := ParseConfig(file, document)
	if err != nil {
		t.Fatal(err)
	}
	if len(cfg.Server.Pages) != 1 || string(cfg.Server.Pages[503]) != "closed" {
		t.Errorf("the pages are %v", cfg.Server.Pages)
	}
	write("502.html", strings.Repeat("x", mostPage+1))
	if _, _, err := ParseConfig(file, document); err == nil || !strings.Contains(err.Error(), "502.html has 262145 bytes") {
		t.Errorf("a page that is too long: %v", err)
	}
}
