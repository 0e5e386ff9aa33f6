package proxy

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"rehydra/proxy/eventloop"
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
	started bool                               // it accepts, or did. The server's mu guards it.
	looped  atomic.Pointer[eventloop.Listener] // what accepts; nil: the Listener does
	told    atomic.Int64                       // when the log last said that accepting fails, in ns since 1970
}

// end stops accepting.
func (l *listener) end() {
	l.once.Do(func() {
		close(l.retired)
		_ = l.Close() // an error leaves nothing to do
		if from := l.looped.Load(); from != nil {
			from.Close()
		}
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
		s.startAccept(ln)
	}
	s.watching.Go(s.watchClients)
}

// UseLoops has event loops serve the connections, those to backends too; nil: each has a goroutine of its own. It is to be called before Start; they are to be closed
// after Shutdown and after all else that asks backends.
func (s *Server) UseLoops(g *eventloop.Group) {
	s.group = g
	if g != nil {
		s.routing.Load().Table.UseLoops(g)
	}
}

// acceptPause is how long accepting rests after an error that will pass, such
// as having no descriptor left.
const acceptPause = 50 * time.Millisecond

// acceptTell is how often the log says that accepting fails.
const acceptTell = 10 * time.Second

// startAccept begins to accept on a listener: by the event loops, where there are any. s.mu is held.
func (s *Server) startAccept(ln *listener) {
	ln.started = true
	s.running.Add(1)
	if from := s.loopedListener(ln); from != nil {
		ln.looped.Store(from)
		select {
		case <-ln.retired:
			from.Close() // end came before it could know
		default:
		}
		s.group.Go(func(w *eventloop.Worker) { s.acceptLooped(ln, from, w) })
		return
	}
	go s.accept(ln)
}

// loopedListener returns what accepts for the event loops, nil where nothing can.
func (s *Server) loopedListener(ln *listener) *eventloop.Listener {
	sc, ok := ln.Listener.(syscall.Conn)
	if !ok || s.group == nil {
		return nil
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return nil
	}
	var from *eventloop.Listener
	if err = bequeath(raw); err == nil { // it may be another's, who need not have done so
		from, err = s.group.Listen(raw)
	}
	if err != nil {
		s.log.Warn().Err(err).Str("listen", ln.Addr().String()).Msg("each connection has a goroutine of its own")
		return nil
	}
	return from
}

func (s *Server) accept(ln *listener) {
	defer s.running.Done()
	for {
		conn, err := ln.Accept()
		if err == nil && !s.accepted(ln, conn, nil) || err != nil && s.acceptFailed(ln, err) {
			return
		}
	}
}

// accepted welcomes a client once there is room for it. It returns false when no more are to be accepted.
func (s *Server) accepted(ln *listener, conn net.Conn, w *eventloop.Worker) (more bool) {
	room := s.await(ln.retired, w)
	if !room && s.closing.Load() {
		if room = s.await(s.ctx.Done(), w); !room {
			s.cutWaiting(conn)
			return false
		}
	}
	// Without room: its listener is gone, and it is the last one from there.
	s.running.Add(1)
	s.welcome(conn, Kind(ln.kind.Load()), room && s.crowd.slots != nil)
	return true
}

// acceptFailed waits after an error that will pass, and reports whether it will not.
func (s *Server) acceptFailed(ln *listener, err error) (over bool) {
	if errors.Is(err, net.ErrClosed) {
		return true
	}
	if now := time.Now(); now.UnixNano()-ln.told.Load() >= int64(acceptTell) {
		ln.told.Store(now.UnixNano())
		s.log.Error().Err(err).Str("listen", ln.Addr().String()).Msg("cannot accept")
	}
	s.reclaimDescriptor() // it may be what is missing
	select {
	case <-ln.retired:
		return true
	case <-time.After(acceptPause):
		return false
	}
}

// acceptLooped is accept, by the event loops.
func (s *Server) acceptLooped(ln *listener, from *eventloop.Listener, w *eventloop.Worker) {
	defer s.running.Done()
	for {
		from.Use(w)
		conn, err := from.Accept()
		if err != nil {
			w.Leave()
			if s.acceptFailed(ln, err) {
				return
			}
			continue
		}
		if !s.accepted(ln, conn, w) {
			return
		}
	}
}
