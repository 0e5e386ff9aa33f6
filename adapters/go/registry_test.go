package rehydra

import (
	"fmt"
	"testing"
	"time"
)

func (g *registry) testPut(id string) *record {
	r := newRecord(id, g.now())
	g.lock()
	defer g.mu.Unlock()
	g.put(r)
	return r
}

func (g *registry) testHolds(base string) bool {
	g.lock()
	defer g.mu.Unlock()
	return g.find(base) != nil
}

func TestExpiry(t *testing.T) {
	c := newClock()
	g := newRegistry(time.Minute, 100, c.Now)
	a, b := g.testPut("A.node1"), g.testPut("B.node1")
	g.lock()
	g.use(a)
	g.mu.Unlock()
	c.advance(2 * time.Minute)
	if !g.testHolds("A") || g.testHolds("B") {
		t.Errorf("after two minutes A, in use: %v, B: %v; want A alone", g.testHolds("A"), g.testHolds("B"))
	}
	if b.place != nil {
		t.Error("B has a place still")
	}
	g.release(a)
	c.advance(time.Minute - time.Millisecond)
	if !g.testHolds("A") {
		t.Error("A is gone before a minute without use")
	}
	c.advance(time.Millisecond)
	if g.testHolds("A") {
		t.Error("A is there after a minute without use")
	}
}

func TestNoLimit(t *testing.T) {
	c := newClock()
	g := newRegistry(0, 100, c.Now)
	g.testPut("A.node1")
	c.advance(1000 * time.Hour)
	if !g.testHolds("A") {
		t.Error("A is gone, without a limit")
	}
}

func TestEviction(t *testing.T) {
	c := newClock()
	g := newRegistry(0, 3, c.Now)
	a := g.testPut("A.node1")
	g.testPut("B.node1")
	g.testPut("C.node1")
	g.lock()
	g.use(a)
	g.mu.Unlock()
	g.testPut("D.node1")
	for base, want := range map[string]bool{"A": true, "B": false, "C": true, "D": true} {
		if g.testHolds(base) != want {
			t.Errorf("%s held: %v, want %v", base, !want, want)
		}
	}
	for i := range 10 {
		g.testPut(fmt.Sprintf("E%d.node1", i))
	}
	if !g.testHolds("A") || g.order.Len() != 3 {
		t.Errorf("%d sessions, A in use held: %v; want 3 with A", g.order.Len(), g.testHolds("A"))
	}
}

func TestEnded(t *testing.T) {
	c := newClock()
	g := newRegistry(0, 100, c.Now)
	ended := func(base string) bool {
		g.lock()
		defer g.mu.Unlock()
		return g.hasEnded(base)
	}
	g.end(g.testPut("A.node1"))
	c.advance(endedFor - time.Millisecond)
	if !ended("A") || ended("B") {
		t.Errorf("A ended: %v, B ended: %v; want A alone", ended("A"), ended("B"))
	}
	c.advance(time.Millisecond)
	if ended("A") {
		t.Error("A is remembered after a minute")
	}
	for i := range maxEnded + 10 {
		g.end(g.testPut(fmt.Sprintf("E%d.node1", i)))
	}
	if ended("E0") || len(g.ended) > maxEnded || len(g.endOrder) > maxEnded {
		t.Errorf("%d ends remembered in %d places, want at most %d", len(g.ended), len(g.endOrder), maxEnded)
	}
	g.testPut("E100.node1")
	if ended("E100") {
		t.Error("a session that is here again counts as ended")
	}
}
