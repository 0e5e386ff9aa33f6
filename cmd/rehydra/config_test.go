package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

// plainPool is the shortest valid file: a sticky balancer without a session tier.
const plainPool = "[[pool]]\n[[pool.backend]]\nroute = \"node1\"\nurl = \"http://127.0.0.1:8081\"\n"

// shipped are the configurations of the repository.
const shipped = "../../configs"

// loadShipped returns a shipped configuration, which must be free of problems and warnings.
func loadShipped(t *testing.T, name string) Config {
	t.Helper()
	cfg, warnings, err := LoadConfig(filepath.Join(shipped, name))
	if err != nil {
		t.Fatal(err)
	}
	if len(warnings) > 0 {
		t.Fatalf("warnings:\n%v", warnings)
	}
	return cfg
}

func TestShippedConfigurationsLoad(t *testing.T) {
	files, err := os.ReadDir(shipped)
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for _, file := range files {
		if filepath.Ext(file.Name()) != ".toml" {
			continue // units of systemd
		}
		names[file.Name()] = true
		cfg := loadShipped(t, file.Name())
		for _, p := range cfg.Pools {
			if p.Health.Path == "" {
				t.Errorf("%s: pool %q has no health path", file.Name(), p.Name)
			}
		}
		if !cfg.Tier {
			t.Errorf("%s: the session tier is off", file.Name())
		}
	}
	for _, name := range []string{"minimal.toml", "full.toml", "two-node-tomcat.toml"} {
		if !names[name] {
			t.Errorf("%s is missing", name)
		}
	}
}

// Every value of full.toml is the default, but for those that have none.
func TestFullIsTheDefaults(t *testing.T) {
	want := DefaultConfig()
	want.Tier = true
	want.Server.ProxyProtocol, want.Server.TrustedProxies = []string{}, []string{}
	want.Server.TLS.Listen, want.Server.TLS.ACME.Domains = []string{}, []string{}
	want.Server.TLS.Certificates = []CertificateConfig{{}}
	want.Session.Token = NewSecret("change-me-full")
	want.Store.Nodes = []NodeConfig{{"n1", "127.0.0.1:11211"}, {"n2", "127.0.0.1:11212"}}
	want.Store.FailoverOnly = []string{}
	pool, backend := DefaultPool(), DefaultBackend()
	pool.Match = []string{"/*"}
	pool.Token = want.Session.Token
	pool.Health.Path = "/"
	backend.Route, backend.URL, backend.Address = "node1", "http://127.0.0.1:8081", "127.0.0.1:8081"
	pool.Backends = []BackendConfig{backend}
	want.Pools = []PoolConfig{pool}
	if got := loadShipped(t, "full.toml"); !reflect.DeepEqual(got, want) {
		t.Errorf("full.toml is\n%+v\nthe defaults are\n%+v", got, want)
	}
}

func TestFullHoldsEveryKey(t *testing.T) {
	data, err := os.ReadFile(filepath.Join(shipped, "full.toml"))
	if err != nil {
		t.Fatal(err)
	}
	lines := indexLines(string(data))
	keys := 0
	var walk func(path string, table reflect.Type)
	walk = func(path string, table reflect.Type) {
		for i := range table.NumField() {
			field := table.Field(i)
			key := field.Tag.Get("toml")
			if key == "-" {
				continue
			}
			if key == "" {
				t.Errorf("%s.%s has no key", table, field.Name)
			}
			at := joinPath(path, key)
			keys++
			if !lines.has(at) {
				t.Errorf("full.toml does not hold %s", at)
			}
			switch {
			case field.Type.Kind() == reflect.Slice && field.Type.Elem().Kind() == reflect.Struct && field.Type.Elem() != reflect.TypeFor[NodeConfig]():
				walk(at+"[0]", field.Type.Elem())
			case field.Type.Kind() == reflect.Struct && field.Type != reflect.TypeFor[Secret]():
				walk(at, field.Type)
			}
		}
	}
	walk("", reflect.TypeFor[Config]())
	if keys < 60 {
		t.Errorf("looked at %d keys only", keys)
	}
}

