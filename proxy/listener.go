package proxy

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"
)

// Kind says what the connections of a listener begin with.
type Kind uint8

// The kinds.
const (
	Plain Kind = iota // HTTP
	TLS               // a TLS handshake, see Front.TLS
)

// String is the kind as it stands in the log.
func (k Kind) String() string {
	if k == TLS {
		return "tls"
	}
	return "plain"
}

// listener is one open address.
type listener struct {
	net.Listener
	kind Kind
}

// Listen opens the addresses for plain HTTP, all of them or none. It does not accept yet.
func (s *Server) Listen(addresses []string) error { return s.listen(Plain, addresses) }

// ListenTLS is Listen for addresses whose connections begin with a TLS handshake. What it needs is in the Front, which must have its TLS
// set before Start.
func (s *Server) ListenTLS(addresses []string) error { return s.listen(TLS, addresses) }

func (s *Server) listen(kind Kind, addresses []string) error {
	var opened []listener
	var config net.ListenConfig
	for _, address := range addresses {
		ln, err := config.Listen(context.Background(), "tcp", address)
		if err != nil {
			for _, ln := range opened {
				_ = ln.Close() // nothing was accepted on it
			}
			return fmt.Errorf("cannot listen on %q: %w", address, err)
		}
		opened = append(opened, listener{ln, kind})
	}
	s.mu.Lock()
	s.listeners = append(s.listeners, opened...)
	s.mu.Unlock()
	return nil
}

// Addresses returns the addresses that are open, with the ports that were chosen, in the order in which they were opened.
func (s *Server) Addresses() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	addresses := make([]string, len(s.listeners))
	for i, ln := range s.listeners {
		addresses[i] = ln.Addr().String()
	}
	return addresses
}

// Start begins to accept on every listener.
func (s *Server) Start() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, ln := range s.listeners {
		s.running.Go(func() { s.accept(ln) })
	}
}

// acceptPause is how long accepting rests after an error that will pass, such
// as having no descriptor left.
const acceptPause = 50 * time.Millisecond

func (s *Server) accept(ln listener) {
	for {
		conn, err := ln.Accept()
		if err == nil {
			s.running.Go(func() { s.serve(conn, ln.kind) })
			continue
		}
		if errors.Is(err, net.ErrClosed) {
			return
		}
		s.log.Error().Err(err).Str("listen", ln.Addr().String()).Msg("cannot accept")
		select {
		case <-s.ctx.Done():
			return
		case <-time.After(acceptPause):
		}
	}
}
