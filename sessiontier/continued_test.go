package sessiontier

import (
	"testing"
	"time"
)

// TestContinuedFirstVersion: a first version that is no new session's, of a backend that has kept the session past an end which came from elsewhere,
// does not start the id over, at once and from the queue. A new session's does, also where the queue puts its second version in place of the first.
func TestContinuedFirstVersion(t *testing.T) {
	t.Parallel()
	servers := startServers(t, 2)
	p, other := openTier(t, servers, nil), openTier(t, servers, nil)
	k := key("kept")
	kept := rec("1.1", "node1", "kept")
	kept.Continued = true
	p.mustSave(t, k, kept)
	if err := other.End(t.Context(), k, time.Minute); err != nil {
		t.Fatal(err)
	}
	p.wantSave(t, k, kept, ErrEnded)
	fresh := openTier(t, servers, nil) // which knows nothing of it
	fresh.wantSave(t, k, kept, ErrEnded)
	done := make(chan error, 1)
	fresh.SaveAsync(k, kept, func(err error) { done <- err })
	if err := <-done; err == nil {
		t.Error("the queue has saved a session that has ended")
	}
	fresh.wantLookup(t, k, ErrEnded)

	second := rec("1.2", "node1", "new, changed")
	second.Continued = true
	q := &queued{rec: rec("1.1", "node1", "new"), startsOver: true}
	q.meet(&queued{rec: second, startsOver: second.startsOver()})
	if !q.startsOver || q.rec.Version != second.Version {
		t.Errorf("%s waits, starts over: %v; wanted 1.2 that does", q.rec.Version, q.startsOver)
	}
	p.mustSave(t, k, rec("1.1", "node1", "new"))
	fresh.wantRecord(t, k, "1.1", "node1", "new")
}
