package protocol

import (
	"testing"

	"rehydra/e2e/harness"
)

// An answer that was on its way while the backend was out says nothing of what happened to the session meanwhile: the next request
// looks, as the first one since the backend was out.
func TestAnswerFromBeforeABackendWasOut(t *testing.T) {
	t.Parallel()
	arrived, release := make(chan bool), make(chan bool)
	b := startScript(t, "node1", script{
		"/new": always(inline("SLOW.node1", "1.1", "x")), "/": always(same("SLOW.node1", "1.1")),
		"/slow": func(*call) reply {
			arrived <- true
			<-release
			return same("SLOW.node1", "1.1")
		},
	})
	g := newRig(t, []*backend{b})
	g.get("/new", "")
	g.get("/", "SLOW.node1")
	if have := b.requests()[1].have(); have != "" {
		t.Fatalf("a plain sticky request has Rehydra-Have %q", have)
	}
	slow := make(chan response)
	go func() { slow <- g.send(query{target: "/slow", cookie: "SLOW.node1"}) }()
	<-arrived
	b.StopListening()
	g.waitBackend(b, false)
	b.Up()
	g.waitBackend(b, true)
	release <- true
	if r := <-slow; r.status != 200 || r.err != nil {
		t.Fatalf("status %d, %v", r.status, r.err)
	}
	b.forget()
	g.get("/", "SLOW.node1")
	if have := b.requests()[0].have(); have == "" {
		t.Error("the first request since the backend was out has no Rehydra-Have")
	}
	harness.Eventually(t, "later ones need none", func() bool {
		b.forget()
		g.get("/", "SLOW.node1")
		return b.requests()[0].have() == ""
	})
}
