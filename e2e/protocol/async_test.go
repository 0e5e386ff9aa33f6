package protocol

import (
	"fmt"
	"strings"
	"testing"

	"rehydra/e2e/harness"
)

// Section 5, save = "async".

func TestAsyncStoresAfterTheResponse(t *testing.T) {
	eachStore(t, func(t *testing.T, nodes []*harness.Memcached) {
		m1, m2 := startModel(t, "node1"), startModel(t, "node2")
		g := newRigOn(t, nodes, []*backend{m1.backend, m2.backend}, session(`save = "async"`))
		g.begin(m1, "ASYNC", "a")
		for _, how := range []string{"inline", "late", "pull"} {
			g.get("/add?text=b&how="+how, "ASYNC.node1")
		}
		g.wantCounter("saves", 5)
		m1.Down()
		wantAt(t, g.get("/get", "ASYNC.node1"), m2, "abbb")
		g.isCounter("unprotected", 0)
	})
}

// A response does not wait for a store that does not answer, and of a session that waits the newest version is what is stored.
func TestAsyncKeepsTheNewest(t *testing.T) {
	t.Parallel()
	nodes := twoNodes(t)
	m1, m2 := startModel(t, "node1"), startModel(t, "node2")
	g := newRigOn(t, nodes, []*backend{m1.backend, m2.backend},
		session(`save = "async"`, `save_timeout = "1m"`), store(`timeout = "1m"`)) // longer than a client waits
	g.begin(m1, "NEW", "0")
	g.wantCounter("saves", 2)
	sets := nodes[0].Stat(t, "cmd_set")
	nodes[0].Freeze(t)
	nodes[1].Freeze(t)
	for i := 1; i <= 9; i++ {
		g.get(fmt.Sprintf("/add?text=%d", i), "NEW.node1") // which does not wait for the store
	}
	nodes[0].Thaw(t)
	nodes[1].Thaw(t)
	harness.Eventually(t, "the newest version is stored", func() bool {
		keys := nodes[0].Keys(t, "NEW")
		if len(keys) == 0 {
			return false
		}
		value, ok := nodes[0].Get(t, keys[0])
		return ok && strings.Contains(string(value), "0123456789")
	})
	if n := nodes[0].Stat(t, "cmd_set") - sets; n > 5 {
		t.Errorf("%d writes of 9 versions that waited together, wanted only the newest", n)
	}
	m1.Down()
	wantAt(t, g.get("/get", "NEW.node1"), m2, "0123456789")
}

// `async_queue` bounds how many sessions wait. While the store hangs, responses go out all the same, and what finds no room is dropped and counted: nothing
// else is. A session that waits already takes no more room for its newer versions.
func TestAsyncQueueIsBounded(t *testing.T) {
	t.Parallel()
	nodes := twoNodes(t)
	m1, m2 := startModel(t, "node1"), startModel(t, "node2")
	const room, most = 3, 60
	g := newRigOn(t, nodes, []*backend{m1.backend, m2.backend}, session(`save = "async"`, fmt.Sprintf("async_queue = %d", room)), store(`timeout = "60s"`))
	for i := range most {
		base := fmt.Sprintf("ROOM%d", i)
		g.begin(m1, base, "old")
		g.wantCounter("saves", float64(2*(i+1))) // none of these may be dropped
	}
	for _, n := range nodes {
		n.Freeze(t)
	}
	sent := 0
	for ; g.counter("saves_dropped") == 0; sent++ { // first those that save take theirs, then the room is filled
		if sent == most {
			t.Fatalf("%d sessions wait, wanted %d at most, and those that are being saved", sent, room)
		}
		g.get("/add?text=new", fmt.Sprintf("ROOM%d.node1", sent))
	}
	const saving = 8
	if queued := g.proxy.Metric(t, "rehydra_session_saves_queued"); queued > room+saving {
		t.Errorf("%v are queued, wanted %d at most that wait and %d that are being saved", queued, room, saving)
	}
	waiting := fmt.Sprintf("ROOM%d", sent-2) // the last one that found room
	g.get("/add?text=er", waiting+".node1")
	g.isCounter("saves_dropped", 1)
	for _, n := range nodes {
		n.Thaw(t)
	}
	g.proxy.WaitMetric(t, "rehydra_session_saves_queued", 0)
	saved, unprotected := g.counter("saves"), g.counter("unprotected")
	if int(saved+unprotected) != 2*most+sent+1 || unprotected < 1 {
		t.Errorf("%v changes were saved and %v are unprotected, wanted %d in all", saved, unprotected, 2*most+sent+1)
	}
	m1.Down()
	wantAt(t, g.get("/get", fmt.Sprintf("ROOM%d.node1", sent-1)), m2, "old") // what async may lose
	if unprotected == 1 {                                                    // else the store hung for so long that saves were given up
		wantAt(t, g.get("/get", waiting+".node1"), m2, "oldnewer")
	}
}

