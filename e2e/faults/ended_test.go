package faults

import (
	"fmt"
	"net/http"
	"testing"

	"rehydra/e2e/harness"
)

// logout ends the session.
func (u *user) logout() (wrong string, status int, err error) {
	_, status, _, err = u.send(http.MethodPost, "/logout")
	return "", status, err
}

// ended looks whether the session is gone: the same cookie must lead to a new one.
func (u *user) ended() (wrong string, status int, err error) {
	value, status, cookie, err := u.send(http.MethodGet, "/value")
	if err == nil && (value != 0 || cookie == "" || cookie == u.cookie) {
		wrong = fmt.Sprintf("session %.8s is back, with value %d and cookie %.8s", u.cookie, value, cookie)
	}
	return wrong, status, err
}

// waitStoreNode waits until the proxy holds a memcached to be up or down.
func (s *shop) waitStoreNode(name string, up float64) {
	s.t.Helper()
	harness.Eventually(s.t, fmt.Sprintf("%s up: %v", name, up), func() bool {
		return s.proxy.Metric(s.t, `rehydra_store_node_up{node="`+name+`"}`) == up
	})
}

// Users log out while a memcached stands still, with their sessions in it. Then the only proxy, which remembers that, is killed. Nobody's session
// comes back: not while the memcached is away, not when it is back, and not when it is the only one that is left.
func TestLogoutOutlivesEveryProxy(t *testing.T) {
	const users = 50
	s := newShop(t, 2, patientStore)
	us := s.login(users)
	s.nodes[0].Freeze(t)
	s.waitStoreNode("n1", 0)
	all(us, 16, (*user).logout).check(t, "users log out", false)
	s.proxy.Kill(t)
	s.proxy = harness.Start(t, s.config)
	s.waitStoreNode("n1", 0)
	all(us, 16, (*user).ended).check(t, "a new proxy, and the memcached is away", false)
	s.nodes[0].Thaw(t)
	s.waitStoreNode("n1", 1)
	all(us, 16, (*user).ended).check(t, "the memcached is back, with the sessions", false)
	harness.Eventually(t, "n1 is healed", func() bool {
		m := s.proxy.Metrics(t)
		return m[`rehydra_store_node_heals_total{node="n1"}`] > 0 && m["rehydra_store_healing"] == 0
	})
	s.proxy.Kill(t) // with whatever it remembers
	s.nodes[1].Kill(t)
	s.proxy = harness.Start(t, s.config)
	s.waitStoreNode("n2", 0)
	all(us, 16, (*user).ended).check(t, "it is the only one that is left", false)
}