func TestValuesReachTheConfig(t *testing.T) {
	cfg, warnings, err := ParseConfig("x.toml", `
[store]
kind = "embedded"
embedded_bytes = "3MiB"
[session]
save = "async"
token = "t"
path_parameter = ""
ignore = ""
[[pool]]
name = "a"
match = ["A.example.com/*", "/a/b"]
timeout = {connect = "1500ms"}
[pool.health]
fall = 7
[[pool.backend]]
route = "n1"
url = "http://[::1]/"
[[pool.backend]]
route = "n2"
url = "http://tomcat2:8081"
redirect = "n1"
activation = "disabled"
[[pool]]
name = "b"
token = "u"
backend = [{route = "n1", url = "http://h:1", weight = 3}]
`)
	if err != nil || len(warnings) > 0 {
		t.Fatal(err, warnings)
	}
	if cfg.Session.Save != "async" || cfg.Store.EmbeddedBytes != 3<<20 || !cfg.Tier || cfg.Session.IgnorePattern() != nil {
		t.Errorf("read %+v", cfg)
	}
	a, b := cfg.Pools[0], cfg.Pools[1]
	if a.Timeout.Connect != 1500*time.Millisecond || a.Timeout.Idle != time.Minute || a.Health.Fall != 7 || a.Health.Rise != 1 {
		t.Errorf("read %+v", a)
	}
	if a.Backends[0].Address != "[::1]:80" || a.Backends[1].Address != "tomcat2:8081" || b.Backends[0].Weight != 3 || a.Backends[0].Weight != 1 {
		t.Errorf("read %+v and %+v", a.Backends, b.Backends)
	}
	if a.Token.Reveal() != "t" || b.Token.Reveal() != "u" {
		t.Errorf("tokens %q and %q, want t and u", a.Token.Reveal(), b.Token.Reveal())
	}
	if p := DefaultConfig().Session; p.IgnorePattern() == nil || !p.IgnorePattern().MatchString("/a/b.css") {
		t.Error("the default of ignore does not match /a/b.css")
	}
}

func TestTierIsOnWhereItIsAskedFor(t *testing.T) {
	tests := []struct {
		name, head string
		on         bool
	}{
		{"nothing", "", false},
		{"other keys of session", "[session]\nsave = \"async\"\n", false},
		{"empty token_file", "[session]\ntoken_file = \"\"\n", false},
		{"token and nodes", "[session]\ntoken = \"t\"\n[store]\nnodes = [\"n1=h:1\"]\n", true},
		{"token and embedded", "[session]\ntoken = \"t\"\n[store]\nkind = \"embedded\"\n", true},
	}
	for _, test := range tests {
		cfg, _, err := ParseConfig("x.toml", test.head+plainPool)
		if err != nil || cfg.Tier != test.on {
			t.Errorf("%s: tier %v, want %v; error %v", test.name, cfg.Tier, test.on, err)
		}
	}
}

func TestCopiesFollowTheNodes(t *testing.T) {
	tests := []struct {
		store    string
		copies   int
		warnings string
	}{
		{`nodes = ["n1=h:1"]`, 1, ""},
		{`nodes = ["n1=h:1", "n2=h:2"]`, 2, ""},
		{`nodes = ["n1=h:1", "n2=h:2", "n3=h:3"]`, 2, ""},
		{"nodes = [\"n1=h:1\", \"n2=h:2\"]\nfailover_only = [\"n1\"]", 1, ""},
		{"nodes = [\"n1=h:1\", \"n2=h:2\"]\ncopies = 1", 1, ""},
		{"nodes = [\"n1=h:1\", \"n2=h:2\"]\nfailover_only = [\"n1\"]\ncopies = 2", 2,
			"x.toml:6: store.copies: given 2, wanted at most 1: more copies than nodes outside store.failover_only"},
		{"kind = \"embedded\"\ncopies = 2", 2,
			`x.toml:5: store.copies: given a value, wanted none: store.kind = "embedded" keeps one copy, in this process`},
	}
	for _, test := range tests {
		cfg, warnings, err := ParseConfig("x.toml", "[session]\ntoken = \"t\"\n[store]\n"+test.store+"\n"+plainPool)
		if err != nil || cfg.Store.Copies != test.copies || warnings.Error() != test.warnings {
			t.Errorf("%s: copies %d, want %d; warnings %q, want %q; error %v",
				test.store, cfg.Store.Copies, test.copies, warnings, test.warnings, err)
		}
	}
}

