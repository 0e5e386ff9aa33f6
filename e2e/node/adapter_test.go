package node

import (
	"os/exec"
	"testing"

	"rehydra/adapters/conformance/checks"
	"rehydra/e2e/harness"
)

// TestPackage runs the package's own tests.
func TestPackage(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), "node", "--test")
	cmd.Dir = packageDir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("node --test: %v\n%s", err, out)
	}
}

// TestConformance holds the adapter to the checks that hold for the adapters of all languages, under both Expresses that are in use.
func TestConformance(t *testing.T) {
	for _, express := range []string{"express", "express4"} {
		t.Run(express, func(t *testing.T) {
			s := newServer(t, "node1", express)
			passed := 0
			target := checks.Target{URL: "http://" + s.address + "/conformance", Token: harness.Token}
			err := checks.Run(t.Context(), target, checks.All(), func(r checks.Result) {
				if r.Passed() {
					passed++
					return
				}
				t.Errorf("%s: %s\n%s", r.Name, r.Rule, r.Reason)
			})
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("%d checks passed", passed)
			s.kill()
			if s.output.Len() > 0 {
				t.Errorf("node wrote:\n%s", s.output.String())
			}
		})
	}
}
