package proxy

import "sync/atomic"

// tunnelCount counts the connections that changed their protocol (101).
type tunnelCount struct {
	open  atomic.Int64
	total atomic.Uint64
}

func (t *tunnelCount) begin() {
	t.open.Add(1)
	t.total.Add(1)
}

func (t *tunnelCount) end() { t.open.Add(-1) }

// Tunnels returns how many tunnels are open, and how many there have been in all.
func (s *Server) Tunnels() (open int64, total uint64) {
	return s.tunnels.open.Load(), s.tunnels.total.Load()
}

// Streams counts the requests of HTTP/2 connections that are under way.
func (s *Server) Streams() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.streams)
}
