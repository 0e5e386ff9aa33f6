package proxy

import (
	"bytes"
	"errors"
	"runtime"
	"runtime/debug"
	"time"

	"rehydra/proxy/eventloop"
	"rehydra/proxy/http1"
)

// loop answers the requests of one connection, one after the other.
func (c *client) loop(s *Server) {
	c.prepareRest(&s.readers)
	for idle := time.Now(); ; {
		// Who has just been answered has not asked again yet: with others to be served meanwhile, a look later is one in vain less. That took 4 % off the
		// processor time of 64 busy connections, and 6 % off their 99th percentile.
		runtime.Gosched()
		if c.await(&s.readers, idle) != nil {
			return // closed, reset, or idle for too long: nobody waits for an answer
		}
		var more bool
		if idle, more = c.next(s, nil); !more {
			return
		}
	}
}

// next answers the request whose beginning is there, and reports whether the connection may carry another, and since when it waits for that. w runs it;
// nil: a goroutine of its own does.
func (c *client) next(s *Server, w *eventloop.Worker) (idle time.Time, more bool) {
	if !c.state.CompareAndSwap(stateIdle, stateActive) {
		return idle, false // the drain closes it
	}
	x := s.exchanges.Get().(*exchange)
	x.c, x.worker = c, w
	if c.rest.raw != nil {
		c.calls = &x.calls
	}
	more = x.readHead() && x.answer()
	if !more && !x.over {
		if x.lingers {
			c.useBy(w)
			c.linger() // not before the request is over: its answer is out
		}
		return idle, false // and nobody has x again: something may still use it
	}
	idle = x.event.end
	x.c, x.worker = nil, nil
	if c.rest.raw != nil {
		c.calls = nil
	}
	s.exchanges.Put(x)
	if !more {
		return idle, false
	}
	c.setReadLimit(s.limits.KeepAliveTimeout)
	c.used.Store(idle.UnixNano()) // the client may still be reading
	if s.closing.Load() {
		c.useBy(w)
		c.linger() // it was not told, and may be sending
		return idle, false
	}
	c.state.Store(stateIdle)
	return idle, !s.closing.Load()
}

// readHead reads and parses the next head. It answers what cannot be one and
// returns false then, or when the client is gone.
func (x *exchange) readHead() bool {
	c := x.c
	x.begin()
	c.used.Store(x.event.start.UnixNano())
	c.count++
	buffered, _ := c.r.Peek(c.r.Buffered())
	if !bytes.Contains(bytes.TrimLeft(buffered, "\r\n"), []byte("\r\n\r\n")) { // empty lines may come before a head
		if c.setReadEnd(x.s.limits.HeaderTimeout) != nil {
			return false
		}
	}
	raw, scratch, err := http1.ReadRequestHead(c.r, x.headScratch, x.s.limits.HeaderBytes)
	x.headScratch = scratch
	if err == nil {
		err = x.req.Parse(raw)
	}
	most := x.s.limits.URIBytes
	long := err == nil && most > 0 && len(x.req.Target) > most
	if err == nil && !long {
		return true
	}
	x.unread = true
	var protocol *http1.ProtocolError
	switch {
	case long:
		x.refuse(failURI)
	case errors.As(err, &protocol):
		x.refuse(malformed(protocol))
	case isTimeout(err) && (c.r.Buffered() > 0 || len(x.headScratch) > 0):
		x.refuse(failHeaderTimeout)
	default:
		return false // the client is gone: there was no request
	}
	x.req.Method = nil // of what is no request nothing is logged
	x.end()
	return false
}

// answer answers the request in x.req and reports whether the connection may
// carry another. A panic costs this request and its connection.
func (x *exchange) answer() (next bool) {
	defer x.end() // also when what follows a panic panics
	defer func() {
		if fault := recover(); fault != nil {
			x.s.log.Error().Interface("panic", fault).Bytes("stack", debug.Stack()).Msg("panic in a request")
			x.c.cutBackend()
			x.body.stopPump()
			x.closeClient = true
			x.refuse(failPanic)
			next, x.over = false, false // nobody knows who still uses it
		}
	}()
	return x.route()
}
