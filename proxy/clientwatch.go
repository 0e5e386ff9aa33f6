package proxy

import (
	"time"

	"rehydra/proxy/upstream"
)

// watchEvery is how often the clients of requests that take long are looked at, and how long a request must have taken.
const watchEvery = time.Second

// watchClients ends the requests whose clients have broken their connections off. While a backend is waited for, nobody reads the
// client's connection: a request would go on for as long as the backend's time-outs let it. It ends with the server's context.
func (s *Server) watchClients() {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	var waiting []*client
	for {
		select {
		case <-s.ctx.Done():
			return
		case <-tick.C:
		}
		waiting = s.appendWaiting(waiting[:0], time.Now().Add(-watchEvery))
		for _, c := range waiting {
			if upstream.Broken(c.raw) {
				c.leave()
			}
		}
		clear(waiting) // they may go
	}
}

// appendWaiting appends the clients whose request began before a time and is at a backend. Those of HTTP/2 tell by themselves.
func (s *Server) appendWaiting(dst []*client, before time.Time) []*client {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.clients {
		if c.state.Load() == stateActive && c.used.Load() < before.UnixNano() && c.backend.Load() != nil {
			dst = append(dst, c)
		}
	}
	return dst
}
