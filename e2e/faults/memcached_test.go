package faults

import (
	"fmt"
	"testing"
	"time"
)

// patientStore is for tests whose memcacheds stand still for long or not at all: a loaded machine may do so for a moment.
const patientStore = `timeout = "2s"`

// nodeTrouble is what may happen to a memcached, and how it ends.
var nodeTrouble = []struct {
	name        string
	begin, over func(*shop)
}{
	{"killed", func(s *shop) { s.nodes[0].Kill(s.t) }, func(s *shop) { s.nodes[0].Restart(s.t) }},
	{"paused", func(s *shop) { s.nodes[0].Freeze(s.t) }, func(s *shop) { s.nodes[0].Thaw(s.t) }},
}

// A memcached is in trouble while users work and comes back, then the owner of half of the sessions is killed: no answer is a 5xx, and nothing
// is lost.
func TestMemcachedInTrouble(t *testing.T) {
	for _, c := range nodeTrouble {
		t.Run(c.name, func(t *testing.T) {
			s := newShop(t, 2)
			us := s.login(60)
			during(us, func() {
				pause(200 * time.Millisecond)
				c.begin(s)
				pause(pauseFor / 2)
				c.over(s)
				pause(500 * time.Millisecond)
			}).check(t, "a memcached was "+c.name, false)
			s.backends[0].Kill(t)
			all(us, 32, (*user).increment).check(t, "then a backend was killed", false)
			t.Logf("unprotected answers: %.0f", s.proxy.Metric(t, "rehydra_session_unprotected_total"))
		})
	}
}

// A memcached and a backend are gone before any user could make another request: the other copy is all there is.
func TestMemcachedAndBackend(t *testing.T) {
	for _, c := range nodeTrouble {
		t.Run(c.name, func(t *testing.T) {
			s := newShop(t, 2, patientStore) // the node that is left must be heard
			us := s.login(200)
			c.begin(s)
			s.backends[0].Kill(t)
			all(us, 32, (*user).increment).check(t, "a memcached was "+c.name+" and a backend killed", false)
		})
	}
}

func TestMemcachedEmptied(t *testing.T) {
	const users, limit = 300, time.Minute
	s := newShop(t, 2, patientStore)
	us := s.login(users)
	s.nodes[0].Kill(t)
	s.nodes[0].Restart(t)
	began := time.Now()
	want := (users*99 + 99) / 100
	two := 0
	for two < want && time.Since(began) < limit {
		all(us, 16, (*user).read).check(t, "users read", false)
		two = 0
		for _, u := range us {
			if len(s.nodes[0].Keys(t, u.base())) == 1 && len(s.nodes[1].Keys(t, u.base())) == 1 {
				two++
			}
		}
	}
	took := time.Since(began)
	t.Logf("%d of %d active sessions have two copies %v after a memcached came back empty", two, users, took.Round(time.Millisecond))
	if two < want {
		t.Errorf("%d of %d sessions have two copies, wanted %d within %v", two, users, want, limit)
	}
}

func TestNoMemcached(t *testing.T) {
	s := newShop(t, 2, patientStore)
	us := s.login(60)
	during(us, func() {
		for _, n := range s.nodes {
			n.Kill(t)
		}
		pause(pauseFor)
	}).check(t, fmt.Sprintf("no memcached for %v", pauseFor), false)
	for _, n := range s.nodes {
		n.Restart(t)
	}
	s.waitStoreNode("n1", 1)
	s.waitStoreNode("n2", 1)
	all(us, 16, (*user).read).check(t, "they are back, empty", false) // each session is stored again with its next request
	s.backends[0].Kill(t)
	all(us, 32, (*user).increment).check(t, "then a backend was killed", false)
}
