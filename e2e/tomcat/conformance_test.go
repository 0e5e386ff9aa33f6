package tomcat

import (
	"strings"
	"testing"

	"rehydra/adapters/conformance/checks"
)

// TestConformance holds every Tomcat's adapter to the checks that hold for the adapters of all languages.
func TestConformance(t *testing.T) {
	for _, release := range Releases() {
		t.Run(release.Version, func(t *testing.T) {
			s := Start(t, Config{Release: release, Route: "node1"})
			target := checks.Target{URL: s.URL(Form + "/conformance"), Token: Token}
			passed := 0
			err := checks.Run(t.Context(), target, checks.All(), func(r checks.Result) {
				switch {
				case r.Passed():
					passed++
				case r.NotApplicable && !release.HasRenew():
					t.Logf("not applicable: %s: %s", r.Name, r.Reason)
				default:
					t.Errorf("%s: %s\n%s", r.Name, r.Rule, r.Reason)
				}
			})
			if err != nil {
				t.Fatalf("%v\n%s", err, s.logTail())
			}
			t.Logf("%d checks passed", passed)
			s.Stop()
			for _, line := range s.BadLines() {
				// One check sends states that cannot be read, on purpose.
				if !strings.Contains(line, "cannot install a session of") {
					t.Errorf("line in catalina.out: %s", line)
				}
			}
		})
	}
}
