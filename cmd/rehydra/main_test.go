package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	// fasthttp keeps the Date of our own answers up to date for as long as the process lives.
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.updateServerDate.func1"))
}

func TestRun(t *testing.T) {
	dir := t.TempDir()
	good := filepath.Join(dir, "good.toml")
	bad := filepath.Join(dir, "bad.toml")
	writeFile(t, good, plainPool)
	writeFile(t, bad, "[serfer]\n")
	tests := []struct {
		args           string
		code           int
		stdout, stderr string // must be part of it; "" = must be empty
	}{
		{"version", exitOK, "rehydra dev go", ""},
		{"--help", exitOK, "serve", ""},
		{"check --config " + good, exitOK, good + ": no problem found", ""},
		{"check --config " + bad, exitUsage, "", bad + ":1: serfer: given an unknown key, wanted one of admin, "},
		{"check --config " + dir + "/none.toml", exitUsage, "", "none.toml: given no such file or directory, wanted a readable file"},
		{"serve --config " + bad, exitUsage, "", "serfer"},
		{"serve", exitUsage, "", `required flag(s) "config" not set`},
		{"check", exitUsage, "", `required flag(s) "config" not set`},
		{"check " + good, exitUsage, "", "unknown command"},
		{"serve --confg x", exitUsage, "", "unknown flag: --confg"},
		{"", exitUsage, "", "a command is missing: serve, check, demo, session or version"},
		{"start", exitUsage, "", `unknown command "start"`},
	}
	for _, test := range tests {
		var stdout, stderr bytes.Buffer
		if code := run(strings.Fields(test.args), &stdout, &stderr); code != test.code {
			t.Errorf("rehydra %s: exit code %d, want %d", test.args, code, test.code)
		}
		for _, output := range []struct{ name, got, want string }{
			{"stdout", stdout.String(), test.stdout}, {"stderr", stderr.String(), test.stderr},
		} {
			if (output.want == "") != (output.got == "") || !strings.Contains(output.got, output.want) {
				t.Errorf("rehydra %s: %s %q, want %q in it", test.args, output.name, output.got, output.want)
			}
		}
	}
}

// writeFile writes a file that only its owner can read.
func writeFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
