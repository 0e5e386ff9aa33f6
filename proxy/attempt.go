package proxy

import (
	"bufio"
	"errors"
	"time"

	"rehydra/proxy/http1"
	"rehydra/proxy/session"
	"rehydra/proxy/upstream"
)

// result is how one attempt ended: answered (next says whether the connection
// goes on), failed for good, to be tried elsewhere, or to be sent to the backend
// that has the session.
type result struct {
	next      bool
	elsewhere bool
	owner     *upstream.Backend
	sent      bool // something of it was: going elsewhere takes from the pool's retry budget
	fail      failure
}

const (
	// expectWait is how long a body waits for a 100 (Continue), for backends
	// that ignore Expect (RFC 9110, section 10.1.1).
	expectWait = time.Second
	// maxInterim bounds the 1xx answers before a final one.
	maxInterim = 64
	// maxResponseHead bounds a response's head, maxResponseFields its fields.
	maxResponseHead   = 128 << 10
	maxResponseFields = 512
)

var (
	errUnasked = errors.New("101 without a request for it")
	errCut     = errors.New("the drain is over")
)

// attempt sends the request to b and, when b answers, answers the client.
func (x *exchange) attempt(b *upstream.Backend) result {
	if x.body.gather() != nil {
		return result{fail: x.body.failure()}
	}
	if err := x.plan.Aim(x.s.ctx, b, x.tried); err != nil {
		return x.notAimed(b, err)
	}
	for fresh := false; ; {
		c, err := x.connect(b, fresh)
		if errors.Is(err, errClientLeft) {
			x.event.failure = "client gone"
			return result{}
		}
		if err != nil {
			return result{elsewhere: !errors.Is(err, errCut), fail: failConnect}
		}
		s, err := x.try(b, c)
		if err == nil {
			if need, ok := x.needed(); ok {
				if r, again := x.handOver(b, c, need); !again {
					return r
				}
				fresh = false
				continue
			}
			return x.respond(b, c)
		}
		if errors.Is(err, upstream.ErrStale) && !x.abandoned() {
			b.FoundClosed(c)
			x.event.attempts-- // nothing was sent
			continue
		}
		r, again := x.missed(b, c, s, err)
		if !again {
			return r
		}
		fresh = true
	}
}

// missed ends an attempt that got no answer, and says whether the request is to
// be sent to b again, on a new connection.
func (x *exchange) missed(b *upstream.Backend, c *upstream.Conn, s sent, err error) (r result, again bool) {
	x.leaveLoop() // Unread waits, and so does the end of an upload
	if s.bytes && !s.answered && !isTimeout(err) && c.Unread() {
		s.bytes = false // nothing that counts: no application took it
	}
	_ = c.Close() // what went wrong is in err
	x.body.stopPump()
	if x.abandoned() {
		x.event.failure = "client gone"
		return result{}, false
	}
	if x.body.err != nil {
		return result{fail: x.body.failure()}, false
	}
	s.body = !x.body.resendable()
	if c.Reused && !s.answered && !isTimeout(err) {
		// The backend closed a kept connection as we used it: that says
		// nothing about the backend, and a new connection may do.
		b.FoundClosed(c)
		if mayRepeat(x.req.Method, s) {
			return result{}, true
		}
		return result{fail: upstreamFailure(err)}, false
	}
	x.report(b, c.Epoch(), err)
	return result{elsewhere: mayRepeat(x.req.Method, s), sent: s.bytes, fail: x.failureOf(err)}, false
}

func (x *exchange) failureOf(err error) failure {
	if errors.Is(err, errUnasked) {
		return failUnasked
	}
	return upstreamFailure(err)
}

// connect returns a connection to b, a kept one unless fresh is set, on which the request is to be sent now.
func (x *exchange) connect(b *upstream.Backend, fresh bool) (c *upstream.Conn, err error) {
	x.event.attempts++
	now := time.Now()
	switch {
	case fresh:
		c, err = b.AcquireFresh(x.worker)
	case idempotent(x.req.Method) && x.body.whole():
		c, err = b.Acquire(x.worker, now, upstream.LookAsking)
	default: // it could not be sent again
		c, err = b.AcquireSure(x.worker, now, upstream.Look(!x.body.whole()))
	}
	if err != nil {
		reportConnect(b, err)
		return nil, err
	}
	if !c.Reused {
		now = time.Now() // making it has taken time
	}
	x.event.sentAt, x.event.answeredAt = now, time.Time{} // another attempt may have been answered
	x.c.backend.Store(c)
	if x.c.gone.Load() { // as below
		_ = c.Close()
		return nil, errClientLeft
	}
	if x.s.ctx.Err() != nil { // the drain's cut came before it could see c
		_ = c.Close()
		return nil, errCut
	}
	return c, nil
}

// reportConnect tells b's state machine that no connection to it was made. What errors.As needs is allocated, here and not in each request.
func reportConnect(b *upstream.Backend, err error) {
	var ce *upstream.ConnectError
	if errors.As(err, &ce) {
		b.ReportConnect(ce)
	}
}

// report tells b's state machine what an attempt saw of it.
func (x *exchange) report(b *upstream.Backend, epoch uint64, err error) {
	switch {
	case isTimeout(err):
		b.ReportFirstByteTimeout(epoch)
	case isReset(err):
		b.ReportReset(epoch, err)
	}
}

// notAimed is for a request whose session could not be settled before it was
// sent. Nothing of it reached an application.
func (x *exchange) notAimed(b *upstream.Backend, err error) result {
	var at *session.OwnerError
	if errors.As(err, &at) {
		return result{owner: at.Owner}
	}
	f := upstreamFailure(err)
	x.s.log.Warn().Err(err).Str("pool", x.pool.Name()).Str("backend", b.Route()).Msg("session not handed over")
	if errors.Is(err, session.ErrNotNow) || !x.body.resendable() {
		return result{fail: f}
	}
	return result{elsewhere: true, fail: f}
}

