package proxy

import (
	"bufio"
	"context"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"rehydra/jvmroute"
	"rehydra/proxy/eventloop"
	"rehydra/proxy/session"
	"rehydra/proxy/upstream"
)

// Limits bound what one client may cost. The zero value is of no use.
type Limits struct {
	HeaderTimeout    time.Duration // for a whole request head
	BodyTimeout      time.Duration // for a gap within a request's body, and for a write to the client
	KeepAliveTimeout time.Duration // between requests
	HeaderBytes      int           // of a request head
	HeaderCount      int           // fields in it
	URIBytes         int           // of a request's target; 0: as many as HeaderBytes lets
	Requests         int           // on one connection; 0: any number
	Connections      int           // of all clients; 0: any number
	ConnectionsEach  int           // from one address; 0: any number
}

// Routing is what requests are routed by: immutable, and replaced as a whole.
type Routing struct {
	Table *upstream.Table
	// Finder finds session ids.
	Finder *jvmroute.Finder
	// Tiers are the session tiers of the pools that have one, by pool name.
	Tiers map[string]*session.Tier
	// Pages are an operator's own for the answers that are ours; nil: sentences.
	Pages Pages
}

// Server accepts clients and answers their requests.
type Server struct {
	limits    Limits
	log       zerolog.Logger // state changes and faults
	access    *AccessLog     // nil: no access log
	routing   atomic.Pointer[Routing]
	readers   sync.Pool // *bufio.Reader
	exchanges sync.Pool // *exchange: what is idle holds none
	buffers   sync.Pool // *[]byte of relayBuffer
	pipes     pipes

	requests atomic.Pointer[map[string]*requestCount] // by pool; the map is replaced, never changed
	front    atomic.Pointer[Front]
	counts   counts
	tunnels  tunnelCount
	// http2 serves a connection whose client chose "h2", until it is to be closed; nil: it is not offered.
	http2      func(*client)
	drainHTTP2 func() // tells the clients that speak it; nil: nobody does

	ctx    context.Context // of the work that a request does in the session tier
	cancel context.CancelFunc

	mu        sync.Mutex
	open      Opener
	listeners []*listener
	retiring  []*listener // that a reload took away
	clients   map[*client]struct{}
	streams   map[*client]struct{} // requests of HTTP/2 connections
	crowd     crowd
	resting   resting
	draining  atomic.Bool  // no connection gets more than the request that it is in, or about to send
	closing   atomic.Bool  // idle connections are closed, and no new ones made
	late      atomic.Int64 // clients that a drain accepted and had no time to serve
	running   sync.WaitGroup
	group     *eventloop.Group // nil: there are none
	watching  sync.WaitGroup   // see watchClients
}

// NewServer returns a server without listeners.
func NewServer(limits Limits, routing *Routing, access *AccessLog, log zerolog.Logger) *Server {
	s := &Server{open: openTCP, limits: limits, log: log, access: access, clients: make(map[*client]struct{})}
	s.crowd.init(limits.Connections, limits.ConnectionsEach)
	s.readers.New = func() any { return bufio.NewReaderSize(nil, clientBuffer) }
	s.exchanges.New = func() any {
		x := &exchange{s: s}
		x.waiter.x = x
		x.req.MaxFields = s.limits.HeaderCount
		return x
	}
	s.buffers.New = func() any { b := make([]byte, 0, relayBuffer); return &b }
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.requests.Store(&map[string]*requestCount{})
	s.front.Store(&Front{})
	s.SetRouting(routing)
	return s
}

// SetRouting replaces the routing for requests that begin from now on. It is not
// called twice at once.
func (s *Server) SetRouting(r *Routing) {
	if s.group != nil {
		r.Table.UseLoops(s.group)
	}
	s.countPools(r) // before the first request of a new pool can end
	s.routing.Store(r)
}

// Routing returns the routing in force.
func (s *Server) Routing() *Routing { return s.routing.Load() }

// welcome begins to serve a client, for which s.running counts already. room says that it has a place among all clients.
func (s *Server) welcome(conn net.Conn, kind Kind, room bool) {
	c := s.join(conn, room)
	if c == nil || s.serveAtOnce(c, kind) {
		return
	}
	if c.looped != nil {
		s.group.Go(func(w *eventloop.Worker) { s.serve(c, kind, w) })
		return
	}
	go s.serve(c, kind, nil)
}

