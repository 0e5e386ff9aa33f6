package proxy

import (
	"context"
	"errors"
	"math"
	"net"
	"syscall"
	"time"

	"rehydra/proxy/eventloop"
)

// mostCalled bounds how many clients a drain takes from one listener while new ones still get connections there. It is what Linux lets wait unless it is told otherwise
// (net.core.somaxconn).
const mostCalled = 4096

// A drain that finds no descriptor free for who waits closes idle connections and tries again, for a tenth of a second.
const (
	descriptorTries = 20
	descriptorPause = 5 * time.Millisecond
)

var errMoreWait = errors.New("clients come as fast as they are accepted")

// lastCall closes a listener once the clients that wait there are accepted: closing it would have the kernel reset their connections, with a request that was
// sent on them. shutdown(2) does the same to them. So the kernel is first made to let nobody in any more, and what it has let in until then is taken. Whom it is about
// to let in, in the middle of the handshake, is lost all the same. Where it cannot be made to, so is who comes between the last accept and the close. most is mostCalled.
func (s *Server) lastCall(ctx context.Context, ln *listener, most int) {
	defer ln.end()
	s.mu.Lock()
	started := ln.started // else what waits there is another process's, or came before anyone was promised anything
	s.mu.Unlock()
	select {
	case <-ln.retired:
		return
	default:
	}
	if !started || ctx.Err() != nil {
		return
	}
	taken, err := s.takeWaiting(ln, nil, most) // most of them: who comes meanwhile need not wait for a second SYN to be refused
	if err == nil || errors.Is(err, errMoreWait) {
		all := 2 * most
		if s.refuse(ln, true) {
			all = math.MaxInt // of what waits now, and no more
		}
		taken, err = s.takeWaiting(ln, taken, all)
	}
	ln.end()
	switch {
	case err == nil, errors.Is(err, net.ErrClosed): // a reload was about to close it
	case errors.Is(err, errMoreWait):
		s.mayLose(ln, err)
	default:
		s.log.Error().Err(err).Str("listen", ln.Addr().String()).Msg("cannot accept")
	}
	if len(taken) > 0 {
		s.running.Go(func() { s.welcomeAll(taken, Kind(ln.kind.Load())) })
	}
}

// takeWaiting accepts who waits at a listener, without waiting for more, until it has taken most clients in all: errMoreWait.
func (s *Server) takeWaiting(ln *listener, taken []net.Conn, most int) ([]net.Conn, error) {
	accept := func() (net.Conn, error) { return tryAccept(ln.Listener) }
	if from := ln.looped.Load(); from != nil {
		accept = func() (net.Conn, error) { return tryAcceptLooped(from) }
	}
	for tries := 0; len(taken) < most; {
		conn, err := accept()
		switch {
		case err == nil:
			taken = append(taken, conn)
		case errors.Is(err, syscall.EAGAIN):
			return taken, nil
		case tries < descriptorTries && (errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE)):
			tries++
			s.closeIdle()               // which the drain does anyway
			time.Sleep(descriptorPause) // who serves them has to see that
		default:
			return taken, err
		}
	}
	return taken, errMoreWait
}

// tryAcceptLooped keeps a nil *eventloop.Conn from being a net.Conn.
func tryAcceptLooped(from *eventloop.Listener) (net.Conn, error) {
	conn, err := from.TryAccept()
	if err != nil {
		return nil, err
	}
	return conn, nil
}

// welcomeAll welcomes clients, each once there is room for it. Those for whom there is none until the drain's time is over are cut.
func (s *Server) welcomeAll(taken []net.Conn, kind Kind) {
	for _, conn := range taken {
		if !s.await(s.ctx.Done(), nil) {
			s.cutWaiting(conn)
			continue
		}
		s.running.Add(1)
		s.welcome(conn, kind, s.crowd.slots != nil)
	}
}

// cutWaiting ends the connection of a client for whom the drain had no time.
func (s *Server) cutWaiting(conn net.Conn) {
	s.late.Add(1)
	_ = conn.Close() // nothing was promised to this client
}
