package proxy

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
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
	address string // as it was asked for: port 0 is no port yet
	kind    atomic.Uint32
	retired chan struct{} // closed when no more is accepted
	back    chan struct{} // while it is being retired: closed when it is wanted again
	once    sync.Once
}

// end stops accepting.
func (l *listener) end() {
	l.once.Do(func() {
		close(l.retired)
		_ = l.Close() // an error leaves nothing to do
	})
}

// Opener opens a listener for an address, host:port.
type Opener func(address string) (net.Listener, error)

// openTCP is the Opener of a server that was given none.
func openTCP(address string) (net.Listener, error) {
	config := ListenConfig()
	return config.Listen(context.Background(), "tcp", address)
}

// OpenWith makes Listen, ListenTLS and Relisten open addresses with open. It is to be called before them.
func (s *Server) OpenWith(open Opener) { s.open = open }

// Listen opens the addresses for plain HTTP, all of them or none. It does not accept yet.
func (s *Server) Listen(addresses []string) error { return s.listen(Plain, addresses) }

// ListenTLS is Listen for addresses whose connections begin with a TLS handshake. What it needs is in the Front, which must have its TLS
// set before Start.
func (s *Server) ListenTLS(addresses []string) error { return s.listen(TLS, addresses) }

func (s *Server) listen(kind Kind, addresses []string) error {
	opened, err := s.openAll(kind, addresses)
	if err != nil {
		return err
	}
	s.mu.Lock()
	s.listeners = append(s.listeners, opened...)
	s.mu.Unlock()
	return nil
}

// openAll opens addresses, all of them or none.
func (s *Server) openAll(kind Kind, addresses []string) (opened []*listener, err error) {
	for _, address := range addresses {
		ln, err := s.open(address)
		if err != nil {
			for _, l := range opened {
				l.end() // nothing was accepted on it
			}
			return nil, fmt.Errorf("cannot listen on %q: %w", address, err)
		}
		l := &listener{Listener: ln, address: address, retired: make(chan struct{})}
		l.kind.Store(uint32(kind))
		opened = append(opened, l)
	}
	return opened, nil
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
	s.watching.Go(s.watchClients)
}

// acceptPause is how long accepting rests after an error that will pass, such
// as having no descriptor left.
const acceptPause = 50 * time.Millisecond

// acceptTell is how often the log says that accepting fails.
const acceptTell = 10 * time.Second

func (s *Server) accept(ln *listener) {
	var told time.Time
	for {
		conn, err := ln.Accept()
		if err == nil {
			room := s.await(ln.retired)
			if !room && s.closing.Load() {
				_ = conn.Close() // nothing was promised to this client
				return
			}
			s.running.Go(func() { // without room: its listener is gone, and it is the last one from there
				if room {
					defer s.crowd.vacate()
				}
				s.serve(conn, Kind(ln.kind.Load()))
			})
			continue
		}
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if now := time.Now(); now.Sub(told) >= acceptTell {
			told = now
			s.log.Error().Err(err).Str("listen", ln.Addr().String()).Msg("cannot accept")
		}
		s.reclaim() // an idle connection's descriptor may be what is missing
		select {
		case <-ln.retired:
			return
		case <-time.After(acceptPause):
		}
	}
}
