package protocol

import (
	"testing"

	"rehydra/e2e/harness"
)

// A session that another proxy ended is not served any longer by a backend that still has it than until its copies are due.
func TestSessionEndedThroughAnotherProxy(t *testing.T) {
	t.Parallel()
	short := func(state string) reply {
		return reply{fields: []string{report("ELSE.node1", "1.1", "ttl=8; state="+state)}, body: "ok"}
	}
	nodes := twoNodes(t)
	b := startScript(t, "node1", script{
		"/new": always(short("inline").with(stateField("x"))), "/": always(short("same")), "/logout": always(short("gone")),
	})
	g, other := newRigOn(t, nodes, []*backend{b}), newRigOn(t, nodes, []*backend{b})
	g.get("/new", "")
	other.get("/logout", "ELSE.node1")
	harness.Eventually(t, "the backend is asked whether it has what the store has", func() bool {
		b.forget()
		g.get("/", "ELSE.node1")
		return b.requests()[0].have() != ""
	})
}

// What was acknowledged before a stop is stored before the process ends, also where the backend has yet to be asked for it.
func TestStopWaitsForReads(t *testing.T) {
	t.Parallel()
	nodes := twoNodes(t)
	asked, release := make(chan bool), make(chan bool)
	b := startScript(t, "node1", script{
		"/new": always(inline("STOP.node1", "1.1", "old")), "/": always(pull("STOP.node1", "1.2")),
		"read": func(q *call) reply {
			asked <- true
			<-release
			return readAnswer(q.id(), "1.2", "new")
		},
	})
	heir := startHeir(t, "node2")
	g := newRigOn(t, nodes, []*backend{b, heir}, session(`save = "async"`))
	g.get("/new", "0.node1")
	g.get("/", "STOP.node1")
	<-asked
	stopped := make(chan bool)
	go func() {
		defer close(stopped)
		g.proxy.Stop(t)
	}()
	g.proxy.WaitEvent(t, "draining", harness.Message("draining"))
	release <- true
	<-stopped
	b.Down()
	next := newRigOn(t, nodes, []*backend{b, heir})
	if have, state := next.restored(heir, "STOP.node1"); have != "2.0" || state != "new" {
		t.Errorf("another backend got %q and %q, wanted what was acknowledged", have, state)
	}
}
