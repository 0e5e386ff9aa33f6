package upstream

import (
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"rehydra/e2e/harness"
)

func TestReloadKeepsWhatRemains(t *testing.T) {
	a, c := serve(t, "127.0.0.1:0", echo), serve(t, "127.0.0.1:0", echo)
	backends := []BackendConfig{{Route: "n1", Address: a.addr}, {Route: "n2", Address: "127.0.0.1:1"}, {Route: "n3", Address: c.addr}}
	var oldLog, newLog logBuffer
	old := table(t, &oldLog, nil, Config{Name: "p", Backends: backends})
	was := old.Pools()[0].Backends()
	kept, dropped := acquire(t, was[0]), acquire(t, was[2])
	was[0].Release(kept, time.Now())
	was[2].Release(dropped, time.Now())
	was[0].SetAdapterSeen(was[0].Epoch(), true)
	was[0].Begin()
	was[1].ReportRefused(errOut)

	moved := harness.FreeAddress(t)
	next := []BackendConfig{{Route: "n2", Address: "127.0.0.1:1", Weight: 3}, {Route: "n1", Address: a.addr, Activation: Disabled}, {Route: "n3", Address: moved}}
	tab := table(t, &newLog, old, Config{Name: "p", Backends: next}, Config{Name: "q", Match: []string{"/q/*"}, Backends: backends[:1]})
	old.Close()
	is := tab.Pools()[0].Backends()

	if is[0].Up() || is[0].Epoch() != was[1].Epoch() || is[0].Stats().Outs != 1 {
		t.Error("n2 was out, and the new table does not know it")
	}
	if !is[1].AdapterSeen() || is[1].Epoch() != was[0].Epoch() || is[1].Stats().InFlight != 1 {
		t.Error("n1 lost its adapter, epoch or count of requests")
	}
	if got := acquire(t, is[1]); got != kept {
		t.Error("n1 lost its idle connection")
	}
	kept.Close()
	if !dropped.closed.Load() {
		t.Error("the idle connection of the n3 that went is open")
	}
	for _, b := range append(was, is[0], is[1]) {
		if is[2].Epoch() == b.Epoch() {
			t.Errorf("n3 at a new address has the epoch of %s: what was known of its sessions would hold", b.Route())
		}
	}
	if q := tab.Pools()[1].Backends()[0]; q.shared == is[1].shared || q.AdapterSeen() {
		t.Error("the same backend in another pool shares what is known of its sessions")
	}
	was[0].End() // a request of before the reload

	is[1].ReportRefused(errOut)
	if oldLog.String() == "" || strings.Count(newLog.String(), "\n") != 1 {
		t.Errorf("the event after the reload is not in the new log, or more than once: %q", newLog.String())
	}
	late, err := was[2].AcquireFresh(nil)
	if err != nil {
		t.Fatal(err)
	}
	if was[2].Release(late, time.Now()); !late.closed.Load() {
		t.Error("a backend that went keeps a connection")
	}
}

// While requests still run on the old table, a change that either table sees counts in both.
func TestBothTablesSeeAChange(t *testing.T) {
	cfg := Config{Name: "p", Backends: nodes("n1", "n2")}
	old := table(t, io.Discard, nil, cfg)
	tab := table(t, io.Discard, old, cfg)
	old.Pools()[0].Backends()[0].ReportRefused(errOut)
	for _, p := range []*Pool{old.Pools()[0], tab.Pools()[0]} {
		for range 2 {
			if b, _, err := p.Choose(nil, nil); err != nil || b.Route() != "n2" {
				t.Errorf("chose %v, %v; want n2", b, err)
			}
		}
	}
	old.Close()
	tab.Pools()[0].Backends()[0].checked(tab.Pools()[0].Backends()[0].Epoch(), nil)
	if b, sticky, err := tab.Pools()[0].Choose([][]byte{[]byte("n1")}, nil); err != nil || !sticky || b.Route() != "n1" {
		t.Errorf("chose %v, %v after n1 is back; want n1", b, err)
	}
}

func TestAbandonedReload(t *testing.T) {
	s := serve(t, "127.0.0.1:0", echo)
	cfg := Config{Name: "p", Backends: []BackendConfig{{Route: "n1", Address: s.addr}}}
	old := table(t, io.Discard, nil, cfg)
	b := old.Pools()[0].Backends()[0]
	c := acquire(t, b)
	b.Release(c, time.Now())
	table(t, io.Discard, old, cfg).Close()
	if again := acquire(t, b); again != c {
		t.Error("closing a table that was never used took the old one's connection")
	}
	c.Close()
}

func TestAnotherBalanceForgetsTheLoad(t *testing.T) {
	cfg := Config{Name: "p", Balance: BalanceTraffic, Backends: nodes("n1")}
	old := table(t, io.Discard, nil, cfg)
	old.Pools()[0].Backends()[0].AddTraffic(1<<40, 0)
	cfg.Balance = BalanceSessions
	cfg.Backends = nodes("n1", "n2")
	tab := table(t, io.Discard, old, cfg)
	for _, b := range tab.Pools()[0].Backends() {
		if load := b.shared.load.Load(); load != 0 {
			t.Errorf("%s starts with %d, want 0: bytes are no sessions", b.Route(), load)
		}
	}
}

// Descriptors go back to where they were, whichever way connections end.
func TestDescriptors(t *testing.T) {
	open := func() int {
		entries, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return len(entries)
	}
	s := serve(t, "127.0.0.1:0", echo)
	before := open()
	for range 20 {
		tab := table(t, io.Discard, nil, Config{Name: "p", MaxIdle: 3, Health: quick(""), Backends: []BackendConfig{{Route: "n1", Address: s.addr}, {Route: "n2", Address: harness.FreeAddress(t)}}})
		tab.Start()
		b := tab.Pools()[0].Backends()[0]
		var conns []*Conn
		for range 8 {
			conns = append(conns, acquire(t, b))
		}
		conns[0].Close()
		for _, c := range conns[1:6] {
			b.Release(c, time.Now())
		}
		if _, err := tab.Pools()[0].Backends()[1].Acquire(nil, time.Now(), LookNow); err == nil {
			t.Fatal("connected to nobody")
		}
		tab.Close()
		b.Release(conns[6], time.Now())
		conns[7].Close()
		if n := b.Stats().Open; n != 0 {
			t.Fatalf("%d connections open, want 0", n)
		}
	}
	s.kill()
	eventually(t, "descriptors are closed", func() bool { return open() <= before })
}
