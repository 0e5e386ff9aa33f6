package proxy

import "sync/atomic"

// counts are what happens to connections before there is a request.
type counts struct {
	badProxyHeaders, badHandshakes atomic.Uint64
	waited, reclaimed, turnedAway  atomic.Uint64
}

// ConnectionCounts are a Server's counters of connections that came to no request.
type ConnectionCounts struct {
	BadProxyHeaders uint64 // closed: a peer that sends PROXY headers sent none, or one that is none
	BadHandshakes   uint64 // closed: no TLS connection came about
	Waited          uint64 // they waited until there was room for them
	Reclaimed       uint64 // closed while idle, or told to go, to make room
	TurnedAway      uint64 // closed: their client has too many
}

// ConnectionCounts returns the counters as they are now.
func (s *Server) ConnectionCounts() ConnectionCounts {
	c := &s.counts
	return ConnectionCounts{
		BadProxyHeaders: c.badProxyHeaders.Load(), BadHandshakes: c.badHandshakes.Load(),
		Waited: c.waited.Load(), Reclaimed: c.reclaimed.Load(), TurnedAway: c.turnedAway.Load(),
	}
}
