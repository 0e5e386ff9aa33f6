package rehydra

import (
	"context"
	"encoding/json"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestSettle(t *testing.T) {
	now := time.UnixMilli(1_800_000_000_000)
	r := newRecord("A.node1", now)
	settle := func(step string, want version, wantChange bool) {
		t.Helper()
		h, state, changed := r.settle()
		if h.version != want || changed != wantChange || (state != nil) != wantChange {
			t.Errorf("%s: %v, %v with %d bytes; want %v, %v", step, h.version, changed, len(state), want, wantChange)
		}
	}
	settle("new", version{1, 1}, true)
	settle("again", version{1, 1}, false)
	r.set("a", json.RawMessage("1"))
	settle("changed", version{1, 2}, true)
	r.set("a", json.RawMessage("1"))
	settle("set to what it was", version{1, 2}, false)
	r.set("a", json.RawMessage("2"))
	r.set("a", json.RawMessage("1"))
	settle("changed and changed back", version{1, 2}, false)
	r.delete("a")
	settle("deleted", version{1, 3}, true)
	r.set("a", json.RawMessage("1"))
	if h, _ := r.read(); h.version != (version{1, 4}) {
		t.Errorf("read gives %v, want 1.4: it counts a change as well", h.version)
	}
	settle("after a read", version{1, 4}, false)

	r = installedRecord("A.node1", version{3, 0}, now, values{"a": json.RawMessage("1")})
	settle("installed", version{3, 0}, false)
	r.set("a", json.RawMessage("2"))
	settle("changed after an install", version{3, 1}, true)
}

func TestAwaitPulls(t *testing.T) {
	for _, c := range []struct {
		name string
		do   func(r *record, cancel func())
		want time.Duration
	}{
		{"none runs", nil, 0},
		{"all end", func(r *record, _ func()) {
			time.Sleep(time.Second)
			r.endPull()
			time.Sleep(time.Second)
			r.endPull()
		}, 2 * time.Second},
		{"one goes on", func(r *record, _ func()) {
			r.endPull()
			time.Sleep(time.Hour)
			r.endPull()
		}, time.Minute},
		{"the asker goes", func(r *record, cancel func()) {
			time.Sleep(3 * time.Second)
			cancel()
			r.endPull()
			r.endPull()
		}, 3 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				r := newRecord("A.node1", time.Now())
				var requests sync.WaitGroup
				if c.do != nil {
					r.beginPull()
					r.beginPull()
					requests.Go(func() { c.do(r, cancel) })
				}
				begun := time.Now()
				r.awaitPulls(ctx, time.Minute)
				if waited := time.Since(begun); waited != c.want {
					t.Errorf("waited %v, want %v", waited, c.want)
				}
				requests.Wait()
			})
		})
	}
}
