package admin

import (
	"bytes"
	"encoding/json"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"rehydra/e2e/harness"
)

// run runs the binary and returns its exit code and output.
func run(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errors_ bytes.Buffer
	cmd := exec.CommandContext(t.Context(), harness.Binary(t), args...)
	cmd.Stdout, cmd.Stderr = &out, &errors_
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), out.String(), errors_.String()
}

// TestSessionCommand: the same as the API, for people and for programs.
func TestSessionCommand(t *testing.T) {
	c := startCluster(t, 2)
	p := harness.Start(t, c.config)
	u := newUser(t, p)
	u.count(1)
	code, out, stderr := run(t, "session", u.id, "--admin", p.Admin())
	if code != 0 || stderr != "" {
		t.Fatalf("exit code %d, stderr %q", code, stderr)
	}
	for _, line := range []string{
		`(?m)^session +` + u.base()[:8] + `…$`, `(?m)^pool +shop$`, `(?m)^app +localhost/shop$`, `(?m)^state +stored$`, `(?m)^version +1\.1$`,
		`(?m)^owner +` + u.route() + ` \(up\)$`, `(?m)^lives for +30m0s of inactivity$`,
		`(?m)^this proxy +saw it at ` + u.route() + ` \S+ ago; knows version 1\.1 in the store$`, `(?m)^NODE +HOLDS +VERSION +OWNER +BYTES +WRITTEN +TTL`,
		`(?m)^n1 +present +1\.1 +` + u.route() + ` +\d+ +\S+ ago +30m0s +newest *$`, `(?m)^n2 +present `,
	} {
		if !regexp.MustCompile(line).MatchString(out) {
			t.Errorf("no line %s in\n%s", line, out)
		}
	}
	if strings.Contains(out, u.base()) {
		t.Errorf("the whole id is in\n%s", out)
	}

	code, out, _ = run(t, "session", u.base(), "--admin", p.Admin(), "--json")
	var a sessionsAnswer
	if err := json.Unmarshal([]byte(out), &a); err != nil || code != 0 || len(a.Sessions) != 1 || a.Sessions[0].Owner != u.route() {
		t.Errorf("--json: exit code %d, %v in\n%s", code, err, out)
	}
	id := u.id
	u.get("/shop/end")
	if code, out, _ := run(t, "session", id, "--admin", p.Admin(), "--pool", "shop", "--app", app); code != 0 ||
		!regexp.MustCompile(`(?m)^state +ended`).MatchString(out) || !regexp.MustCompile(`(?m)^n1 +tombstone `).MatchString(out) {
		t.Errorf("after the logout: exit code %d\n%s", code, out)
	}
}

// TestSessionCommandWithAConfiguration finds the admin listener by itself.
func TestSessionCommandWithAConfiguration(t *testing.T) {
	c := startCluster(t, 1)
	p := harness.Start(t, c.config)
	u := newUser(t, p)
	u.count(1)
	_, port, err := net.SplitHostPort(p.Admin())
	if err != nil {
		t.Fatal(err)
	}
	for name, listen := range map[string]string{"as it is": p.Admin(), "everywhere": "0.0.0.0:" + port, "everywhere, short": ":" + port} {
		file := writeConfig(t, c.config, listen)
		if code, out, stderr := run(t, "session", u.id, "--config", file); code != 0 || !strings.Contains(out, "localhost/shop") {
			t.Errorf("%s: exit code %d, %s %s", name, code, out, stderr)
		}
	}
}

// writeConfig writes a configuration whose admin listener is at listen.
func writeConfig(t *testing.T, c harness.Config, listen string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "rehydra.toml")
	text := strings.Replace(c.TOML(), "[admin]\nlisten = \"127.0.0.1:0\"", "[admin]\nlisten = \""+listen+"\"", 1)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// TestSessionCommandFails: exit code 2 for whoever uses it wrongly, 1 where there is nothing to tell, and a sentence for both.
func TestSessionCommandFails(t *testing.T) {
	c := startCluster(t, 1)
	p := harness.Start(t, c.config)
	nobody := harness.FreeAddress(t)
	bad := filepath.Join(t.TempDir(), "bad.toml")
	if err := os.WriteFile(bad, []byte("[serfer]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	const secret = "SECRETSECRETSECRET"
	for _, tc := range []struct {
		args     string
		code     int
		sentence string
	}{
		{"", 2, "given 0 session ids, wanted one"},
		{"A B", 2, "given 2 session ids, wanted one"},
		{".node1", 2, `given ".node1", wanted a session id`},
		{"a/b", 2, `given "a/b", wanted a session id`},
		{strings.Repeat("A", 201), 2, "wanted a session id"},
		{"A --admin nonsense", 2, `--admin: given "nonsense", wanted "host:port"`},
		{"A --admin 127.0.0.1:0", 2, `wanted "host:port"`},
		{"A --admin x:1 --config y", 2, "config"},
		{"A --nosuch", 2, "unknown flag: --nosuch"},
		{"A --config " + bad, 2, "serfer: given an unknown key"},
		{"A --config " + bad + "x", 2, "wanted a readable file"},
		{"A --config " + writeConfig(t, c.config, ""), 1, "its admin listener is off"},
		{"A --config " + writeConfig(t, c.config, "127.0.0.1:0"), 1, "with --admin"},
		{secret + " --admin " + nobody, 1, "cannot reach the admin listener at " + nobody},
		{secret + " --admin " + p.Admin(), 1, "no session of that id is known here or in the store\nlooked in shop:/, shop:localhost/, shop:localhost/shop, shop:localhost/status; --app"},
		{"A --pool nosuch --admin " + p.Admin(), 1, `given pool "nosuch", wanted one that keeps sessions: shop`},
		{"A --admin " + p.Address(), 1, "it is not the admin listener"},
	} {
		code, out, stderr := run(t, append([]string{"session"}, strings.Fields(tc.args)...)...)
		if code != tc.code || out != "" || !strings.Contains(stderr, tc.sentence) || strings.Contains(stderr, secret) {
			t.Errorf("rehydra session %s: exit code %d, stdout %q, stderr %q; wanted %d and %q", tc.args, code, out, stderr, tc.code, tc.sentence)
		}
	}
	code, out, _ := run(t, "session", "A", "--json", "--admin", p.Admin())
	var a sessionsAnswer
	if err := json.Unmarshal([]byte(out), &a); err != nil || code != 1 || a.Error == "" {
		t.Errorf("--json of nothing: exit code %d, %v in %q", code, err, out)
	}
}
