package protocol

import "testing"

// A backend that is restarted between an answer and the read which that makes necessary has forgotten what it said or changed. That is a save that
// failed, and not a session that ended.
func TestReadOfAForgottenSession(t *testing.T) {
	t.Parallel()
	const id = "FORGOT.node1"
	for _, c := range []struct {
		name        string
		answer      reply
		failure     string
		status      int
		unprotected float64
	}{
		{"changed", pull(id, "1.1"), "fail", 503, 1},
		{"changed, and no 503", pull(id, "1.1"), "respond", 200, 1},
		{"seen, and not stored", same(id, "1.2"), "fail", 503, 1},
		{"trailers lost", late(id, "1.1").as("204 No Content"), "fail", 503, 1},
		{"fields lost", reply{bare: true, body: "reset"}, "fail", 200, 0}, // it may have had nothing to say
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := startScript(t, "node1", script{
				"/new": always(inline(id, "1.1", "first")), "/": always(c.answer), "read": always(plain("").as("404 Not Found")),
			})
			heir := startHeir(t, "node2")
			g := newRig(t, []*backend{b, heir}, session(`save = "sync"`, `save_failure = "`+c.failure+`"`))
			g.get("/new", "0.node1")
			r := g.send(query{target: "/", cookie: id})
			if r.status != c.status && r.err == nil { // or it was cut off after its head
				t.Errorf("status %d, wanted %d", r.status, c.status)
			}
			g.isCounter("unprotected", c.unprotected)
			b.Down()
			if have, state := g.restored(heir, id); generation(have) < 2 || state != "first" {
				t.Errorf("another backend got %q and %q, wanted what was stored", have, state)
			}
		})
	}
}

// A backend that speaks of an older version than it had has forgotten those between, and whatever it makes of that version has a number that is
// taken: it is not acknowledged. Under an id that has begun anew an older version is nothing of the kind.
func TestBackendThatWentBack(t *testing.T) {
	t.Parallel()
	const id = "BACK.node1"
	for _, c := range []struct {
		name         string
		answer, read reply
		status       int
	}{
		{"changed", inline(id, "1.3", "other"), reply{}, 503},
		{"seen", same(id, "1.3"), readAnswer(id, "1.3", "other"), 503},
		{"asked", pull(id, "1.3"), readAnswer(id, "1.4", "other"), 503},
		{"read", pull(id, "1.5"), readAnswer(id, "1.4", "other"), 503},
		{"ended", gone(id, "1.3"), reply{}, 200},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := startScript(t, "node1", script{"/new": always(inline(id, "1.5", "five")), "/": always(c.answer), "read": always(c.read)})
			heir := startHeir(t, "node2")
			g := newRig(t, []*backend{b, heir}, session(`save = "sync"`))
			g.get("/new", "0.node1")
			if r := g.send(query{target: "/", cookie: id}); r.status != c.status {
				t.Errorf("status %d, wanted %d", r.status, c.status)
			}
			if c.status == 200 {
				return
			}
			g.isCounter("fenced", 1)
			b.Down()
			if have, state := g.restored(heir, id); generation(have) < 2 || state != "five" {
				t.Errorf("another backend got %q and %q, wanted what was stored", have, state)
			}
		})
	}
	t.Run("begun anew", func(t *testing.T) {
		t.Parallel()
		b := startScript(t, "node1", script{
			"/new": always(inline(id, "1.5", "five")), "/logout": always(gone(id, "1.5")), "/again": always(inline(id, "1.1", "one")),
			"/": always(same(id, "1.1")), "/add": always(inline(id, "1.2", "two")), "read": always(readAnswer(id, "1.1", "one")),
		})
		nodes := twoNodes(t)
		g, other := newRigOn(t, nodes, []*backend{b}), newRigOn(t, nodes, []*backend{b})
		g.get("/new", "0.node1")
		other.get("/logout", id)
		other.get("/again", "")
		g.get("/", id)
		g.get("/add", id)
		g.isCounter("fenced", 0)
	})
}

// A proxy stands still while a request of its own, which carries a session to another backend, is under way there. The session goes on at that backend through
// another proxy, and the backend is restarted. The next request through the first proxy must not carry there what was newest before.
func TestInstallIsNotRepeatedWhenTheSessionWentOn(t *testing.T) {
	t.Parallel()
	m1, m2 := startModel(t, "node1"), startModel(t, "node2")
	arrived, release := make(chan bool), make(chan bool)
	m2.before = func(q *call) bool {
		if q.path() != "/slow" || !isVersion(q.have()) {
			return false
		}
		state, _ := q.lookup("Rehydra-State")
		m2.mu.Lock()
		m2.install("ONCE", q.have(), decode(t, state))
		m2.mu.Unlock()
		arrived <- true
		<-release
		q.reply(same("ONCE.node2", q.have()))
		return true
	}
	nodes := twoNodes(t)
	g, other := newRigOn(t, nodes, []*backend{m1.backend, m2.backend}), newRigOn(t, nodes, []*backend{m1.backend, m2.backend})
	g.begin(m1, "ONCE", "1")
	g.warm(m2)
	other.warm(m2)
	m1.Down()
	g.waitBackend(m1.backend, false)
	other.waitBackend(m1.backend, false)
	slow := make(chan response, 1)
	go func() { slow <- g.send(query{target: "/slow", cookie: "ONCE.node1"}) }()
	<-arrived
	defer func() { close(release); <-slow }()
	wantAt(t, other.get("/add?text=2", "ONCE.node2"), m2, "12")
	m2.clear()
	wantAt(t, g.get("/get", "ONCE.node2"), m2, "12")
	wantAt(t, g.get("/add?text=3", "ONCE.node2"), m2, "123")
	wantAt(t, other.get("/get", "ONCE.node2"), m2, "123")
}
