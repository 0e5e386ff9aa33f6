package sessiontier

import (
	"slices"
	"strings"
	"testing"
)

// TestNodeStats: whoever looks sees why a node is not used, how often that was, and no reason any more when it is back.
func TestNodeStats(t *testing.T) {
	servers := startServers(t, 2)
	p := openTier(t, servers, func(c *Config) { c.FailoverOnly = []string{"n2"} })
	if got := p.Stats().Nodes; len(got) != 2 || !got[0].Up || got[0].Outs != 0 || got[0].Reason != "" || got[0].FailoverOnly || !got[1].FailoverOnly {
		t.Fatalf("at the start: %+v, wanted both up, never out, and n2 for fail-over only", got)
	}
	servers[0].kill()
	p.waitNode(t, 0, false)
	got := p.Stats().Nodes[0]
	told := slices.ContainsFunc([]string{"refused", "reset", "EOF"}, func(reason string) bool { return strings.Contains(got.Reason, reason) }) // it may have been asked as it died
	if got.Up || got.Outs != 1 || !told || got.Errors == 0 {
		t.Errorf("killed: %+v, wanted it down once, with errors, being refused or broken off", got)
	}
	servers[0].start()
	p.waitNode(t, 0, true)
	if got := p.Stats().Nodes[0]; !got.Up || got.Outs != 1 || got.Reason != "" || got.Failures != 0 {
		t.Errorf("back: %+v, wanted it up, down once before, and no reason", got)
	}
}
