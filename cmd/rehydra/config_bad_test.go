package main

import (
	"errors"
	"strings"
	"testing"
)

// goodStore is a valid [store].
const goodStore = "[store]\nnodes = [\"n1=h:1\"]\n"

func TestBadInput(t *testing.T) {
	const listenWanted = `wanted "host:port" with a port from 0 to 65535, such as "127.0.0.1:8080"`
	const durationWanted = `wanted a duration such as "250ms", "2s" or "1m30s"`
	const nodeWanted = `wanted "name=host:port", such as "n1=127.0.0.1:11211"; the name of letters, digits, "-" and "_"`
	const urlWanted = `wanted "http://host:port" or "https://host:port" without user, path or query`
	pool := func(s string) string { return "[[pool]]\n" + s + strings.TrimPrefix(plainPool, "[[pool]]\n") }
	backend := func(s string) string { return plainPool + s }
	tests := []struct {
		name, document string
		want           []string // whole problems without "x.toml:"
	}{
		// The file.
		{"empty", "", []string{"1: pool: given nothing, wanted at least one [[pool]]"}},
		{"syntax", "[server\n", []string{`2: given expected '.' or ']' to end table name, but got '\n' instead, wanted TOML 1.0 (https://toml.io)`}},
		{"a key twice", "[log]\nlevel = \"info\"\nlevel = \"warn\"\n",
			[]string{`3: log.level: given Key 'log.level' has already been defined., wanted TOML 1.0 (https://toml.io)`}},
		{"unknown table", "[sesion]\nx = 1\n" + plainPool,
			[]string{"1: sesion: given an unknown key, wanted one of admin, log, pool, server, session, store"}},
		{"unknown key", "[log]\n\nlvl = \"info\"\n" + plainPool,
			[]string{"3: log.lvl: given an unknown key, wanted one of access, format, level, output"}},
		{"a key's case counts", "[log]\nLevel = \"info\"\n" + plainPool,
			[]string{"2: log.Level: given an unknown key, wanted one of access, format, level, output"}},
		{"unknown key at the top", "x = 1\n" + plainPool,
			[]string{"1: x: given an unknown key, wanted one of admin, log, pool, server, session, store"}},
		{"unknown key of the second backend", backend("[[pool.backend]]\nroute = \"node2\"\nurl = \"http://h\"\nwieght = 2\n"),
			[]string{"8: pool.backend.wieght: given an unknown key, wanted one of activation, distance, domain, redirect, route, url, weight"}},
		// Types.
		{"wrong types", "[server]\nlisten = \"x\"\ndrain_timeout = 30\nmax_header_count = \"many\"\n[log]\naccess = \"yes\"\nlevel = 1.5\n" + plainPool, []string{
			`2: server.listen: given "x", wanted a list of strings`,
			"3: server.drain_timeout: given 30 (an integer), " + durationWanted,
			`4: server.max_header_count: given "many", wanted an integer`,
			`6: log.access: given "yes", wanted true or false`,
			"7: log.level: given 1.5 (a number with a point), wanted a string"}},
		{"wrong tables", "log = true\nsession = [1]\nstore = 1979-05-27\npool = {}\n", []string{
			"1: log: given true (a boolean), wanted a table", "2: session: given a list, wanted a table",
			"3: store: given a date, wanted a table", "4: pool: given a table, wanted a list of tables"}},
		{"an element's type", "[server]\nlisten = [1, \"127.0.0.1:0\"]\n" + plainPool, []string{"2: server.listen: given 1 (an integer), wanted a string"}},
		{"pools that are no tables", "pool = [1]\n", []string{
			"1: pool: given 1 (an integer), wanted a table"}},
		// [server], [admin], [log].
		{"addresses", "[server]\nlisten = [\"\", \"8080\", \":99999\", \"a b:1\", \"h:http\", \"::1:80\"]\n" + plainPool, []string{
			`2: server.listen: given "", ` + listenWanted, `2: server.listen: given "8080", ` + listenWanted,
			`2: server.listen: given ":99999", ` + listenWanted, `2: server.listen: given "a b:1", ` + listenWanted,
			`2: server.listen: given "h:http", ` + listenWanted, `2: server.listen: given "::1:80", ` + listenWanted}},
		{"sockets of systemd", "[server]\nlisten = [\"systemd:\", \"systemd:a:0\", \"systemd:a\", \"systemd:a\"]\n" + plainPool, []string{
			`2: server.listen: given "systemd:", wanted "systemd:NAME" with the FileDescriptorName= of a socket unit`,
			`2: server.listen: given "systemd:a:0", wanted "systemd:NAME" with the FileDescriptorName= of a socket unit`}},
		{"no address", "[server]\nlisten = []\n" + plainPool, []string{`2: server.listen: given no address, wanted at least one "host:port"`}},
		{"an address twice", "[server]\nlisten = [\"h:1\", \"h:1\", \"h:0\", \"h:0\"]\n[admin]\nlisten = \"h:1\"\n" + plainPool, []string{
			`2: server.listen: given "h:1" twice, wanted different addresses`,
			`4: admin.listen: given "h:1", which server.listen holds too, wanted an address of its own`}},
		{"admin", "[admin]\nlisten = \"x\"\n" + plainPool, []string{`2: admin.listen: given "x", ` + listenWanted}},
		{"durations", "[server]\ndrain_timeout = \"0s\"\nheader_timeout = \"-1s\"\nbody_timeout = \"1 minute\"\nkeep_alive_timeout = \"\"\n" + plainPool, []string{
			"2: server.drain_timeout: given 0s, wanted a duration over 0", "3: server.header_timeout: given -1s, wanted a duration over 0",
			`4: server.body_timeout: given "1 minute", ` + durationWanted, `5: server.keep_alive_timeout: given "", ` + durationWanted}},
		{"limits", "[server]\nmax_header_bytes = 100\nmax_header_count = 0\n" + plainPool, []string{
			"2: server.max_header_bytes: given 100, wanted 1024 to 1048576", "3: server.max_header_count: given 0, wanted 1 to 10000"}},
		{"log", "[log]\nformat = \"text\"\nlevel = \"warning\"\noutput = \"\"\n" + plainPool, []string{
			`2: log.format: given "text", wanted "json" or "console"`,
			`3: log.level: given "warning", wanted "debug" or "info" or "warn" or "error"`,
			`4: log.output: given "", wanted "stderr" or a file's path`}},
		// [session].
		{"names", "[session]\ncookie = \"a b\"\npath_parameter = \"a;b\"\n" + plainPool, []string{
			`2: session.cookie: given "a b", wanted a cookie's name (letters, digits and !#$%&'*+-.^_` + "`|~)",
			`3: session.path_parameter: given "a;b", wanted letters, digits and -._~, or "" for none`}},
		{"no cookie", "[session]\ncookie = \"\"\n" + plainPool, []string{
			`2: session.cookie: given "", wanted a cookie's name (letters, digits and !#$%&'*+-.^_` + "`|~)"}},
		{"choices", "[session]\nsave = \"snyc\"\nsave_failure = \"503\"\nlookup_failure = \"old\"\nmode = \"x\"\nlock = \"x\"\n" + plainPool, []string{
			`2: session.save: given "snyc", wanted "sync" or "async"`, `3: session.save_failure: given "503", wanted "respond" or "fail"`,
			`4: session.lookup_failure: given "old", wanted "new" or "refuse"`, `5: session.mode: given "x", wanted "sticky" or "non-sticky"`,
			`6: session.lock: given "x", wanted "none" or "all" or "auto" or "pattern"`}},
		{"locks", "[session]\nlock_timeout = \"0s\"\nlock_failure = \"wait\"\nlock_expiry = \"900ms\"\nlock_pattern = '(a'\n" + plainPool, []string{
			"2: session.lock_timeout: given 0s, wanted a duration over 0", `3: session.lock_failure: given "wait", wanted "refuse" or "go-on"`,
			`4: session.lock_expiry: given 900ms, wanted at least "1s"`,
			"5: session.lock_pattern: given \"(a\", wanted a regular expression (RE2): error parsing regexp: missing closing ): `(a`"}},
		{"non-sticky without a tier, and later", "[session]\nmode = \"non-sticky\"\nsave = \"async\"\nlock = \"pattern\"\n" + plainPool, []string{
			`1: session.lock_pattern: given nothing, wanted a regular expression (RE2), for session.lock = "pattern"`,
			`2: session.mode: given "non-sticky" without a session tier, wanted session.token and [store] beside it: every backend gets the sessions from there`,
			`3: session.save: given "async", wanted "sync", for session.mode = "non-sticky": the next request may need the state elsewhere at once`}},
		{"an empty lock pattern", "[session]\ntoken = \"t\"\nmode = \"non-sticky\"\nlock = \"pattern\"\nlock_pattern = ''\n" + goodStore + plainPool, []string{
			`5: session.lock_pattern: given "", wanted a regular expression (RE2), for session.lock = "pattern"`}},
		{"a key file that is not there", "[session]\ntoken = \"t\"\n" + goodStore + "seal_key_file = \"keys\"\n" + plainPool, []string{
			"5: store.seal_key_file: given \"keys\", which cannot be used: cannot read key file: stat keys: no such file or directory, wanted a file with mode 0600 and a line `<key id> <base64 of 32 bytes>` for each key, as rehydra keygen writes it"}},
		{"sealing", "[session]\ntoken = \"t\"\n" + goodStore + "sealing = \"on\"\n" + plainPool, []string{
			`5: store.sealing: given "on", wanted "strict" or "adopt" or "off"`}},
		{"sealing without keys", "[session]\ntoken = \"t\"\n" + goodStore + "sealing = \"adopt\"\n" + plainPool, []string{
			`5: store.sealing: given "adopt" without store.seal_key_file, wanted store.seal_key_file beside it`}},
		{"numbers", "[session]\nsave_timeout = \"0s\"\nrestore_timeout = \"-2s\"\nasync_queue = 0\ninline_limit = -1\nmax_state = 0\n" + plainPool, []string{
			"2: session.save_timeout: given 0s, wanted a duration over 0", "3: session.restore_timeout: given -2s, wanted a duration over 0",
			"4: session.async_queue: given 0, wanted 1 to 10000000", "5: session.inline_limit: given -1, wanted 0 to 65536",
			"6: session.max_state: given 0, wanted 1 to 134217728"}},
		{"inline over max", "[session]\ninline_limit = 2000\nmax_state = 1000\n" + plainPool, []string{
			"2: session.inline_limit: given 2000, wanted at most session.max_state, 1000"}},
		{"a regular expression", "[session]\nignore = '(a'\n" + plainPool, []string{
			"2: session.ignore: given \"(a\", wanted a regular expression (RE2): error parsing regexp: missing closing ): `(a`"}},
		// The tier.
		{"a store without a token", "\n" + goodStore + plainPool, []string{
			"2: session.token: given nothing, wanted " + wantedToken + " (or session.token_file): the session tier is on because of store"}},
		{"a store without a token, with [session]", goodStore + "[session]\nsave = \"sync\"\n" + plainPool, []string{
			"3: session.token: given nothing, wanted " + wantedToken + " (or session.token_file): the session tier is on because of store"}},
		{"an empty token", "[session]\ntoken = \"\"\n" + goodStore + plainPool, []string{
			"2: session.token: given nothing, wanted " + wantedToken + " (or session.token_file): the session tier is on because of session.token"}},
		{"a token without nodes", "[session]\ntoken = \"t\"\n" + plainPool, []string{
			`2: store.nodes: given nothing, wanted at least one "name=host:port" (or store.kind = "embedded"): the session tier is on because of session.token`}},
		{"a pool's token and one without", goodStore + "[[pool]]\ntoken = \"t\"\n[[pool.backend]]\nroute = \"n1\"\nurl = \"http://h\"\n[[pool]]\nname = \"b\"\nmatch = [\"/b/*\"]\n[[pool.backend]]\nroute = \"n1\"\nurl = \"http://h\"\n", []string{
			"1: session.token: given nothing, wanted " + wantedToken + " (or session.token_file): the session tier is on because of store"}},
		{"a pool's token without nodes", pool("token = \"t\"\n"), []string{
			`2: store.nodes: given nothing, wanted at least one "name=host:port" (or store.kind = "embedded"): the session tier is on because of pool.token`}},
		{"a bad token", "[session]\ntoken = \"…\"\n" + goodStore + plainPool, []string{
			"2: session.token: given a token whose byte 1 is not a printable ASCII character, wanted " + wantedToken}},
		{"a long token", "[session]\ntoken = \"" + strings.Repeat("x", 513) + "\"\n" + goodStore + plainPool, []string{
			"2: session.token: given a token of 513 bytes, wanted " + wantedToken}},
		{"a pool's two tokens", goodStore + pool("token = \"t\"\ntoken_file = \"t\"\n"), []string{
			"5: pool.token_file: given a file and pool.token too, wanted one of them"}},
		// [store].
		{"nodes", "[session]\ntoken = \"t\"\n[store]\nnodes = [\"n1\", \"=h:1\", \"n1=h\", \"n1=h:0\", \"n 1=h:1\", \"n1=:1\", 5]\n" + plainPool, []string{
			`4: store.nodes: given "n1", ` + nodeWanted, `4: store.nodes: given "=h:1", ` + nodeWanted,
			`4: store.nodes: given "n1=h", ` + nodeWanted, `4: store.nodes: given "n1=h:0", ` + nodeWanted,
			`4: store.nodes: given "n 1=h:1", ` + nodeWanted, `4: store.nodes: given "n1=:1", ` + nodeWanted,
			`4: store.nodes: given 5 (an integer), ` + nodeWanted}},
		{"nodes twice", "[session]\ntoken = \"t\"\n[store]\nnodes = [\"n1=h:1\", \"n1=h:2\", \"n2=h:1\"]\n" + plainPool, []string{
			`4: store.nodes: given the name "n1" twice, wanted a name of its own for each node`,
			`4: store.nodes: given the address "h:1" twice, wanted an address of its own for each node`}},
		{"failover_only", "[session]\ntoken = \"t\"\n" + goodStore + "failover_only = [\"n2\", \"n2\"]\n" + plainPool, []string{
			`5: store.failover_only: given "n2", wanted names of store.nodes`, `5: store.failover_only: given "n2", wanted names of store.nodes`,
			`5: store.failover_only: given "n2" twice, wanted each name once`,
			"5: store.failover_only: given every node, wanted at least one node left that is always used"}},
		{"copies", "[session]\ntoken = \"t\"\n" + goodStore + "copies = 2\n" + plainPool, []string{
			"5: store.copies: given 2, wanted at most 1, the number of store.nodes"}},
		{"no copies", "[session]\ntoken = \"t\"\n" + goodStore + "copies = 0\n" + plainPool, []string{"5: store.copies: given 0, wanted at least 1"}},
		{"store numbers", "[session]\ntoken = \"t\"\n" + goodStore + "kind = \"redis\"\ntimeout = \"0s\"\nretry = \"0s\"\nembedded_bytes = \"1MB\"\n" + plainPool, []string{
			`5: store.kind: given "redis", wanted "memcached" or "embedded"`, "6: store.timeout: given 0s, wanted a duration over 0",
			"7: store.retry: given 0s, wanted a duration over 0", `8: store.embedded_bytes: given "1MB", wanted a number of bytes, such as 268435456 or "256MiB"`}},
		{"a heal rate", "[session]\ntoken = \"t\"\n" + goodStore + "heal_rate = -1\n" + plainPool, []string{
			`5: store.heal_rate: given -1, wanted 1 to 1000000 sessions a second, or 0 for no healing`}},
		{"a small store", "[session]\ntoken = \"t\"\n" + goodStore + "embedded_bytes = \"1023KiB\"\n" + plainPool, []string{
			`5: store.embedded_bytes: given 1047552, wanted at least "1MiB"`}},
		// [[pool]].
		{"a pool's keys", pool("name = \"a b\"\nbalance = \"random\"\nmax_idle_connections = -1\ntimeout.connect = \"0s\"\ntimeout.first_byte = \"0s\"\ntimeout.idle = \"0s\"\ntimeout.keep_alive = \"0s\"\n"), []string{
			`2: pool.name: given "a b", wanted 1 to 64 letters, digits, "-", "_" and "."`,
			`3: pool.balance: given "random", wanted "requests" or "sessions" or "traffic" or "busyness"`,
			"4: pool.max_idle_connections: given -1, wanted 0 to 65536", "5: pool.timeout.connect: given 0s, wanted a duration over 0",
			"6: pool.timeout.first_byte: given 0s, wanted a duration over 0", "7: pool.timeout.idle: given 0s, wanted a duration over 0",
			"8: pool.timeout.keep_alive: given 0s, wanted a duration over 0"}},
		{"health", pool("[pool.health]\npath = \"x\"\ninterval = \"0s\"\ntimeout = \"0s\"\nfall = 0\nrise = 0\n"), []string{
			`3: pool.health.path: given "x", wanted a path such as "/health", or "" for a connection only`,
			"4: pool.health.interval: given 0s, wanted a duration over 0", "5: pool.health.timeout: given 0s, wanted a duration over 0",
			"6: pool.health.fall: given 0, wanted 1 to 1000", "7: pool.health.rise: given 0, wanted 1 to 1000"}},
		{"a health path with a blank", pool("[pool.health]\npath = \"/a b\"\n"), []string{
			`3: pool.health.path: given "/a b", wanted a path such as "/health", or "" for a connection only`}},
		{"pools of one name", plainPool + pool("match = [\"/b/*\"]\n"), []string{
			`5: pool.name: given "default", which another pool has too, wanted a name of its own`}},
		{"pools of one pattern", pool("match = [\"A.example.com/x\"]\n") + pool("name = \"b\"\nmatch = [\"a.example.com/x/\"]\n"), []string{
			`8: pool.match: given "a.example.com/x/", which pool "default" matches too, wanted each pattern once in the file (no match at all is "/*")`}},
		{"no pattern", pool("match = []\n"), []string{
			`2: pool.match: given an empty list, wanted at least one pattern such as "shop.example.com/*" or "/shop/*", or no match at all for everything`}},
		{"no backend", "[[pool]]\nname = \"a\"\n", []string{"1: pool.backend: given nothing, wanted at least one [[pool.backend]]"}},
		// [[pool.backend]].
		{"an empty backend", "[[pool]]\n\n[[pool.backend]]\n", []string{
			`3: pool.backend.route: given nothing, wanted the backend's jvmRoute, such as "node1"`,
			`3: pool.backend.url: given nothing, wanted "http://host:port"`}},
		{"a route twice", backend("[[pool.backend]]\nroute = \"node1\"\nurl = \"http://h\"\n"), []string{
			`6: pool.backend.route: given "node1", which another backend of pool "default" has too, wanted a route of its own`}},
		{"a bad route", backend("[[pool.backend]]\nroute = \"node 2\"\nurl = \"http://h\"\n"), []string{
			`6: pool.backend.route: given "node 2", wanted the backend's jvmRoute: 1 to 64 characters that may stand in a session id, such as "node1"`}},
		{"backend keys", backend("weight = 0\nactivation = \"off\"\ndistance = -1\ndomain = \"a b\"\nredirect = \"node2\"\n"), []string{
			"5: pool.backend.weight: given 0, wanted 1 to 1000", `6: pool.backend.activation: given "off", wanted "active" or "disabled" or "stopped"`,
			"7: pool.backend.distance: given -1, wanted 0 to 1000",
			`8: pool.backend.domain: given "a b", wanted a name of 1 to 64 characters that may stand in a session id, or ""`,
			`9: pool.backend.redirect: given "node2", wanted the route of another backend of the same pool`}},
		{"redirect to itself", backend("redirect = \"node1\"\n"), []string{`5: pool.backend.redirect: given "node1", wanted the route of another backend`}},
	}
	for _, url := range []string{"127.0.0.1:8081", "http://", "http://h:0", "http://h:99999", "http://h/shop", "http://h?x", "http://h#x", "ftp://h", "http:h", "http://h:x", "http://a b", "http://%zz"} {
		tests = append(tests, struct {
			name, document string
			want           []string
		}{url, "[[pool]]\n[[pool.backend]]\nroute = \"n\"\nurl = \"" + url + "\"\n", []string{`4: pool.backend.url: given "` + url + `", ` + urlWanted}})
	}
	for url, later := range map[string]string{"ajp://h:8009": "AJP comes in a later version"} {
		tests = append(tests, struct {
			name, document string
			want           []string
		}{url, "[[pool]]\n[[pool.backend]]\nroute = \"n\"\nurl = \"" + url + "\"\n", []string{`4: pool.backend.url: given "` + url + `", wanted "http://host:port": ` + later}})
	}
	for _, pattern := range []string{"", "shop*", "/shop*", "/a/*/b", "*/x", "*.", "a b/*", "http://h/*", "h:80/*", "/a?b", "/a;b", "/a b", "/ä"} {
		tests = append(tests, struct {
			name, document string
			want           []string
		}{"pattern " + pattern, pool("match = [\"" + pattern + "\"]\n"), []string{`2: pool.match: given "` + pattern +
			`", wanted a host, a path or both, with "*." before a host or "/*" after a path, such as "shop.example.com/*" or "/shop/*"`}})
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) { checkProblems(t, test.document, test.want) })
	}
}

