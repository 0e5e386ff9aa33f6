package main

import (
	"rehydra/proxy"
	"rehydra/proxy/session"
	"rehydra/sessiontier"
)

// snapshot is what the parts have counted, and how they are, at one moment. The metrics and the JSON API show the same one.
type snapshot struct {
	store       sessiontier.Stats // zero without a store
	sessions    *session.Counters
	routing     *proxy.Routing
	requests    map[string]proxy.RequestCount
	connections int
	streams     int
	tunnels     int64
	tunnelled   uint64
	logLost     uint64
}

// snapshot reads all counters.
func (p *program) snapshot() *snapshot {
	s := &snapshot{
		sessions: &p.counters, routing: p.server.Routing(), requests: p.server.Requests(), connections: p.server.Connections(),
	}
	s.streams = p.server.Streams()
	s.tunnels, s.tunnelled = p.server.Tunnels()
	if p.store != nil {
		s.store = p.store.Stats()
	}
	if p.logLost != nil {
		s.logLost = p.logLost()
	}
	return s
}

// known counts the sessions that the tiers of all pools remember.
func (s *snapshot) known() int {
	n := 0
	for _, tier := range s.routing.Tiers {
		n += tier.Sessions()
	}
	return n
}
