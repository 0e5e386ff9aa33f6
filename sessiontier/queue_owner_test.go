package sessiontier

import (
	"context"
	"errors"
	"testing"
)

// A former owner's save that meets a newer owner's in the queue is fenced, in whichever order they come: it was not saved.
func TestQueueFencesFormerOwner(t *testing.T) {
	late := Record{Version: Version{1, 2}, Owner: "node1", State: []byte("late")}
	newer := Record{Version: Version{2, 3}, Owner: "node2", State: []byte("newer")}
	for name, order := range map[string][2]Record{"late first": {late, newer}, "late last": {newer, late}} {
		q := newQueue(10)
		got := map[string]error{}
		for _, rec := range order {
			n := &queued{storeKey: "k", rec: rec, finished: make(chan struct{}), done: []func(error){func(err error) { got[rec.Owner] = err }}}
			fenced, ok := q.add(n)
			if !ok {
				t.Fatal("the queue took nothing")
			}
			for _, done := range fenced {
				done(ErrFenced)
			}
		}
		waiting := q.next(nil)
		if string(waiting.rec.State) != "newer" {
			t.Errorf("%s: %q waits, wanted the newer owner's", name, waiting.rec.State)
		}
		waiting.tell(nil)
		if !errors.Is(got["node1"], ErrFenced) || got["node2"] != nil || len(got) != 2 {
			t.Errorf("%s: told %v, wanted %v for node1 and nil for node2", name, got, ErrFenced)
		}
	}
}

// Versions of one owner supersede each other: each is told what came of the newest.
func TestQueueSupersedes(t *testing.T) {
	q := newQueue(10)
	told := 0
	for counter := range uint64(3) {
		n := &queued{storeKey: "k", rec: Record{Version: Version{1, 1 + counter}, Owner: "node1"}, finished: make(chan struct{}),
			done: []func(error){func(error) { told++ }}}
		if fenced, ok := q.add(n); !ok || fenced != nil {
			t.Fatalf("add = %v, %v", fenced, ok)
		}
	}
	n := q.next(nil)
	n.tell(context.Canceled)
	if n.rec.Version != (Version{1, 3}) || told != 3 {
		t.Errorf("version %v waits and %d were told, wanted 1.3 and 3", n.rec.Version, told)
	}
}
