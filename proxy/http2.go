package proxy

import (
	"bufio"
	"context"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"rehydra/proxy/http2front"
)

// SpeakHTTP2 makes the server speak HTTP/2 with the clients that choose it in the TLS handshake, with at most that many requests of a
// connection at once. Whether it is offered there is the Front's to say. It is to be called before Start.
func (s *Server) SpeakHTTP2(streams int) error {
	front, err := http2front.New(http2front.Config{
		MaxStreams:   streams,
		HeaderBytes:  s.limits.HeaderBytes,
		IdleTimeout:  s.limits.KeepAliveTimeout,
		StallTimeout: s.limits.BodyTimeout,
		Log:          s.log,
	})
	if err != nil {
		return fmt.Errorf("cannot speak HTTP/2: %w", err)
	}
	s.http2, s.drainHTTP2 = func(c *client) { s.serveHTTP2(front, c) }, front.Drain
	return nil
}

// serveHTTP2 owns one HTTP/2 connection until it is closed.
func (s *Server) serveHTTP2(front *http2front.Front, c *client) {
	c.read.limit, c.write.limit = 0, s.limits.BodyTimeout
	c.frames = front.Begin(c.conn, c.turn)
	if !c.state.CompareAndSwap(stateIdle, stateQuiet) {
		return // the drain closes it, or it made room
	}
	c.frames.Serve(func(st *http2front.Stream) { s.serveStream(c, st) })
}

// turn notes that an HTTP/2 connection has requests, or none any more. Until it had one it waits since it was accepted, as others do.
func (c *client) turn(busy bool) {
	if busy {
		c.state.CompareAndSwap(stateQuiet, stateStreams) // unless it was told to go, which is for good
		return
	}
	c.used.Store(time.Now().UnixNano())
	c.state.CompareAndSwap(stateStreams, stateQuiet)
}

// serveStream answers one request of an HTTP/2 connection, as loop does with those of others.
func (s *Server) serveStream(conn *client, st *http2front.Stream) {
	c := conn.newStream(st, &s.readers)
	s.addStream(c)
	stop := context.AfterFunc(st.Context(), c.leave)
	defer func() {
		fault := recover()
		stop()
		s.removeStream(c)
		if fault != nil {
			s.log.Error().Interface("panic", fault).Bytes("stack", debug.Stack()).Msg("panic in a connection")
			return
		}
		c.r.Reset(nil)
		s.readers.Put(c.r)
	}()
	if most := s.limits.Requests; s.draining.Load() || most > 0 && conn.streams.Add(1) >= int64(most) {
		st.Last()
	}
	x := exchange{s: s, c: c}
	x.req.MaxFields = s.limits.HeaderCount
	if _, err := c.r.Peek(1); err == nil && x.readHead() {
		x.answer()
	}
}

// newStream returns one request of c as a client: the same peer, on a connection of its own.
func (c *client) newStream(st *http2front.Stream, readers *sync.Pool) *client {
	n := &client{raw: st, stream: st, tls: c.tls, tlsFields: c.tlsFields, peer: c.peer, addr: c.addr}
	n.conn = &wire{Conn: st, c: n}
	n.state.Store(stateActive)
	n.r = readers.Get().(*bufio.Reader)
	n.r.Reset(n)
	return n
}

// goAway tells the clients that speak HTTP/2 that their connections take no new requests.
func (s *Server) goAway() {
	if s.drainHTTP2 != nil {
		s.drainHTTP2()
	}
}

// protocols are the names of what is spoken with clients, by what spoken returns.
var protocols = [...]string{"HTTP/1.0", "HTTP/1.1", "HTTP/2.0"}

// spoken says in which version the client sent the request.
func (x *exchange) spoken() int {
	if x.c.stream != nil {
		return 2
	}
	return int(x.req.Minor)
}

func (s *Server) addStream(c *client) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.streams == nil {
		s.streams = make(map[*client]struct{})
	}
	s.streams[c] = struct{}{}
}

func (s *Server) removeStream(c *client) {
	s.mu.Lock()
	delete(s.streams, c)
	s.mu.Unlock()
}