// What is queued at SIGTERM was acknowledged: it is stored before the process ends.
func TestAsyncQueueOutlivesSIGTERM(t *testing.T) {
	t.Parallel()
	nodes := twoNodes(t)
	m1, m2 := startModel(t, "node1"), startModel(t, "node2")
	g := newRigOn(t, nodes, []*backend{m1.backend, m2.backend}, session(`save = "async"`))
	for i := range 20 {
		g.begin(m1, fmt.Sprintf("TERM%d", i), "x")
	}
	g.proxy.Stop(t)
	m1.Down()
	other := newRigOn(t, nodes, []*backend{m1.backend, m2.backend})
	for i := range 20 {
		wantAt(t, other.get("/get", fmt.Sprintf("TERM%d.node1", i)), m2, "x")
	}
}

// The end of a session does not wait in the queue: a version that does must not bring it back.
func TestAsyncEndOvertakesTheQueue(t *testing.T) {
	t.Parallel()
	nodes := twoNodes(t)
	m1, m2 := startModel(t, "node1"), startModel(t, "node2")
	g := newRigOn(t, nodes, []*backend{m1.backend, m2.backend}, session(`save = "async"`))
	for i := range 20 {
		base := fmt.Sprintf("OVER%d", i)
		g.begin(m1, base, "x")
		g.get("/add?text=y", base+".node1")
		g.get("/logout", base+".node1")
	}
	g.proxy.Stop(t)
	m1.Down()
	other := newRigOn(t, nodes, []*backend{m1.backend, m2.backend})
	for i := range 20 {
		if r := other.get("/get", fmt.Sprintf("OVER%d.node1", i)); r.body != "no session" {
			t.Errorf("after the logout %q is there", r.body)
		}
	}
}

// SIGHUP: what the proxy knows of sessions stays, with the embedded store too, and what the file says new holds from then on.
func TestReloadKeepsSessions(t *testing.T) {
	eachStore(t, func(t *testing.T, nodes []*harness.Memcached) {
		m1, m2 := startModel(t, "node1"), startModel(t, "node2")
		g := newRigOn(t, nodes, []*backend{m1.backend, m2.backend})
		g.begin(m1, "HUP", "x")
		m1.forget()
		cfg := g.cfg
		cfg.Session = append([]string{`save_failure = "fail"`, "inline_limit = 10"}, cfg.Session...)
		g.proxy.Reload(t, cfg)
		wantAt(t, g.get("/get", "HUP.node1"), m1, "x")
		if q := m1.requests(); len(q) != 1 || q[0].have() != "" {
			t.Errorf("%d requests, the first with Rehydra-Have %q: the proxy forgot that the session is there", len(q), q[0].have())
		}
		if n := len(m1.operations()); n != 0 {
			t.Errorf("%d reads after the reload: the proxy forgot that the session is stored", n)
		}
		wantAt(t, g.get("/add?text=yyyyyyyyyyyyyyy", "HUP.node1"), m1, "xyyyyyyyyyyyyyyy")
		m1.Down()
		wantAt(t, g.get("/get", "HUP.node1"), m2, "xyyyyyyyyyyyyyyy")
		if len(m2.operations()) != 1 {
			t.Errorf("%d installs, wanted 1: inline_limit is 10 now", len(m2.operations()))
		}
	})
}
