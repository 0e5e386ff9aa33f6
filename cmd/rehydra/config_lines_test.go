package main

import (
	"errors"
	"strings"
	"testing"

	"github.com/BurntSushi/toml"
)

func TestIndexLines(t *testing.T) {
	lines := indexLines(strings.TrimPrefix(`
# comment [not.a.table]
top = 1
"quoted \"key\"" = 2
a.b . c = 3
[server] # comment
listen = [ # a list
  "x = 1", # [y]
  'z',
]
long = """
[no] ""\"
no = 1 """""
lit = '''
no = 2'''
inline = { x = 1, y = "}" }
after = 1
[[pool]]
name = "#"
[pool.health]
path = 1
[[pool.backend]]
url = 1
[[ pool . backend ]]
url = 2
[[pool]]
[[pool.backend]]
url = 3
health.path = 4
last=5`, "\n"))
	want := map[string]int{
		"top": 2, `quoted "key"`: 3, "a": 4, "a.b": 4, "a.b.c": 4, "server": 5, "server.listen": 6, "server.long": 10,
		"server.lit": 13, "server.inline": 15, "server.after": 16, "pool": 17, "pool[0]": 17, "pool[0].name": 18, "pool[0].health": 19,
		"pool[0].health.path": 20, "pool[0].backend": 21, "pool[0].backend[0].url": 22, "pool[0].backend[1]": 23, "pool[0].backend[1].url": 24,
		"pool[1]": 25, "pool[1].backend[0]": 26, "pool[1].backend[0].url": 27, "pool[1].backend[0].health.path": 28, "pool[1].backend[0].last": 29,
	}
	for path, line := range want {
		if lines[path] != line {
			t.Errorf("%s is in line %d, want %d", path, lines[path], line)
		}
	}
	for path := range lines {
		if strings.HasPrefix(path, "no") || strings.Contains(path, ".no") {
			t.Errorf("%s is no key", path)
		}
	}
	for path, line := range map[string]int{"pool[0].backend[1].route": 23, "pool[1].health.path": 25, "server.inline.x": 15, "server.x.y": 5, "x": 1, "": 1} {
		if got := lines.line(path); got != line {
			t.Errorf("line(%q) = %d, want %d", path, got, line)
		}
	}
	if got := withoutPositions("pool[0].backend[12].url"); got != "pool.backend.url" {
		t.Errorf("withoutPositions gives %q", got)
	}
}

// Whatever the TOML library accepts has a line for each of its keys, and nothing makes the scanner fail.
func FuzzIndexLines(f *testing.F) {
	f.Add("a = 1\n[b]\nc.d = [1,\n2]\n[[e]]\nf = \"\"\"\nx\"\"\"\n[[e]]\n")
	f.Add("a = {b = 1}\n'c' = '''\n'''\n\"d\" = \"\\\"#\" # x\n")
	f.Add("[a]\nb = 1 # \"\nc = \"\"\"a\\\"\"\"\"\"\nd = ''\r\n")
	f.Fuzz(func(t *testing.T, document string) {
		lines := indexLines(document)
		last := strings.Count(document, "\n") + 1
		byKey := map[string]bool{}
		for path, line := range lines {
			if line < 1 || line > last {
				t.Fatalf("%q is in line %d of %d", path, line, last)
			}
			byKey[withoutPositions(path)] = true
		}
		tree := map[string]any{}
		meta, err := toml.Decode(document, &tree)
		if err != nil || strings.ContainsAny(document, "{\\") {
			return // keys of inline tables share a line; escapes are TOML's own
		}
		for _, key := range meta.Keys() {
			name := strings.Join(key, ".")
			if name != "" && !strings.ContainsAny(name, "[]\"' \t.") && !byKey[name] {
				t.Fatalf("%q has no line in %q: %v", name, document, lines)
			}
		}
	})
}

// Configurations come from people, and from scripts that people wrote.
func FuzzParseConfig(f *testing.F) {
	f.Add(plainPool)
	f.Add("[session]\ntoken = 1\n[[pool]]\nname = 1\n[pool.health]\nfall = -1\n")
	f.Add("pool = [{backend = [{route = 'a', url = 'http://h'}]}, 1]\nsession = {token = 't'}\nstore.nodes = ['n=h:1']\n")
	f.Fuzz(func(t *testing.T, document string) {
		if strings.Contains(document, "token_file") || strings.Contains(document, "\\") {
			return // no files here
		}
		cfg, _, err := ParseConfig("x.toml", document)
		if err == nil && (len(cfg.Pools) == 0 || cfg.Server.DrainTimeout <= 0) {
			t.Fatalf("%q was taken", document)
		}
		var problems Problems
		if err != nil && (!errors.As(err, &problems) || len(problems) == 0) {
			t.Fatalf("an error without a problem: %v", err)
		}
	})
}
