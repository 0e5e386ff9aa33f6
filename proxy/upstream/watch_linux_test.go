package upstream

import (
	"net"
	"testing"
	"time"
)

// An idle connection that its backend ends is closed here at once, and what was learned of its age counts.
func TestEndsAreWatched(t *testing.T) {
	ended := make(chan struct{})
	s := serve(t, "127.0.0.1:0", func(c net.Conn) { <-ended })
	b := onePool(t, s.addr, Timeouts{})
	c, used := acquire(t, b), acquire(t, b)
	b.Release(c, time.Now())
	close(ended)
	eventually(t, "it is closed", func() bool { return b.Stats().Idle == 0 && c.closed.Load() })
	b.shared.idle.mu.Lock()
	closed, seen := !b.shared.idle.keeping.closedAt.IsZero(), b.shared.idle.keeping.seen
	b.shared.idle.mu.Unlock()
	if !closed || seen != 0 {
		t.Errorf("a close was noted: %v, seen open: %v; wanted true and 0", closed, seen)
	}
	eventually(t, "the end of one in use is seen", used.ended.Load)
	if b.Release(used, time.Now()); b.Stats().Idle != 0 || b.Stats().Open != 0 {
		t.Errorf("stats %+v, wanted none open", b.Stats())
	}
}

// The age of a connection that has ended counts for nothing, also where the watch has not come to say so.
func TestAcquireSureLooks(t *testing.T) {
	end := make(chan struct{})
	first := make(chan struct{}, 1)
	first <- struct{}{}
	s := serve(t, "127.0.0.1:0", func(c net.Conn) {
		select {
		case <-first:
			<-end
		default:
			hold(c)
		}
	})
	b := onePool(t, s.addr, Timeouts{})
	old := acquire(t, b)
	eventually(t, "the first one is accepted", func() bool { return len(first) == 0 })
	young := acquire(t, b)
	w := &b.shared.watch
	w.mu.Lock()
	delete(w.conns, old.fd) // as if the watch were late for ever
	w.mu.Unlock()
	close(end)
	eventually(t, "its end has arrived", func() bool { return !old.usable() })
	now := time.Now()
	b.Release(old, now)
	b.Release(young, now.Add(30*time.Second))
	c, err := b.AcquireSure(nil, now.Add(40*time.Second), LookNow)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if c == young {
		t.Error("a connection of ten seconds was taken, and the only older one had ended before")
	}
	if st := b.Stats(); !old.closed.Load() || st.Stale != 1 || st.Idle != 1 {
		t.Errorf("the one that had ended is closed: %v; stats %+v, wanted one stale and one idle", old.closed.Load(), st)
	}
}
