package e2e

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const (
	module = "rehydra"
	root   = ".."

	// maxFileLines is where a file is no longer one noun. 400 is a reason to look again, this is the end.
	maxFileLines = 600
)

// A rule says what the packages of one area may import of this module, tests not counted: a test may look at anything.
type rule struct {
	area    string   // a package and those below it
	imports []string // areas, each with those below it; a package's own area goes without saying
}

// importRules hold the direction in which knowledge flows. A package that no rule covers fails the test: say here where
// it belongs.
var importRules = []rule{
	{"jvmroute", nil},
	{"proxy", []string{"jvmroute"}},
	{"sessiontier", []string{"jvmroute"}},
	{"adapters/go", nil},
	{"adapters/conformance", []string{"adapters/go"}},
	{"cmd", []string{"proxy", "sessiontier", "jvmroute", "adapters/go"}},
	{"bench", []string{"e2e/tomcat"}},
	{"e2e", []string{"e2e", "adapters/conformance", "adapters/go"}},
}

// libraries lists who may know which library. One that is not listed may be known by nobody.
var libraries = map[string][]string{
	"github.com/valyala/fasthttp":         {"proxy"},
	"github.com/rainycape/memcache":       {"sessiontier"},
	"github.com/cespare/xxhash/v2":        {"sessiontier", "proxy", "e2e"},
	"github.com/klauspost/compress":       {"sessiontier"},
	"golang.org/x/crypto":                 {"sessiontier", "proxy"},
	"github.com/pires/go-proxyproto":      {"proxy", "e2e"},
	"github.com/anishathalye/porcupine":   {"e2e"},
	"github.com/BurntSushi/toml":          {"cmd"},
	"github.com/spf13/cobra":              {"cmd"},
	"github.com/coreos/go-systemd/v22":    {"cmd"},
	"github.com/prometheus/client_golang": {"cmd", "proxy"},
	"github.com/mattn/go-isatty":          {"cmd"},
	"github.com/rs/zerolog":               {"cmd", "proxy", "sessiontier"},
	"golang.org/x/sync":                   {"proxy", "sessiontier"},
	"golang.org/x/sys":                    {"cmd", "proxy", "bench"},
	"golang.org/x/net":                    {"proxy"},
	"github.com/coder/websocket":          {"e2e"},
	"github.com/chromedp":                 {"e2e"},
	"github.com/prometheus/client_model":  {"cmd", "proxy"},
	"github.com/prometheus/common":        {"cmd", "proxy"},
	"go.uber.org/goleak":                  {"e2e"}, // and everybody's tests
}

type goPackage struct {
	ImportPath string
	Imports    []string
}

func TestImportsRunOneWay(t *testing.T) {
	packages := listPackages(t)
	if len(packages) < 5 {
		t.Fatalf("go list found %d packages, wanted the whole module", len(packages))
	}
	for _, p := range packages {
		for _, broken := range brokenImports(p) {
			t.Error(broken)
		}
	}
}

// The rules themselves are held to what they are for: each of these imports must be refused.
func TestForbiddenImportsAreFound(t *testing.T) {
	for _, c := range []struct{ from, to string }{
		{"rehydra/proxy", "rehydra/sessiontier"},
		{"rehydra/proxy/http1", "rehydra/cmd/rehydra"},
		{"rehydra/sessiontier", "rehydra/proxy/upstream"},
		{"rehydra/sessiontier", "github.com/valyala/fasthttp"},
		{"rehydra/jvmroute", "rehydra/proxy"},
		{"rehydra/jvmroute", "golang.org/x/sys/unix"},
		{"rehydra/adapters/go", "rehydra/jvmroute"},
		{"rehydra/adapters/go", "github.com/rs/zerolog"},
		{"rehydra/cmd/rehydra", "github.com/rainycape/memcache"},
		{"rehydra/cmd/rehydra", "github.com/never/heardof"},
		{"rehydra/proxyfoo", "fmt"},
	} {
		if broken := brokenImports(goPackage{c.from, []string{c.to}}); len(broken) != 1 {
			t.Errorf("%s imports %s: %d complaints, wanted 1: %q", c.from, c.to, len(broken), broken)
		}
	}
	for _, c := range []struct{ from, to string }{
		{"rehydra/cmd/rehydra", "rehydra/proxy/upstream"},
		{"rehydra/proxy", "rehydra/proxy/http1"},
		{"rehydra/proxy/upstream", "github.com/valyala/fasthttp/fasthttputil"},
		{"rehydra/jvmroute", "net/http"},
	} {
		if broken := brokenImports(goPackage{c.from, []string{c.to}}); len(broken) != 0 {
			t.Errorf("%s imports %s: refused, wanted it allowed: %q", c.from, c.to, broken)
		}
	}
}

