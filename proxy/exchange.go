package proxy

import (
	"errors"
	"time"

	"rehydra/jvmroute"
	"rehydra/proxy/eventloop"
	"rehydra/proxy/http1"
	"rehydra/proxy/session"
	"rehydra/proxy/socket"
	"rehydra/proxy/upstream"
)

// exchange is one request and its answer. A connection borrows one for each of its
// requests; everything in it is valid for that.
type exchange struct {
	s      *Server
	c      *client
	worker *eventloop.Worker // that runs it; nil: a goroutine does
	waiter loopWaiter

	req         http1.RequestHead
	headScratch []byte // heads that do not fit the reader
	headCopy    []byte // of a request with a body, which the reader's buffer goes on to
	path        []byte // of the request, without path parameters
	pathScratch []byte

	front  *Front
	origin origin
	hops   [][]byte

	pool   *upstream.Pool
	ids    []jvmroute.Candidate
	routes [][]byte
	plan   session.Plan
	body   upload
	tried  []*upstream.Backend

	resp         http1.ResponseHead
	respScratch  []byte
	respCopy     []byte
	reply        http1.Body
	coding       coding
	calls        socket.Calls
	out          []byte // bytes for the client that were not written yet
	outBuffer    *[]byte
	toBackend    []byte // the head for the backend
	headSent     bool   // some of the answer has reached the client's connection
	closeClient  bool   // the connection ends with this answer
	unread       bool   // the client may still be sending what was refused
	lingers      bool   // the connection is to be closed so that the client can read its answer
	clientFailed bool   // the client is gone
	over         bool   // the connection ends with this answer, and nothing uses the exchange after it

	event event
}

// leaveLoop is called before anything that may wait for something else than the client's and the backend's connections.
func (x *exchange) leaveLoop() { x.worker.Leave() }

// begin makes x ready for the next request.
func (x *exchange) begin() {
	x.front = x.s.front.Load()
	x.origin = origin{secure: x.c.secure()}
	x.pool, x.path, x.ids, x.routes, x.tried = nil, nil, x.ids[:0], x.routes[:0], x.tried[:0]
	x.plan.Reset()
	x.req.Method, x.req.Minor = nil, 1 // for an answer to what is no request
	x.body.reset()
	x.headSent, x.closeClient, x.clientFailed, x.unread, x.lingers, x.over = false, false, false, false, false, false
	x.coding = codeNone
	x.event = event{start: time.Now()}
}

// end gives back what the request borrowed and logs it.
func (x *exchange) end() {
	x.plan.Done()
	x.c.backend.Store(nil)
	x.returnBuffer()
	x.countRequest()
	x.event.end = time.Now()
	if x.s.access != nil {
		x.s.access.write(x)
	}
	x.shed()
}

// keepScratch is how large a buffer may be that an idle connection keeps.
const keepScratch = 8 << 10

// shed lets go of what was large: x may wait for long for its next request after one
// with a large body, or a session's state in its trailers.
func (x *exchange) shed() {
	x.plan.Reset()
	if cap(x.hops) > keepHops {
		x.hops = nil
	}
	if len(x.reply.Trailers()) > 0 {
		x.reply = http1.Body{}
	}
	for _, buffer := range [...]*[]byte{&x.headScratch, &x.headCopy, &x.respScratch, &x.respCopy, &x.toBackend, &x.body.kept} {
		if cap(*buffer) > keepScratch {
			*buffer = nil
		}
	}
}

// route finds the pool for the request and sends it there.
func (x *exchange) route() (next bool) {
	req := &x.req
	if req.Framing != http1.FramingNone {
		// The body will be read over the head: keep the head.
		x.headCopy = append(x.headCopy[:0], req.Raw...)
		if err := req.Parse(x.headCopy); err != nil {
			return x.refuse(failPanic) // it parsed before
		}
	}
	x.closeClient = !req.KeepAlive || x.s.draining.Load() || x.s.limits.Requests > 0 && x.c.count >= x.s.limits.Requests
	x.arrive()
	x.body.begin(x)
	x.path = jvmroute.StripPathParameters(x.pathScratch[:0], req.Path)
	if string(req.Method) == "TRACE" || string(req.Method) == "CONNECT" {
		return x.refuse(failMethod)
	}
	if x.c.stream != nil && x.c.stream.GRPC() {
		return x.refuseGRPC()
	}
	if string(req.Target) == "*" || string(req.Method) == "OPTIONS" && req.MaxForwards == 0 {
		return x.answerOptions()
	}
	if next, answered := x.answerToPlain(); answered {
		return next
	}
	r := x.s.routing.Load()
	if x.pool = r.Table.Match(req.Authority, req.Path); x.pool == nil {
		return x.refuse(failNoPool)
	}
	x.findSessions(r)
	return x.dispatch()
}

// findSessions finds the session ids, the routes they name, and what the
// pool's tier has to do with them.
func (x *exchange) findSessions(r *Routing) {
	req := &x.req
	x.ids = r.Finder.AppendPath(x.ids, req.Target)
	if req.Has(http1.Cookie) {
		for i := range req.Fields {
			if req.Fields[i].Known == http1.Cookie {
				x.ids = r.Finder.AppendCookies(x.ids, req.Fields[i].Value)
			}
		}
	}
	for i := range x.ids {
		if route := x.ids[i].Route(); len(route) > 0 {
			x.routes = append(x.routes, route)
		}
	}
	if len(x.ids) > 0 {
		x.event.id = x.ids[0].ID
	}
	tier := r.Tiers[x.pool.Name()]
	if tier == nil {
		return
	}
	if tier.NonSticky() {
		x.routes = x.routes[:0] // any backend will do
	}
	if tier.Plan(&x.plan, x.ids, req.Method, req.Authority, req.Target, x.path) && x.worker != nil {
		x.plan.WaitBy(&x.waiter)
	}
}

// dispatch tries backends until one answers or nothing more may be tried.
func (x *exchange) dispatch() (next bool) {
	cfg := x.pool.Config()
	if !x.body.bound(cfg.MaxBody, max(cfg.Retry.BodyBytes, 0)) {
		return x.refuse(failBodyTooLarge)
	}
	last, again := failNoBackend, false
	for {
		b, sticky, err := x.pool.Choose(x.routes, x.tried)
		if err != nil {
			if errors.Is(err, upstream.ErrForced) {
				last = failForced
			}
			return x.refuse(last)
		}
		if again && !x.pool.Repeat(time.Now()) {
			return x.refuse(last)
		}
		x.event.backend, x.event.sticky = b, sticky
		result := x.counted(b)
		for result.owner != nil { // the request follows its session
			b = result.owner
			x.event.backend = b
			result = x.counted(b)
		}
		if !result.elsewhere {
			if result.fail.status != 0 {
				return x.refuse(result.fail)
			}
			return result.next
		}
		last, again = result.fail, result.sent
		x.tried = append(x.tried, b)
	}
}

// counted makes an attempt at b that counts as a request in flight, also when it panics.
func (x *exchange) counted(b *upstream.Backend) result {
	b.Begin()
	defer b.End()
	return x.attempt(b)
}