// checkProblems checks that a document has exactly these problems, whatever the order within a line.
func checkProblems(t *testing.T, document string, want []string) {
	t.Helper()
	_, _, err := ParseConfig("x.toml", document)
	if err == nil {
		t.Fatalf("was taken, want\n%s", strings.Join(want, "\n"))
	}
	left := map[string]int{}
	for _, line := range want {
		left["x.toml:"+line]++
	}
	for _, line := range strings.Split(err.Error(), "\n") {
		if left[line] == 0 {
			t.Errorf("not wanted: %s", line)
		}
		left[line]--
	}
	for line, n := range left {
		if n > 0 {
			t.Errorf("missing: %s", line)
		}
	}
}

func TestPatternsThatAreTaken(t *testing.T) {
	for pattern, want := range map[string]string{
		"/*": "/*", "/": "/", "/shop": "/shop", "/shop/": "/shop", "/shop/*": "/shop/*", "Shop.Example.com/*": "shop.example.com/*",
		"shop.example.com": "shop.example.com/*", "*.example.com/*": "*.example.com/*", "h./x": "h/x", "127.0.0.1/*": "127.0.0.1/*", "[::1]/*": "[::1]/*",
	} {
		if got, ok := plainPattern(pattern); !ok || got != want {
			t.Errorf("plainPattern(%q) = %q, %v, want %q", pattern, got, ok, want)
		}
	}
}

func TestProblemsComeInTheOrderOfLines(t *testing.T) {
	_, _, err := ParseConfig("x.toml", "[[pool]]\nname = \"a b\"\n[log]\nlevel = \"x\"\n[admin]\nlisten = \"x\"\n")
	last := 0
	var problems Problems
	if !errors.As(err, &problems) || len(problems) < 4 {
		t.Fatalf("got %v", err)
	}
	for _, p := range problems {
		if p.Line < last {
			t.Errorf("line %d comes after line %d", p.Line, last)
		}
		last = p.Line
	}
}
