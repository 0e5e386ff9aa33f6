package proxy

import (
	"context"
	"net"
	"slices"
	"time"
)

// retireTime is how long a listener that a reload takes away still accepts: for the clients whose connections the kernel had made before, or was making.
// A SYN-ACK that is lost is sent again after one second (RFC 6298, section 2).
const retireTime = 1500 * time.Millisecond

// Relisten is a change of the addresses of a running server. New ones are open already; nothing else has happened until Apply or Discard, one of which
// is to be called.
type Relisten struct {
	s      *Server
	next   []*listener // all that there will be
	kinds  []Kind      // of next
	opened []*listener // those of next that are new
	back   []*listener // those of next that were being retired
	gone   []*listener
}

// Relisten opens the addresses that the server does not listen on yet. An address that is there stays as it is, also when it changes between plain and TLS.
// After an error nothing has changed. It is not called twice at once.
func (s *Server) Relisten(plain, tls []string) (*Relisten, error) {
	r := &Relisten{s: s}
	s.mu.Lock()
	r.gone = slices.Clone(s.listeners)
	s.mu.Unlock()
	for kind, addresses := range [...][]string{Plain: plain, TLS: tls} {
		var missing []string
		for _, address := range addresses {
			if !r.keep(address, Kind(kind)) {
				missing = append(missing, address)
			}
		}
		opened, err := s.openAll(Kind(kind), missing)
		if err != nil {
			r.Discard()
			return nil, err
		}
		for _, l := range opened {
			r.next, r.kinds = append(r.next, l), append(r.kinds, Kind(kind))
		}
		r.opened = append(r.opened, opened...)
	}
	return r, nil
}

// keep takes a listener for an address over, if there is one left.
func (r *Relisten) keep(address string, kind Kind) bool {
	asked := func(l *listener) bool { return l.address == address }
	if at := slices.IndexFunc(r.gone, asked); at >= 0 {
		r.next, r.kinds = append(r.next, r.gone[at]), append(r.kinds, kind)
		r.gone = slices.Delete(r.gone, at, at+1)
		return true
	}
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	at := slices.IndexFunc(r.s.retiring, asked)
	if at < 0 {
		return false
	}
	l := r.s.retiring[at]
	r.s.retiring = slices.Delete(r.s.retiring, at, at+1)
	close(l.back)
	r.next, r.kinds, r.back = append(r.next, l), append(r.kinds, kind), append(r.back, l)
	return true
}

// Apply accepts on the new addresses, and stops accepting on those that are gone once their last clients are in.
func (r *Relisten) Apply() {
	s := r.s
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.draining.Load() {
		for _, l := range slices.Concat(r.opened, r.back) {
			l.end()
		}
		return
	}
	for _, l := range r.back {
		s.refuse(l, false)
	}
	s.listeners = r.next
	for i, l := range r.next {
		l.kind.Store(uint32(r.kinds[i]))
	}
	for _, l := range r.opened {
		s.startAccept(l)
	}
	for _, l := range r.gone {
		s.beginRetire(l)
	}
}

// Discard closes what was opened.
func (r *Relisten) Discard() {
	for _, l := range r.opened {
		l.end()
	}
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	for _, l := range r.back {
		r.s.beginRetire(l)
	}
}

// refuser is a listener that can let the kernel make no more connections, or make them again, while those that it has made can still be accepted. done is false for
// one that is not to.
type refuser interface {
	Refuse(on bool) (done bool, err error)
}

// refuse has a listener refuse, if it can, and reports whether it does as it was told.
func (s *Server) refuse(l *listener, on bool) bool {
	r, ok := l.Listener.(refuser)
	if !ok {
		return false
	}
	done, err := r.Refuse(on)
	if err != nil {
		s.mayLose(l, err)
	}
	return done && err == nil
}

func (s *Server) mayLose(l *listener, err error) {
	s.log.Warn().Err(err).Str("listen", l.Addr().String()).Msg("a listener that is closed may lose connections")
}

// beginRetire retires a listener that accepts. s.mu is held.
func (s *Server) beginRetire(l *listener) {
	l.back = make(chan struct{})
	s.retiring = append(s.retiring, l)
	s.refuse(l, true)
	s.running.Go(func() { s.retire(l, l.back) })
}

// retire closes a listener without losing a client. Closing it at once would reset the connections that wait to be accepted.
func (s *Server) retire(l *listener, back <-chan struct{}) {
	select {
	case <-time.After(retireTime):
	case <-l.retired:
	case <-back:
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-back:
		return
	default:
	}
	s.retiring = slices.DeleteFunc(s.retiring, func(other *listener) bool { return other == l })
	l.end()
}

// Adopt accepts what still waits at listeners whose addresses are gone, and closes them. It is to be called once the server has started.
func (s *Server) Adopt(kind Kind, gone []net.Listener) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, ln := range gone {
		l := &listener{Listener: ln, address: ln.Addr().String(), retired: make(chan struct{})}
		l.kind.Store(uint32(kind))
		s.startAccept(l)
		s.beginRetire(l)
	}
}

// Finish lets the clients come to their end while another process accepts the new ones: the listeners close, each client gets an answer to the request that it
// is in or sends next, with Connection: close, and the connection is closed after that. Nothing is cut when ctx ends: that is Shutdown's.
func (s *Server) Finish(ctx context.Context) {
	s.mu.Lock()
	s.draining.Store(true)
	for _, l := range slices.Concat(s.listeners, s.retiring) {
		l.end()
	}
	s.mu.Unlock()
	s.goAway()
	done := make(chan struct{})
	go func() { s.running.Wait(); close(done) }() // ends at the latest with Shutdown
	select {
	case <-done:
	case <-ctx.Done():
	}
}
