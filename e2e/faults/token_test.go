package faults

import (
	"fmt"
	"testing"

	"rehydra/e2e/harness"
)

// The proxy's token is not the backends': their sessions are not kept, and the log says so, once for each backend. Users notice nothing, and nothing is asked
// over and over. When the token is put right, sessions are kept from then on.
func TestAnotherToken(t *testing.T) {
	s := calmShop(t, 2)
	s.proxy.Kill(t)
	right := s.config
	s.config.Session = append([]string{`token = "not-the-one-of-the-backends"`}, right.Session...)
	s.proxy = harness.Start(t, s.config)
	const users, rounds = 20, 5
	us := s.login(users)
	for range rounds {
		all(us, 8, (*user).increment).check(t, "the token is another one", false)
	}
	without := harness.Message("backend without a session adapter")
	for _, route := range []string{"node1", "node2"} {
		s.proxy.WaitEvent(t, "it is said of "+route, func(e harness.Event) bool { return without(e) && e.Text("backend") == route })
	}
	if n := len(s.proxy.Events(without)); n != 2 {
		t.Errorf("it is said %d times, wanted once for each of two backends", n)
	}
	m := s.proxy.Metrics(t)
	sent := 0.0
	for i := range s.backends {
		sent += m[fmt.Sprintf(`rehydra_backend_requests_total{backend="node%d",pool="shop"}`, i+1)]
	}
	if want := float64(users * (rounds + 1)); sent != want {
		t.Errorf("the backends got %v requests, wanted %v: one for each of a user's", sent, want)
	}
	if m["rehydra_session_saves_total"] != 0 || m["rehydra_session_restores_total"] != 0 {
		t.Errorf("%v saves and %v restores, wanted none", m["rehydra_session_saves_total"], m["rehydra_session_restores_total"])
	}
	s.proxy.Reload(t, right)
	all(us, 8, (*user).increment).check(t, "the token is right", false)
	for _, route := range []string{"node1", "node2"} {
		s.proxy.WaitEvent(t, "it is taken back of "+route, func(e harness.Event) bool {
			return harness.Message("backend with a session adapter")(e) && e.Text("backend") == route
		})
	}
	s.backends[0].Kill(t)
	all(us, 8, (*user).increment).check(t, "then a backend was killed", false)
}
