package sessiontier

import "sync/atomic"

// counters are a tier's, since it was opened.
type counters struct {
	saves, savedBytes, touches, lookups, unknown, claims, ends atomic.Uint64
	fenced, conflicts, incomplete, tooLarge, corrupt, dropped  atomic.Uint64
	endsDropped, healed, resealed                              atomic.Uint64
}

// Stats are a tier's counters since it was opened, and its state now.
type Stats struct {
	Saves        uint64 // records stored in every copy
	SavedBytes   uint64 // of state, in those
	Touches      uint64 // records stored again for a fresh life
	Lookups      uint64 // that asked the nodes
	UnknownHits  uint64 // look-ups of ids that had been looked up in vain just before, answered without asking
	Claims       uint64 // records handed to a new owner
	Ends         uint64 // sessions ended
	Fenced       uint64 // late saves of former owners, dropped
	Conflicts    uint64 // compare-and-swaps lost to another writer, and begun anew
	Incomplete   uint64 // saves with fewer copies than configured
	TooLarge     uint64 // states over the limit, dropped
	Corrupt      uint64 // copies that were not believed
	Dropped      uint64 // queued saves dropped
	EndsDropped  uint64 // tombstones for nodes that were down, dropped since too many wait
	Healed       uint64 // copies stored by healing
	Resealed     uint64 // copies that healing has sealed anew, since the key that seals, or whether there is one, had changed
	Healing      int    // nodes that came back, or are new, and whose copies are not yet all there again
	Queued       int    // sessions that wait in the queue or are being saved from it
	EmbeddedUsed int64  // bytes in the embedded store
	Evicted      uint64 // sessions that the embedded store dropped for room
	Nodes        []NodeStats
}

// NodeStats is the state of one node.
type NodeStats struct {
	Name         string
	Address      string // "" for the embedded store
	Up           bool   // the breaker is closed: it is used. Otherwise only the prober asks it
	Reason       string // why it is down; "" while it is up
	Outs         uint64 // how often it went down
	Failures     int    // time-outs one after the other, since the last exchange that worked
	FailoverOnly bool   // used only when too few others are alive
	Errors       uint64 // exchanges that failed
	Exchanges    int    // that run now; each has one connection
	PendingEnds  int    // tombstones that wait for it
	Heals        uint64 // how often the copies that belong on it were completed after it came back
}

// Returns counts how often a node was reached anew, at the start and after each failure: copies that were stored before may be
// gone, since a memcached that restarts comes back empty. It never goes down.
func (t *Tier) Returns() (n uint64) {
	for _, node := range t.nodes {
		if s, ok := node.store.(*memcachedStore); ok {
			n += s.links.Load()
		}
	}
	return n
}

// Stats returns the counters, each exact, though not all of the same moment.
func (t *Tier) Stats() Stats {
	c := &t.counters
	s := Stats{
		Saves: c.saves.Load(), SavedBytes: c.savedBytes.Load(), Touches: c.touches.Load(), Lookups: c.lookups.Load(),
		UnknownHits: c.unknown.Load(), Claims: c.claims.Load(), Ends: c.ends.Load(), Fenced: c.fenced.Load(),
		Conflicts: c.conflicts.Load(), Incomplete: c.incomplete.Load(), TooLarge: c.tooLarge.Load(), Corrupt: c.corrupt.Load(),
		Dropped: c.dropped.Load(), EndsDropped: c.endsDropped.Load(), Queued: t.queue.len(),
		Healed: c.healed.Load(), Resealed: c.resealed.Load(), Healing: t.healer.pending().len(),
	}
	heals := t.healer.completed()
	for i, n := range t.nodes {
		node := NodeStats{
			Name: n.name, Address: n.address, FailoverOnly: n.failover, Failures: int(n.failures.Load()), Errors: n.errors.Load(),
			Exchanges: len(n.slots), PendingEnds: n.pending.len(), Heals: heals[i],
		}
		n.turn.Lock()
		node.Up, node.Reason, node.Outs = n.alive(), n.reason, n.outs
		n.turn.Unlock()
		s.Nodes = append(s.Nodes, node)
		if e, ok := n.store.(*embedded); ok {
			s.EmbeddedUsed, s.Evicted = e.usage()
		}
	}
	return s
}