func TestTokenFiles(t *testing.T) {
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "good"), "from-a-file\n")
	writeFile(t, filepath.Join(dir, "two-lines"), "hush1\nhush2\n")
	writeFile(t, filepath.Join(dir, "empty"), "\n")
	config := filepath.Join(dir, "x.toml")
	load := func(session string) (Config, error) {
		writeFile(t, config, "[session]\n"+session+"\n[store]\nkind = \"embedded\"\n"+plainPool)
		cfg, _, err := LoadConfig(config)
		return cfg, err
	}
	for _, path := range []string{"good", filepath.Join(dir, "good")} { // beside the file, and absolute
		cfg, err := load(fmt.Sprintf("token_file = %q", path))
		if err != nil || cfg.Session.Token.Reveal() != "from-a-file" || cfg.Pools[0].Token.Reveal() != "from-a-file" {
			t.Errorf("token_file %q: token %q, error %v", path, cfg.Session.Token.Reveal(), err)
		}
	}
	tests := []struct{ session, want string }{
		{`token_file = "none"`, `:2: session.token_file: given "none", which cannot be read: no such file or directory, wanted a readable file that holds the token`},
		{`token_file = "."`, `:2: session.token_file: given ".", which cannot be read: is a directory, wanted a readable file that holds the token`},
		{`token_file = "empty"`, `:2: session.token_file: given "empty", which holds an empty token, wanted ` + wantedToken},
		{`token_file = "two-lines"`, `:2: session.token_file: given "two-lines", which holds a token whose byte 6 is not a printable ASCII character, wanted ` + wantedToken},
		{"token = \"hush\"\ntoken_file = \"good\"", `:3: session.token_file: given a file and session.token too, wanted one of them`},
	}
	for _, test := range tests {
		_, err := load(test.session)
		if want := config + test.want; err == nil || err.Error() != want {
			t.Errorf("%s:\n got %v\nwant %s", test.session, err, want)
		}
		if err != nil && strings.Contains(err.Error(), "hush") {
			t.Errorf("%s: the error shows the token: %v", test.session, err)
		}
	}
}

func TestSecretsAreNeverPrinted(t *testing.T) {
	cfg, _, err := ParseConfig("x.toml", "[session]\ntoken = \"hush-hush\"\n[store]\nkind = \"embedded\"\n"+plainPool)
	if err != nil {
		t.Fatal(err)
	}
	json, err := cfg.Session.Token.MarshalText()
	if err != nil {
		t.Fatal(err)
	}
	for _, printed := range []string{
		fmt.Sprint(cfg), fmt.Sprintf("%v %+v %#v %s %q", cfg, cfg, cfg.Session.Token, cfg.Session.Token, cfg.Session.Token), string(json),
	} {
		if strings.Contains(printed, "hush") || !strings.Contains(printed, "secret") {
			t.Errorf("the token is printed: %s", printed)
		}
	}
	for _, document := range []string{
		"[session]\ntoken = hush\n",
		"[session]\ntoken = \"hush\n",
		"[session]\ntoken = \"hush\" hush\n",
		"[session]\ntoken = \"hush\"\ntoken = \"hush\"\n",
		"[session]\ntoken = [\"hush\"]\n",
		"[session]\ntoken = {hush = 1}\n",
		"[session]\ntokn = \"hush\"\n",
		"[session]\ntoken = \"hush hush\"\n",
		"[session]\ntoken = \"hush\"\ntoken_file = \"hish\"\n",
		"[session.token]\nhush = 1\n",
		"[[pool]]\n[[pool.backend]]\nurl = \"http://hush:hush@h\"\n",
		"[[pool]]\n[[pool.backend]]\nurl = \"http://hush:hush@h:x:y\"\n",
		"[[pool]]\n[[pool.backend]]\nurl = \"hush@h\"\n",
	} {
		_, warnings, err := ParseConfig("x.toml", document)
		var problems Problems
		if !errors.As(err, &problems) {
			t.Errorf("%q was taken", document)
		} else if strings.Contains(err.Error()+warnings.Error(), "hush") {
			t.Errorf("%q: the problem shows the secret: %v", document, err)
		}
	}
}
