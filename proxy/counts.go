package proxy

import "sync/atomic"

// counts are what happens to connections before there is a request.
type counts struct {
	badProxyHeaders, badHandshakes atomic.Uint64
}

// ConnectionCounts are a Server's counters of connections that came to no request.
type ConnectionCounts struct {
	BadProxyHeaders uint64 // closed: a peer that sends PROXY headers sent none, or one that is none
	BadHandshakes   uint64 // closed: no TLS connection came about
}

// ConnectionCounts returns the counters as they are now.
func (s *Server) ConnectionCounts() ConnectionCounts {
	return ConnectionCounts{BadProxyHeaders: s.counts.badProxyHeaders.Load(), BadHandshakes: s.counts.badHandshakes.Load()}
}
