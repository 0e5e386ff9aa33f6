package upgrade

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/coreos/go-systemd/v22/unit"

	"rehydra/e2e/harness"
)

const configs = "../../configs"

// options of a unit file, by section and name; of one that stands there twice, all values.
func unitOptions(t *testing.T, name string) map[string][]string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(configs, name))
	if err != nil {
		t.Fatal(err)
	}
	list, err := unit.DeserializeOptions(bytes.NewReader(text))
	if err != nil {
		t.Fatalf("cannot read %s: %v", name, err)
	}
	all := make(map[string][]string)
	for _, o := range list {
		all[o.Section+"."+o.Name] = append(all[o.Section+"."+o.Name], o.Value)
	}
	return all
}

// TestUnitFiles: what the shipped units say is what the program does, and what keeps it in its place.
func TestUnitFiles(t *testing.T) {
	for file, wants := range map[string]map[string]string{
		"rehydra.service": {
			"Service.Type":                  "notify",
			"Service.NotifyAccess":          "main",
			"Service.ExecStart":             "/usr/local/bin/rehydra serve --config /etc/rehydra/rehydra.toml",
			"Service.ExecReload":            "/bin/kill -HUP $MAINPID",
			"Service.KillMode":              "mixed",
			"Service.LimitNOFILE":           "262144",
			"Service.User":                  "rehydra",
			"Service.AmbientCapabilities":   "CAP_NET_BIND_SERVICE",
			"Service.CapabilityBoundingSet": "CAP_NET_BIND_SERVICE",
			"Service.NoNewPrivileges":       "yes",
			"Service.ProtectSystem":         "strict",
			"Service.SystemCallFilter":      "@system-service ~@privileged",
		},
		"rehydra.socket": {
			"Socket.Service":            "rehydra.service",
			"Socket.FileDescriptorName": "http",
		},
	} {
		has := unitOptions(t, file)
		for name, want := range wants {
			if got := strings.Join(has[name], " "); got != want {
				t.Errorf("%s: %s is %q, wanted %q", file, name, got, want)
			}
		}
	}
}

// TestUnitFilesInSystemd: systemd itself finds no fault in them, and little that the service could do beside its work.
func TestUnitFilesInSystemd(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"rehydra.service", "rehydra.socket"} {
		text, err := os.ReadFile(filepath.Join(configs, name))
		if err != nil {
			t.Fatal(err)
		}
		here := strings.ReplaceAll(string(text), "/usr/local/bin/rehydra", harness.Binary(t)) // it wants the program to be there
		if err := os.WriteFile(filepath.Join(dir, name), []byte(here), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, args := range [][]string{
		{"verify", "./rehydra.service", "./rehydra.socket"},
		{"security", "--offline=yes", "--threshold=20", "--no-pager", "./rehydra.service"}, // of 100
	} {
		cmd := exec.CommandContext(t.Context(), "systemd-analyze", args...)
		cmd.Dir = dir
		out, err := cmd.CombinedOutput()
		if err != nil || args[0] == "verify" && len(out) > 0 {
			t.Errorf("systemd-analyze %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
}
