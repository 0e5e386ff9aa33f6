package main

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"rehydra/adapters/conformance/goapp"
	rehydra "rehydra/adapters/go"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const token = "a token of the test"

// backend is adapters/go behind a real listener.
func backend(t *testing.T, wrap func(http.Handler) http.Handler) string {
	t.Helper()
	sessions, err := rehydra.New(rehydra.Options{Token: token, Route: "node1", App: "/shop"})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(wrap(sessions.Middleware(&goapp.App{})))
	t.Cleanup(server.Close)
	return server.URL + "/conformance"
}

func asIs(h http.Handler) http.Handler { return h }

func TestGoAdapterConforms(t *testing.T) {
	var out, errOut bytes.Buffer
	status := run(t.Context(), []string{"--url", backend(t, asIs), "--token", token}, &out, &errOut)
	if status != 0 {
		t.Errorf("exit status %d, wanted 0\n%s", status, errOut.String())
	}
	for line := range strings.Lines(out.String()) {
		if !strings.HasPrefix(line, "PASS") {
			t.Log(strings.TrimRight(line, "\n"))
		}
	}
	if n := strings.Count(out.String(), "PASS"); n < 60 {
		t.Errorf("%d checks passed, wanted all of more than 60", n)
	}
}

// TestFaultsAreFound breaks an adapter in one way at a time and wants the check that is about it to say so.
func TestFaultsAreFound(t *testing.T) {
	for _, c := range []struct {
		check string
		wrap  func(http.Handler) http.Handler
	}{
		{"session/none", without("Rehydra-Adapter")},
		{"session/new", without("Rehydra-State")},
		{"need/unknown", without("Rehydra-Need")},
		{"late/change", withoutTrailers},
		{"restore/contents", withoutRequestField("Rehydra-State")},
		{"need/newer", withoutRequestField("Rehydra-Have")},
		{"have/gone", withoutRequestField("Rehydra-Have")},
		{"token/wrong", withToken},
		{"token/operation", withToken},
		{"read/unchanged", withoutRequestField("If-None-Match")},
	} {
		t.Run(c.check, func(t *testing.T) {
			var out, errOut bytes.Buffer
			status := run(t.Context(), []string{"--url", backend(t, c.wrap), "--token", token, "--only", c.check}, &out, &errOut)
			if status != 1 || !strings.Contains(out.String(), "FAIL  "+c.check) {
				t.Errorf("exit status %d, wanted 1 and a failure\n%s%s", status, out.String(), errOut.String())
			}
		})
	}
}

func TestUsage(t *testing.T) {
	for _, c := range []struct {
		args []string
		want string
	}{
		{nil, `--url "" given`},
		{[]string{"--url", "127.0.0.1:8081"}, `--url "127.0.0.1:8081" given`},
		{[]string{"--url", "http://127.0.0.1:1/"}, "no --token given"},
		{[]string{"--url", "http://127.0.0.1:1/", "--token", "x", "more"}, `argument "more" given`},
		{[]string{"--url", "http://127.0.0.1:1/", "--token", "x", "--only", "nothing"}, `begins with "nothing"`},
		{[]string{"--url", "http://127.0.0.1:1/", "--token", "x"}, `cannot test "http://127.0.0.1:1/"`},
	} {
		var out, errOut bytes.Buffer
		if status := run(t.Context(), c.args, &out, &errOut); status != 2 || !strings.Contains(errOut.String(), c.want) {
			t.Errorf("%v: exit status %d, %q; wanted 2 and %q", c.args, status, errOut.String(), c.want)
		}
	}
}
