package protocol

import (
	"strings"
	"testing"

	"rehydra/e2e/harness"
)

// Section 5: an ended session stays ended, wherever a copy of it turns up.

func TestLogoutIsForEver(t *testing.T) {
	eachStore(t, func(t *testing.T, nodes []*harness.Memcached) {
		for name, answer := range map[string]reply{
			"head": gone("END.node1", "1.1"), "trailers": late("END.node1", "1.1", report("END.node1", "1.2", "ttl=1800; state=gone")),
			"trailers without a version": late("END.node1", "1.1", `Rehydra-Session: id="END.node1"; app="localhost/"; state=gone`),
			"read":                       pull("END.node1", "1.1"),
		} {
			t.Run(name, func(t *testing.T) {
				base := "END" + strings.ReplaceAll(name, " ", "")
				id := base + ".node1"
				for i := range answer.fields {
					answer.fields[i] = strings.ReplaceAll(answer.fields[i], "END", base)
				}
				for i := range answer.trailers {
					answer.trailers[i] = strings.ReplaceAll(answer.trailers[i], "END", base)
				}
				b := startScript(t, "node1", script{
					"/new": always(inline(id, "1.1", "secret")), "/logout": always(answer), "read": always(gone(id, "1.2").as("410 Gone")),
					"/late": always(inline(id, "1.9", "secret again")), "/again": always(inline(id, "1.1", "another")),
				})
				heir := startHeir(t, "node2")
				g := newRigOn(t, nodes, []*backend{b, heir})
				g.get("/new", "")
				g.get("/logout", id)
				// A slow request of the old session that ends after the logout brings nothing back.
				if r := g.send(query{target: "/late", cookie: id}); r.status != 200 && r.status != 503 {
					t.Errorf("status %d after the logout", r.status)
				}
				heir.forget()
				b.Down()
				if have, state := g.restored(heir, id); have != "gone" || state != "" {
					t.Errorf("another backend is told %q with %q, wanted gone", have, state)
				}
				// A new session under the same id starts over.
				b.Up()
				g.waitBackend(b, true)
				g.get("/again", id)
				b.Down()
				if have, state := g.restored(heir, id); have != "2.0" || state != "another" {
					t.Errorf("another backend is told %q with %q, wanted the new session", have, state)
				}
			})
		}
	})
}

// A login that renews the id ends the old one, in a head and in trailers.
func TestRenewedID(t *testing.T) {
	eachStore(t, func(t *testing.T, nodes []*harness.Memcached) {
		for _, where := range []string{"head", "trailers", "head of late", "pull"} {
			t.Run(where, func(t *testing.T) {
				suffix := strings.ReplaceAll(where, " ", "")
				before, after := "BEFORE"+suffix+".node1", "AFTER"+suffix+".node1"
				was := `was="` + before + `"; ttl=1800; state=`
				var login reply
				switch where {
				case "head":
					login = reply{fields: []string{report(after, "1.2", was+"inline"), stateField("user")}}
				case "trailers":
					login = late(before, "1.2", report(after, "1.2", was+"inline"), stateField("user"))
				case "head of late":
					login = reply{fields: []string{report(after, "1.2", was+"late")}, trailers: []string{report(after, "1.2", "ttl=1800; state=inline"), stateField("user")}}
				case "pull":
					login = reply{fields: []string{report(after, "1.2", was+"pull")}}
				}
				b := startScript(t, "node1", script{
					"/new": always(inline(before, "1.1", "guest")), "/login": always(login), "read": always(readAnswer(after, "1.2", "user")),
				})
				heir := startHeir(t, "node2")
				g := newRigOn(t, nodes, []*backend{b, heir})
				g.get("/new", "")
				g.get("/login", before)
				b.Down()
				if have, _ := g.restored(heir, before); have != "gone" {
					t.Errorf("of the id before the login another backend is told %q, wanted gone", have)
				}
				if have, state := g.restored(heir, after); !isVersion(have) || state != "user" {
					t.Errorf("of the id after the login another backend is told %q with %q", have, state)
				}
				g.isCounter("lost", 0)
			})
		}
	})
}

// A node that was cut off at the logout still holds a copy; it never wins, also when it is the only one to answer at first.
func TestNodeThatWasCutOffAtTheLogout(t *testing.T) {
	t.Parallel()
	for _, cut := range []int{0, 1} {
		nodes := twoNodes(t)
		m1, m2 := startModel(t, "node1"), startModel(t, "node2")
		g := newRigOn(t, nodes, []*backend{m1.backend, m2.backend})
		g.begin(m1, "CUTOFF", "secret")
		nodes[cut].Freeze(t)
		g.get("/logout", "CUTOFF.node1")
		g.waitNode(cut+1, false)
		nodes[cut].Thaw(t)
		m1.Down()
		if r := g.get("/get", "CUTOFF.node1"); r.body != "no session" {
			t.Errorf("node n%d brought %q back", cut+1, r.body)
		}
		g.waitNode(cut+1, true)
		if r := g.get("/get", "CUTOFF.node1"); r.body != "no session" {
			t.Errorf("node n%d, back, brought %q back", cut+1, r.body)
		}
		// The mark is on that node too by now: another proxy, that sees only this node, knows.
		harness.Eventually(t, "the mark is written to the node that was away", func() bool {
			keys := nodes[cut].Keys(t, "CUTOFF")
			if len(keys) != 1 {
				return false
			}
			value, ok := nodes[cut].Get(t, keys[0])
			return ok && !strings.Contains(string(value), "secret")
		})
		nodes[1-cut].Kill(t)
		other := newRigOn(t, nodes, []*backend{m1.backend, m2.backend})
		if r := other.get("/get", "CUTOFF.node2"); r.body != "no session" {
			t.Errorf("another proxy brought %q back", r.body)
		}
	}
}

// A backend that nobody told of a logout has the session still, in its first version, and an adapter that says so is believed as far as it goes: the
// proxy that did not see the logout stores the session anew, since a node came back empty, and must not bring it back to life by that.
func TestFirstVersionThatWasKeptPastItsEnd(t *testing.T) {
	t.Parallel()
	nodes := twoNodes(t)
	m1, m2 := startModel(t, "node1"), startModel(t, "node2")
	proxies := disagreeing(t, nodes, m1, m2)
	unaware, ending := proxies[0], proxies[1]
	unaware.get("/new?id=KEPT", "0000.node1")
	unaware.wantCounter("saves", 1)
	if r := ending.get("/logout", "KEPT.node1"); r.header.Get("X-Node") != "node2" {
		t.Fatalf("the logout was at %s, wanted node2", r.header.Get("X-Node"))
	}
	unaware.waitNode(1, true)
	nodes[0].Kill(t)
	unaware.get("/get", "0000.node1")
	unaware.waitNode(1, false)
	nodes[0].Restart(t)
	unaware.waitNode(1, true)
	unaware.get("/get", "KEPT.node1")
	if r := ending.get("/get", "KEPT.node2"); r.body != "no session" {
		t.Errorf("after the logout %q is there", r.body)
	}
	if r := unaware.get("/get", "KEPT.node1"); r.body != "no session" {
		t.Errorf("after the logout node1 still serves %q", r.body)
	}
	if m1.session("KEPT") != nil {
		t.Error("node1 still has it")
	}
}