// brokenImports returns a sentence for each import of p that the rules do not allow.
func brokenImports(p goPackage) []string {
	own := strings.TrimPrefix(p.ImportPath, module+"/")
	at := slices.IndexFunc(importRules, func(r rule) bool { return within(own, r.area) })
	if at < 0 {
		return []string{p.ImportPath + ": no import rule names this package"}
	}
	r := importRules[at]
	var broken []string
	for _, imported := range p.Imports {
		if internal, ok := strings.CutPrefix(imported, module+"/"); ok {
			if !within(internal, r.area) && !withinAny(internal, r.imports) {
				broken = append(broken, p.ImportPath+" imports "+imported+": "+r.area+" may not")
			}
			continue
		}
		if first, _, _ := strings.Cut(imported, "/"); !strings.Contains(first, ".") {
			continue // the standard library
		}
		if !knowsLibrary(r.area, imported) {
			broken = append(broken, p.ImportPath+" imports "+imported+": the table of libraries does not let "+r.area+" know it")
		}
	}
	return broken
}

func knowsLibrary(area, imported string) bool {
	for library, areas := range libraries {
		if within(imported, library) {
			return slices.Contains(areas, area)
		}
	}
	return false
}

func within(path, area string) bool {
	return path == area || strings.HasPrefix(path, area+"/")
}

func withinAny(path string, areas []string) bool {
	return slices.ContainsFunc(areas, func(area string) bool { return within(path, area) })
}

func listPackages(t *testing.T) []goPackage {
	t.Helper()
	var stderr bytes.Buffer
	list := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Imports", "./...")
	list.Dir, list.Stderr = root, &stderr
	out, err := list.Output()
	if err != nil {
		t.Fatalf("cannot list the packages: %v\n%s", err, &stderr)
	}
	var packages []goPackage
	for decoder := json.NewDecoder(bytes.NewReader(out)); ; {
		var p goPackage
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			return packages
		} else if err != nil {
			t.Fatalf("cannot read what go list said: %v", err)
		}
		packages = append(packages, p)
	}
}

// The first thing a newcomer sees is the top level: it says what there is, and nothing else.
func TestTopLevel(t *testing.T) {
	wanted := []string{
		"CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "Makefile", "README.md", "adapters", "bench", "cmd", "configs",
		"docs", "e2e", "go.mod", "go.sum", "jvmroute", "proxy", "scripts", "sessiontier",
	}
	entries, err := os.ReadDir(root)
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), ".") && e.Name() != "bin" { // bin is built, and ignored by git
			found = append(found, e.Name())
		}
	}
	slices.Sort(found)
	if !slices.Equal(found, wanted) {
		t.Errorf("top level is\n%q, wanted\n%q", found, wanted)
	}
}

func TestFilesStayReadable(t *testing.T) {
	seen := 0
	err := filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := e.Name()
		if e.IsDir() {
			if path != root && (strings.HasPrefix(name, ".") || name == "bin" || name == "target" || name == "node_modules") {
				return fs.SkipDir
			}
			return nil
		}
		if !slices.Contains([]string{".go", ".java", ".js", ".css", ".html"}, filepath.Ext(name)) {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		seen++
		if lines := bytes.Count(text, []byte("\n")); lines > maxFileLines {
			t.Errorf("%s has %d lines, wanted at most %d: more than one noun lives there", path, lines, maxFileLines)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if seen < 20 {
		t.Errorf("looked at %d source files, wanted the whole tree", seen)
	}
}
