package proxy

import (
	"bufio"
	"errors"
	"runtime/debug"
	"syscall"
	"time"

	"rehydra/proxy/eventloop"
)

// serveAtOnce lets the event loops serve c, if that takes no more than a look for its first request. They have it then.
func (s *Server) serveAtOnce(c *client, kind Kind) bool {
	if c.looped == nil || kind != Plain || within(s.front.Load().ProxyProtocol, c.peer) || !s.enter(c) {
		return false
	}
	c.serveLooped(time.Now())
	if c.looped.Watch() != nil {
		_ = c.looped.Close() // which begins what there is to be done
	}
	return true
}

// isWatched has the event loops watch c, if it is for them.
func (c *client) isWatched() bool { return c.looped == nil || c.looped.Watch() == nil }

// useBy says that w waits for c from now on, or, nil, a goroutine by itself.
func (c *client) useBy(w *eventloop.Worker) {
	if c.looped != nil {
		c.looped.Use(w)
	}
}

// serveLooped lets the event loops serve c, which speaks HTTP/1, until it is closed.
func (c *client) serveLooped(now time.Time) {
	c.begin(c.server)
	c.limitRest(now)
	if !c.mayRest() || !c.rests() {
		c.looped.Begin(c)
	}
}

// limitRest ends c's waiting for its next request when the read limit is over, from now on.
func (c *client) limitRest(now time.Time) {
	if at, set := c.read.due(now); set {
		_ = c.looped.SetReadDeadline(at) // it fails where c is closed, which a look will say
	}
}

// mayRest reports whether nothing that c has read is left to be looked at. TLS may hold more than it has given.
func (c *client) mayRest() bool { return c.tls == nil && c.r.Buffered() == 0 }

// rests lets c wait for what comes next, without a buffer. It returns false where there is no need to wait; otherwise c is the loops' until they run it.
func (c *client) rests() bool {
	c.putReader(&c.server.readers)
	return c.looped.Rest(c)
}

// Run answers what has come from a client that rested, and lets it rest again.
func (c *client) Run(w *eventloop.Worker) {
	s, rests := c.server, false
	defer func() {
		if !rests { // else it is another's by now
			s.quit(c, recover())
		}
	}()
	for {
		c.looped.Use(w)
		switch err := c.peek(s); {
		case errors.Is(err, syscall.EAGAIN): // nothing has come, or not all of a TLS record: the time goes on
			if rests = c.rests(); rests {
				return
			}
		case err != nil:
			return // closed, reset, or idle for too long: nobody waits for an answer
		default:
			idle, more := c.next(s, w)
			if !more {
				return
			}
			c.limitRest(idle)
			if c.mayRest() {
				if rests = c.rests(); rests {
					return
				}
			}
		}
	}
}

// peek looks for the first byte of a request: syscall.EAGAIN where there is none yet. c has a reader then.
func (c *client) peek(s *Server) error {
	if c.r == nil {
		c.r = s.readers.Get().(*bufio.Reader)
		c.r.Reset(c)
	}
	c.rest.direct = true
	_, err := c.r.Peek(1)
	c.rest.direct = false
	return err
}

// quit closes the connection of c, after a panic if fault is not nil.
func (s *Server) quit(c *client, fault any) {
	defer s.done(s.remove(c))
	s.crowd.leave(c)
	_ = c.conn.Close() // the last word was said; an error now changes nothing
	if fault != nil {
		// Its reader is not given back: nobody knows who still uses it.
		s.log.Error().Interface("panic", fault).Bytes("stack", debug.Stack()).Msg("panic in a connection")
		return
	}
	c.putReader(&s.readers)
}

// loopWaiter is the session.Waiter of an exchange that a worker runs.
type loopWaiter struct {
	x    *exchange
	bell eventloop.Bell
}

func (w *loopWaiter) Wait()  { w.bell.Wait(w.x.worker) }
func (w *loopWaiter) Wake()  { w.bell.Ring() }
func (w *loopWaiter) Block() { w.x.worker.Leave() }
func (w *loopWaiter) Yield() { w.x.worker.LetOthers() }
