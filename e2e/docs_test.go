package e2e

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// binary is the program under test: REHYDRA_BIN, or what `make build` wrote.
func binary(t *testing.T) string {
	t.Helper()
	path := os.Getenv("REHYDRA_BIN")
	if path == "" {
		path = filepath.Join(root, "bin", "rehydra")
	}
	path, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("no binary to test, run make build: %v", err)
	}
	return path
}

// pages returns the Markdown files of the repository with their text.
func pages(t *testing.T) map[string]string {
	t.Helper()
	found := map[string]string{}
	err := filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if name := e.Name(); e.IsDir() && path != root && (strings.HasPrefix(name, ".") || name == "bin" || name == "target" || name == "testdata") {
			return fs.SkipDir
		}
		if filepath.Ext(path) == ".md" {
			text, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			found[path] = string(text)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(found) < 8 {
		t.Errorf("found %d pages, wanted the whole documentation", len(found))
	}
	return found
}

var (
	link      = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	tomlBlock = regexp.MustCompile("(?s)```toml\n(.*?)```")
	xmlBlock  = regexp.MustCompile("(?s)```xml\n(.*?)```")
	tokenFile = regexp.MustCompile(`token_file = "[^"]*"`)
)

// A page that points nowhere is worse than one that says nothing.
func TestLinksOfTheDocumentationLead(t *testing.T) {
	for path, text := range pages(t) {
		for _, match := range link.FindAllStringSubmatch(text, -1) {
			target, _, _ := strings.Cut(match[1], "#")
			if target == "" || strings.Contains(target, "://") {
				continue
			}
			if _, err := os.Stat(filepath.Join(filepath.Dir(path), target)); err != nil {
				t.Errorf("%s links to %s: %v", path, match[1], err)
			}
		}
	}
}

func TestXMLOfTheDocumentationIsWellFormed(t *testing.T) {
	seen := 0
	for path, text := range pages(t) {
		for _, block := range xmlBlock.FindAllStringSubmatch(text, -1) {
			seen++
			for decoder := xml.NewDecoder(strings.NewReader(block[1])); ; {
				if _, err := decoder.Token(); errors.Is(err, io.EOF) {
					break
				} else if err != nil {
					t.Errorf("%s: %v in\n%s", path, err, block[1])
					break
				}
			}
		}
	}
	if seen < 4 {
		t.Errorf("found %d blocks of XML, wanted at least those of the README", seen)
	}
}

// What a page tells people to write into rehydra.toml, the binary accepts.
func TestConfigurationsOfTheDocumentationAreAccepted(t *testing.T) {
	program := binary(t)
	for _, page := range []string{"README.md", "docs/from-mod_jk.md", "docs/from-memcached-session-manager.md"} {
		text, err := os.ReadFile(filepath.Join(root, page))
		if err != nil {
			t.Fatal(err)
		}
		blocks := tomlBlock.FindAllStringSubmatch(string(text), -1)
		if len(blocks) == 0 {
			t.Errorf("%s has no configuration, wanted at least one", page)
		}
		for i, block := range blocks {
			t.Run(fmt.Sprintf("%s/%d", page, i+1), func(t *testing.T) {
				dir := t.TempDir()
				token, config := filepath.Join(dir, "token"), filepath.Join(dir, "rehydra.toml")
				if err := os.WriteFile(token, []byte("correct-horse-battery-staple\n"), 0o600); err != nil {
					t.Fatal(err)
				}
				written := tokenFile.ReplaceAllLiteralString(block[1], fmt.Sprintf("token_file = %q", token))
				if err := os.WriteFile(config, []byte(written), 0o600); err != nil {
					t.Fatal(err)
				}
				if out, err := exec.CommandContext(t.Context(), program, "check", "--config", config).CombinedOutput(); err != nil {
					t.Errorf("rehydra check: %v\n%s", err, out)
				}
			})
		}
	}
}