// try sends the request on c and reads the head of the final answer into
// x.resp. s says how far it got.
func (x *exchange) try(b *upstream.Backend, c *upstream.Conn) (s sent, err error) {
	t := &x.pool.Config().Timeouts
	u := &x.body
	whole := u.whole()
	u.expects = !whole && (u.held || x.plan.MayNeed())
	x.toBackend = x.appendRequestHead(x.toBackend[:0], whole)
	if whole {
		x.toBackend = append(x.toBackend, u.kept...)
	}
	n, err := x.send(c, whole)
	s.bytes = n > 0
	if err != nil && n == 0 {
		return s, err
	}
	// A backend may answer and close without taking all: look for the answer
	// also after a failed write.
	switch {
	case err != nil:
		c.SetReadTimeout(earlyAnswer)
	case whole: // as it was lent, for the first byte
	case u.expects:
		c.SetReadTimeout(expectWait)
	default:
		u.startPump(c, t.FirstByte)
	}
	answered, err := x.awaitFinal(c, t.FirstByte)
	s.answered = answered
	if err == nil {
		x.event.answeredAt = time.Now()
		b.ReportAnswer()
	}
	return s, err
}

// send sends what is in x.toBackend. Where that is the whole request, it waits for the answer too. The connection's time-outs are those that it was
// lent with.
func (x *exchange) send(c *upstream.Conn, whole bool) (n int, err error) {
	if whole {
		return c.Ask(x.toBackend, x.event.sentAt)
	}
	return c.Write(x.toBackend)
}

// awaitFinal reads heads until the final one, which stays in x.resp. answered
// says that anything came back.
func (x *exchange) awaitFinal(c *upstream.Conn, firstByte time.Duration) (answered bool, err error) {
	u := &x.body
	x.resp.MaxFields = maxResponseFields
	var stall upstream.Stall
	for interim := 0; interim <= maxInterim; interim++ {
		if _, err := c.R.Peek(1); err != nil {
			if u.expects && isTimeout(err) {
				if err := x.letBodyGo(c, firstByte); err != nil {
					return answered, err
				}
				continue
			}
			if isTimeout(err) && !stall.Over(c.NetConn(), 0) {
				interim-- // the request is still on its way
				continue
			}
			return answered, x.uploadError(err)
		}
		answered = true
		raw, scratch, err := http1.ReadResponseHead(c.R, x.respScratch, maxResponseHead)
		x.respScratch = scratch
		if err != nil {
			return answered, err
		}
		if err := x.resp.Parse(raw, string(x.req.Method) == "HEAD"); err != nil {
			return answered, err
		}
		switch status := x.resp.Status; {
		case status >= 200 || status == 101:
			if status == 101 && !http1.Switches(x.req.Upgrade, x.resp.Upgrade) {
				return answered, errUnasked
			}
			return answered, nil
		case status == 100:
			if u.expects {
				if err := x.letBodyGo(c, firstByte); err != nil {
					return answered, err
				}
			}
		default:
			if err := x.relayInterim(); err != nil {
				return answered, err
			}
		}
	}
	return true, &http1.ProtocolError{Status: 502, Reason: "too many interim answers"}
}

// uploadError prefers the error of the client's side, which is why the pump
// closed the connection to the backend.
func (x *exchange) uploadError(err error) error {
	if p := x.body.pump; p != nil && !x.body.pumping() && p.failed {
		return x.body.err
	}
	return err
}

// letBodyGo ends the wait for 100: the backend said it, or says nothing. A
// client that waits for it is told so.
func (x *exchange) letBodyGo(c *upstream.Conn, firstByte time.Duration) error {
	u := &x.body
	u.expects = false
	if u.held {
		u.held = false
		n, err := x.c.Write([]byte("HTTP/1.1 100 Continue\r\n\r\n"))
		x.event.bytes += int64(n)
		if err != nil {
			x.clientFailed = true
			return err
		}
	}
	u.startPump(c, firstByte)
	return nil
}

// needed reports whether the answer in x.resp is an adapter's and means that the
// application was not called: a 428; value is its Rehydra-Need. No other status says
// so: a 400 may be the application's, and its request must not be sent twice.
func (x *exchange) needed() (value []byte, ok bool) {
	if x.resp.Status != 428 || !x.plan.MayNeed() || string(x.resp.Get(http1.RehydraAdapter)) != "1" {
		return nil, false
	}
	value = x.resp.Get(http1.RehydraNeed)
	return value, value != nil
}

// handOver answers a 428: it gives the connection back, lets the plan find the
// session, and says whether the request is to be sent to b again.
func (x *exchange) handOver(b *upstream.Backend, c *upstream.Conn, need []byte) (r result, again bool) {
	value := append([]byte(nil), need...) // the connection's buffer is another's soon
	epoch := c.Epoch()
	keep := x.resp.KeepAlive && x.body.whole() && x.resp.Framing <= http1.FramingLength && x.resp.ContentLength <= 0
	if keep {
		x.release(b, c, time.Now())
	} else {
		_ = c.Close() // its answer was read
	}
	x.body.stopPump()
	if !x.body.resendable() {
		return result{fail: failBodyLost}, false
	}
	if err := x.plan.Needed(x.s.ctx, b, epoch, value); err != nil {
		return x.notAimed(b, err), false
	}
	return result{}, true
}

// peeked returns what the reader holds, without reading.
func peeked(r *bufio.Reader) []byte {
	p, _ := r.Peek(r.Buffered())
	return p
}
