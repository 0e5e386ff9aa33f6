package seal

import (
	"bytes"
	"testing"

	"rehydra/e2e/harness"
)

// heals is how often a node was completed.
func (s *site) heals(name string) float64 {
	s.t.Helper()
	return s.proxy.Metric(s.t, `rehydra_store_node_heals_total{node="`+name+`"}`)
}

// change makes one documented step: files are changed already, lines are those of [store] beside the nodes. seals says that it changes what is written:
// then the operator waits until healing has sealed everything anew.
func (s *site) change(seals bool, lines ...string) {
	s.t.Helper()
	before := min(s.heals("n1"), s.heals("n2"))
	s.cfg.Store = append(append(harness.Nodes(s.store.nodes...), `timeout = "3s"`), lines...)
	s.proxy.Reload(s.t, s.cfg)
	if seals {
		harness.Eventually(s.t, "healing has sealed what there is", func() bool {
			return s.proxy.Metric(s.t, "rehydra_store_healing") == 0 && min(s.heals("n1"), s.heals("n2")) > before
		})
	}
}

// wantKept checks that idle sessions are all there after their owner's death, and that nobody's copy was refused.
func (s *site) wantKept(users []*user) {
	s.t.Helper()
	s.node1.kill(s.t)
	for _, u := range users {
		if got := s.ask(u, "/"); got != "kept" {
			s.t.Errorf("%q, want kept", got)
		}
	}
	if n := s.proxy.Metric(s.t, "rehydra_session_copies_corrupt_total"); n != 0 {
		s.t.Errorf("%.0f copies were not believed", n)
	}
}

// TestKeysRotateWithoutLosingASession goes the documented steps, with sessions from before, between and after them that nobody uses meanwhile.
func TestKeysRotateWithoutLosingASession(t *testing.T) {
	s := startSite(t)
	users := s.begin(20, "kept")
	s.writeKeys("old", "new")
	s.change(false, s.keyLine()) // 1: every proxy can read the new key
	users = append(users, s.begin(20, "kept")...)
	s.writeKeys("new", "old")
	s.change(true, s.keyLine()) // 2: it seals from now on
	users = append(users, s.begin(20, "kept")...)
	s.writeKeys("new")
	s.change(false, s.keyLine()) // 3
	s.wantKept(users)
}

// TestSealingBeginsAndEndsWithoutLosingASession goes the documented steps of both, with idle sessions, and without a restart.
func TestSealingBeginsAndEndsWithoutLosingASession(t *testing.T) {
	s := prepareSite(t)
	s.start()
	users := s.begin(20, "kept")
	shows := func(step string, want bool) {
		t.Helper()
		for _, u := range users {
			for i, b := range s.store.copies(t, u.base()) {
				if got := bytes.Contains(b, []byte("kept")); got != want {
					t.Fatalf("%s: that node %d shows a session's text is %t, want %t", step, i+1, got, want)
				}
			}
		}
	}
	shows("no keys", true)
	s.writeKeys("one")
	s.change(false, s.keyLine(), `sealing = "off"`)
	users = append(users, s.begin(20, "kept")...)
	shows("off", true)
	s.change(true, s.keyLine(), `sealing = "adopt"`)
	users = append(users, s.begin(20, "kept")...)
	shows("adopt", false)
	s.change(false, s.keyLine())
	users = append(users, s.begin(20, "kept")...)
	shows("strict", false)
	s.change(false, s.keyLine(), `sealing = "adopt"`)
	s.change(true, s.keyLine(), `sealing = "off"`)
	shows("off again", true)
	s.change(false)
	shows("no keys again", true)
	s.wantKept(users)
}

// TestSealingNotAtOnce: a change that would make what is stored unreadable is refused, and nothing changes.
func TestSealingNotAtOnce(t *testing.T) {
	s := prepareSite(t)
	s.start()
	users := s.begin(5, "kept")
	s.writeKeys("one")
	before := s.cfg
	s.cfg.Store = append(append([]string{}, s.cfg.Store...), s.keyLine())
	s.proxy.TryReload(t, s.cfg)
	s.proxy.WaitEvent(t, "the change is refused", func(e harness.Event) bool {
		return bytes.Contains([]byte(e.Text("error")), []byte(`wanted sealing = "adopt" first, or a restart`))
	})
	s.cfg = before
	s.proxy.Reload(t, s.cfg)
	s.wantKept(users)
}
