package proxy

import (
	"maps"
	"sync/atomic"
)

// RequestCount counts a pool's requests by the class of the status that the
// client got: index 2 is 200 to 299; 0 is for clients that got no status.
type RequestCount [6]uint64

// requestCount is a RequestCount that grows.
type requestCount [6]atomic.Uint64

// add counts an answer. Its status is any number from 0 to 999, as a backend may
// send it; what is in no class counts as no status.
func (c *requestCount) add(status int) {
	class := status / 100
	if class < 0 || class >= len(c) {
		class = 0
	}
	c[class].Add(1)
}

// noPool names the requests that matched no pool: no pool is named so.
const noPool = ""

// countPools makes counters for the pools of r; those that are there go on.
func (s *Server) countPools(r *Routing) {
	old := *s.requests.Load()
	next := make(map[string]*requestCount, len(old)+1)
	maps.Copy(next, old)
	names := []string{noPool}
	for _, p := range r.Table.Pools() {
		names = append(names, p.Name())
	}
	for _, name := range names {
		if next[name] == nil {
			next[name] = new(requestCount)
		}
	}
	s.requests.Store(&next)
}

// countRequest counts the request in x, which has ended.
func (x *exchange) countRequest() {
	name := noPool
	if x.pool != nil {
		name = x.pool.Name()
	}
	(*x.s.requests.Load())[name].add(x.event.status) // SetRouting knew the pool before the request did
}

// Requests returns the requests that have ended since the start by pool, those
// of pools that are gone too. What matched no pool is under "".
func (s *Server) Requests() map[string]RequestCount {
	counts := make(map[string]RequestCount)
	for name, c := range *s.requests.Load() {
		var now RequestCount
		for class := range c {
			now[class] = c[class].Load()
		}
		counts[name] = now
	}
	return counts
}
