package main

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// wrongValues are one wrong value at least of each key of the session tier, as TOML.
var wrongValues = map[string][]string{
	"session.cookie":          {`""`, `"a b"`, `1`},
	"session.path_parameter":  {`"a;b"`, `true`},
	"session.mode":            {`"sticki"`, `""`, `1`},
	"session.save":            {`"maybe"`, `true`},
	"session.save_timeout":    {`"0s"`, `"-1s"`, `"soon"`, `250`},
	"session.save_failure":    {`"ignore"`, `503`},
	"session.lookup_failure":  {`"old"`, `false`},
	"session.restore_timeout": {`"0s"`, `"2"`, `2`},
	"session.async_queue":     {`0`, `-1`, `"many"`, `100000000`},
	"session.token":           {`"two words"`, `7`},
	"session.token_file":      {`"not-there"`, `[]`},
	"session.inline_limit":    {`-1`, `65537`, `"4KiB"`},
	"session.max_state":       {`0`, `134217729`, `"1 MB"`},
	"session.ignore":          {`'(a'`, `1`},
	"session.lock":            {`"some"`, `true`},
	"session.lock_pattern":    {`'(a'`, `1`},
	"session.lock_timeout":    {`"0s"`, `5`},
	"session.lock_failure":    {`"wait"`, `503`},
	"session.lock_expiry":     {`"900ms"`, `"-1s"`, `30`},
	"store.kind":              {`"redis"`, `1`},
	"store.nodes":             {`["n1"]`, `["n1=h:1", "n1=h:2"]`, `["n1=h:1", "n2=h:1"]`, `"n1=h:1"`, `[1]`},
	"store.failover_only":     {`["n9"]`, `["n1"]`, `"n1"`},
	"store.copies":            {`0`, `2`, `"two"`},
	"store.timeout":           {`"0s"`, `"100"`, `100`},
	"store.retry":             {`"-1s"`, `1`},
	"store.seal_key_file":     {`"not-there"`, `1`},
	"store.sealing":           {`"on"`, `"adopt"`, `true`},
	"store.compress_above":    {`-1`, `"8 apples"`, `true`},
	"store.heal_rate":         {`-1`, `1000001`, `"fast"`},
	"store.embedded_bytes":    {`"1KiB"`, `"256"`, `1.5`},
}

// Every key of the session tier says what was given, where, and what is wanted.
func TestWrongValuesOfEveryKey(t *testing.T) {
	for table, of := range map[string]reflect.Type{"session": reflect.TypeFor[SessionConfig](), "store": reflect.TypeFor[StoreConfig]()} {
		for i := range of.NumField() {
			name := of.Field(i).Tag.Get("toml")
			if name == "-" || name == "" {
				continue
			}
			path := table + "." + name
			if len(wrongValues[path]) == 0 {
				t.Errorf("%s: no wrong value is tried", path)
			}
			for _, value := range wrongValues[path] {
				wantProblem(t, path, value)
			}
		}
	}
}

// wantProblem checks that a value of a key is a problem of that key in its line.
func wantProblem(t *testing.T, path, value string) {
	t.Helper()
	table, name, _ := strings.Cut(path, ".")
	tables := map[string][]string{"session": {`token = "t"`}, "store": {`nodes = ["n1=h:1"]`}}
	for i, line := range tables[table] {
		if strings.HasPrefix(line, name+" ") {
			tables[table] = append(tables[table][:i], tables[table][i+1:]...)
		}
	}
	var document strings.Builder
	line := 0
	for _, t := range []string{"session", "store"} {
		document.WriteString("[" + t + "]\n" + strings.Join(tables[t], "\n") + "\n")
		if t == table {
			line = strings.Count(document.String(), "\n") + 1
			fmt.Fprintf(&document, "%s = %s\n", name, value)
		}
	}
	_, _, err := ParseConfig("x.toml", document.String()+plainPool)
	want := fmt.Sprintf("x.toml:%d: %s: given ", line, path)
	if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), ", wanted ") {
		t.Errorf("%s = %s: %v, wanted %q and what is wanted", path, value, err, want)
	}
}

// A key file that cannot be used is named with its line, and nothing of a key is shown.
func TestBadKeyFiles(t *testing.T) {
	const secret = "U0VDUkVUU0VDUkVUU0VDUkVUU0VDUkVUU0VDUkVUU0U="
	for name, tc := range map[string]struct {
		text string
		mode os.FileMode
		want string
	}{
		"empty":                 {"", 0o600, "0 keys, wanted 1 to 64"},
		"only a comment":        {"# keys\n", 0o600, "0 keys"},
		"no id":                 {secret + "\n", 0o600, "line 1: 1 words"},
		"three words":           {"# keys\nk1 " + secret + " x\n", 0o600, "line 2: 3 words"},
		"no base64":             {"k1 " + secret[:20] + "!\n", 0o600, "line 1: a key that is not base64"},
		"too short":             {"k1 U0VDUkVU\n", 0o600, "line 1: a key of 6 bytes"},
		"an id twice":           {"k1 " + secret + "\nk1 " + secret + "\n", 0o600, `line 2: the key id "k1" a second time`},
		"others may read it":    {"k1 " + secret + "\n", 0o640, "only its owner can read"},
		"everybody may read it": {"k1 " + secret + "\n", 0o604, "only its owner can read"},
		"larger than any":       {"# " + strings.Repeat("x", 70_000) + "\n", 0o600, "bytes, wanted at most"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "keys")
			if err := os.WriteFile(path, []byte(tc.text), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(path, tc.mode); err != nil {
				t.Fatal(err)
			}
			_, _, err := ParseConfig("x.toml", "[session]\ntoken = \"t\"\n"+goodStore+fmt.Sprintf("seal_key_file = %q\n", path)+plainPool)
			if err == nil || !strings.Contains(err.Error(), "x.toml:5: store.seal_key_file: given ") || !strings.Contains(err.Error(), tc.want) ||
				!strings.Contains(err.Error(), path) {
				t.Errorf("%v, wanted file, line and %q", err, tc.want)
			}
			if err != nil && (strings.Contains(err.Error(), "U0VD") || strings.Contains(err.Error(), "SECRET")) {
				t.Errorf("the error shows a key: %v", err)
			}
		})
	}
	if _, _, err := ParseConfig("x.toml", "[session]\ntoken = \"t\"\n"+goodStore+fmt.Sprintf("seal_key_file = %q\n", t.TempDir())+plainPool); err == nil {
		t.Error("a folder was taken for a key file")
	}
}
