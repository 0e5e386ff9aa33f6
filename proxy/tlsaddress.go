package proxy

// TLSAddress is the first address that is open for TLS, with the port that was
// chosen; "" if there is none.
func (s *Server) TLSAddress() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.listeners {
		if Kind(l.kind.Load()) == TLS {
			return l.Addr().String()
		}
	}
	return ""
}

// TLSAddress is what the server's will be.
func (r *Relisten) TLSAddress() string {
	for i, l := range r.next {
		if r.kinds[i] == TLS {
			return l.Addr().String()
		}
	}
	return ""
}
