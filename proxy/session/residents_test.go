package session

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"rehydra/proxy/upstream"
)

// backends are two backends that nobody connects to.
func backends(t testing.TB) (b1, b2 *upstream.Backend) {
	t.Helper()
	table, err := upstream.NewTable([]upstream.Config{{Name: "shop", Backends: []upstream.BackendConfig{
		{Route: "node1", Address: "127.0.0.1:1", Weight: 1}, {Route: "node2", Address: "127.0.0.1:2", Weight: 1},
	}}}, nil, zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(table.Close)
	all := table.Pools()[0].Backends()
	return all[0], all[1]
}

// A copy that another backend has newer is dropped when no request runs with it, and has not for a while.
func TestResidentsDrop(t *testing.T) {
	b1, b2 := backends(t) // outside of the bubble: they watch real connections
	synctest.Test(t, func(t *testing.T) {
		s := newResidents()
		key := Key{Pool: "shop", App: "a", BaseID: "A"}
		wantDrop := func(what string, b *upstream.Backend, now, later bool) {
			t.Helper()
			n, l := s.mayDrop(key, b, dropAfter)
			if n != now || l != later {
				t.Errorf("%s: to be dropped now %v, later %v; want %v, %v", what, n, l, now, later)
			}
		}
		s.enter(key, b1)
		if s.shared(key, b1) {
			t.Error("one request counts as several")
		}
		s.enter(key, b1)
		if !s.shared(key, b1) {
			t.Error("two requests count as one")
		}
		s.leave(key, b1)
		s.enter(key, b2)
		if due := s.moved(key, b2, "node1"); len(due) != 0 {
			t.Errorf("%d copies are due under a request", len(due))
		}
		time.Sleep(dropAfter)
		wantDrop("a request runs", b1, false, false)
		if !s.leave(key, b1) {
			t.Error("the copy is not due when its last request has ended")
		}
		if !s.queue(key, b1) || s.queue(key, b1) {
			t.Error("a copy is queued never or twice")
		}
		wantDrop("nobody uses it", b1, true, false)
		if due := s.moved(key, b1, "node2"); len(due) != 0 {
			t.Error("the copy at node2 is due under its request")
		}
		wantDrop("the session came back", b1, false, false)
		s.leave(key, b2)
		s.moved(key, b2, "node1")
		wantDrop("it left again just now", b1, false, true)
		time.Sleep(dropAfter)
		wantDrop("and stayed away", b1, true, false)
		s.dropped(key, b1)
		wantDrop("it is dropped", b1, false, false)
		if due := s.ended(key, b1); len(due) != 1 || due[0] != b2 {
			t.Errorf("%d copies are due after the end, want that at node2", len(due))
		}
		s.dropped(key, b2)
		if n := len(s.sessions); n != 0 {
			t.Errorf("%d sessions are left", n)
		}
	})
}

// What a former owner's late state was made from decides whether it may be stored.
func TestResidentsKnowWhatWasMadeFromWhat(t *testing.T) {
	s := newResidents()
	key := Key{Pool: "shop", App: "a", BaseID: "A"}
	for i := range uint64(savesKept + 1) {
		s.saved(key, savedState{owner: "node1", version: Version{3, i + 1}, digest: i + 1})
	}
	for name, tc := range map[string]struct {
		owner     string
		version   Version
		digest    uint64
		made, was bool
	}{
		"from the one before":    {"node1", Version{3, 9}, 5, true, false},
		"from an earlier one":    {"node1", Version{3, 9}, 2, true, false},
		"one that is forgotten":  {"node1", Version{3, 9}, 1, false, false},
		"of another state":       {"node1", Version{3, 9}, 77, false, false},
		"by another owner":       {"node2", Version{3, 9}, 5, false, false},
		"of another generation":  {"node1", Version{4, 9}, 5, false, false},
		"what was stored itself": {"node1", Version{3, 5}, 5, false, true},
		"older than that":        {"node1", Version{3, 3}, 4, false, true},
	} {
		t.Run(name, func(t *testing.T) {
			if made, was := s.madeFrom(key, tc.owner, tc.version, tc.digest); made != tc.made || was != tc.was {
				t.Errorf("made from it %v, stored itself %v; want %v, %v", made, was, tc.made, tc.was)
			}
		})
	}
}

func TestResidentsAreBounded(t *testing.T) {
	b1, _ := backends(t)
	s := newResidents()
	running := Key{Pool: "shop", App: "a", BaseID: "running"}
	s.enter(running, b1)
	for i := range residentsMost + 1000 {
		key := Key{Pool: "shop", App: "a", BaseID: fmt.Sprint(i)}
		s.enter(key, b1)
		s.leave(key, b1)
	}
	if n := len(s.sessions); n > residentsMost {
		t.Errorf("%d sessions are kept, want at most %d", n, residentsMost)
	}
	if h := s.find(running, b1); h == nil || h.running != 1 {
		t.Error("a session of which a request runs was forgotten")
	}
}