// join makes a connection one of the clients. It closes it and returns nil where the time of the drain is over.
func (s *Server) join(conn net.Conn, room bool) *client {
	c := newClient(conn, &s.readers)
	c.server, c.room = s, room
	if !s.add(c) {
		s.cutWaiting(conn)
		s.done(room)
		return nil
	}
	return c
}

// serve owns one client until it is closed, or until the event loops or another goroutine have it. w runs it; nil: a goroutine of its own does.
func (s *Server) serve(c *client, kind Kind, w *eventloop.Worker) {
	given := false
	c.useBy(w)
	defer func() {
		if !given {
			s.quit(c, recover())
		}
	}()
	switch {
	case !c.isWatched(): // it cannot be waited for
	case !s.admit(c, kind):
	case c.protocol() == "h2" && s.http2 != nil:
		if w == nil {
			s.http2(c)
			return
		}
		given = true // a worker would hold a stack for it, beside the goroutine that waits
		c.useBy(nil)
		go func() {
			defer func() { s.quit(c, recover()) }()
			s.http2(c)
		}()
	case c.looped != nil:
		given = true
		c.serveLooped(time.Now())
	default:
		c.begin(s)
		c.loop(s)
	}
}

// done is the end of a client, of which serve was told.
func (s *Server) done(room bool) {
	if room {
		s.crowd.vacate()
	}
	s.running.Done()
}

func (s *Server) add(c *client) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ctx.Err() != nil { // cutAll was here
		return false
	}
	s.clients[c] = struct{}{}
	return true
}

// remove makes c no client any more, and reports whether its place among all clients is to be given back.
func (s *Server) remove(c *client) (room bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.clients, c)
	s.resting.forget(c)
	if c.early {
		s.crowd.leaving--
	}
	return c.room
}

// Shutdown takes the clients that wait to be accepted, closes the listeners and the idle connections, lets requests end,
// and cuts those that have not when ctx ends. It returns how many it cut.
func (s *Server) Shutdown(ctx context.Context) (cut int) {
	s.draining.Store(true)
	s.mu.Lock()
	s.closing.Store(true)
	listeners := slices.Concat(s.listeners, s.retiring)
	s.mu.Unlock()
	for _, ln := range listeners {
		s.lastCall(ctx, ln, mostCalled)
	}
	s.closeIdle()
	s.goAway()
	done := make(chan struct{})
	go func() { s.running.Wait(); close(done) }()
	again := time.NewTicker(firstWait / 4)
	defer again.Stop()
	for over := false; !over; {
		select {
		case <-done:
			over = true
		case <-again.C:
			s.closeIdle()
		case <-ctx.Done():
			cut = s.cutAll()
			<-done
			over = true
		}
	}
	s.cancel()
	s.watching.Wait()
	return cut + int(s.late.Load())
}

// firstWait is how long a drain lets a client wait before it sends its first request: from when it was accepted or, where it is greeted before, from the last that was heard
// of it then. It may be on its way: a connection that the kernel made a moment ago is closed for nothing that its client knows of. And a TLS handshake takes long
// where all those who waited at a listener have theirs at once.
const firstWait = time.Second

// closeIdle closes the connections that wait for a request, but for those that were made a moment ago and had none yet, and those on which something has come
// that is still to be looked at: closing these would be a reset.
func (s *Server) closeIdle() {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := time.Now().Add(-firstWait).UnixNano()
	for c := range s.clients {
		if c.used.Load() == c.made && max(c.made, c.greeted.Load()) > before {
			continue
		}
		c.closeIdle()
	}
}

// closeIdle closes the connection if it waits for a request, and reports whether it did.
func (c *client) closeIdle() bool {
	if c.state.Load() != stateIdle || unread(c.raw) || !c.state.CompareAndSwap(stateIdle, stateClosed) {
		return false
	}
	_ = c.raw.Close() // nothing is lost
	return true
}

// cutAll ends every connection, and what its request waits for: a backend that
// does not answer must not keep the process.
func (s *Server) cutAll() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cancel() // before: see exchange.connect
	cut := 0
	for c := range s.clients {
		if c.closeIdle() { // it has sent nothing, and lost nothing
			continue
		}
		if c.state.Load() != stateClosed { // not idle, and closed a moment ago
			cut++
		}
		_ = c.raw.Close() // it is cut, whatever Close says
		c.cutBackend()
	}
	for c := range s.streams {
		c.cutBackend()
	}
	return cut
}

// Connections counts the client connections that are open.
func (s *Server) Connections() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.clients)
}
