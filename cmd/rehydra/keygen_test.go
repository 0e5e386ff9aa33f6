package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"rehydra/sessiontier"
)

func TestKeygen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys")
	var out, errs bytes.Buffer
	if code := run([]string{"keygen", "--out", path, "--id", "first"}, &out, &errs); code != exitOK {
		t.Fatalf("exit %d: %s", code, errs.String())
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("the file has mode %v, %v; wanted 0600", info.Mode(), err)
	}
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if code := run([]string{"keygen", "--out", path}, &out, &errs); code != exitFailed || !strings.Contains(errs.String(), "it exists") {
		t.Errorf("over an existing file: exit %d: %s", code, errs.String())
	}
	if code := run([]string{"keygen", "--out", path, "--add", "--id", "second"}, &out, &errs); code != exitOK {
		t.Errorf("--add: exit %d: %s", code, errs.String())
	}
	if code := run([]string{"keygen", "--out", path, "--add", "--id", "second"}, &out, &errs); code != exitFailed {
		t.Errorf("--add of an id that is there: exit %d", code)
	}
	after, err := os.ReadFile(path)
	if err != nil || !bytes.HasPrefix(after, before) || !bytes.Contains(after, []byte("\nsecond ")) {
		t.Errorf("the file is %q, %v; wanted the first key and then the second", after, err)
	}
	if _, err := sessiontier.LoadKeyring(path); err != nil {
		t.Error(err)
	}
	for _, secret := range strings.Fields(string(after)) {
		if len(secret) > 20 && strings.Contains(out.String()+errs.String(), secret) {
			t.Error("a key was printed")
		}
	}
}
