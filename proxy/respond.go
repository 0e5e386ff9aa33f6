package proxy

import (
	"errors"
	"strconv"
	"time"

	"rehydra/proxy/http1"
	"rehydra/proxy/session"
	"rehydra/proxy/upstream"
)

// respond relays the answer whose head is in x.resp, from c to the client, and
// makes it wait for the session where it must.
func (x *exchange) respond(b *upstream.Backend, c *upstream.Conn) result {
	resp := &x.resp
	x.event.status = resp.Status
	if !x.arrived(c) {
		// The body will be read over the head: keep the head.
		x.respCopy = append(x.respCopy[:0], resp.Raw...)
		if err := resp.Parse(x.respCopy, string(x.req.Method) == "HEAD"); err != nil {
			_ = c.Close()
			return result{fail: failMalformed} // it parsed before
		}
	}
	when := session.Never
	if x.plan.Active() {
		when = x.plan.Judge(b, c.Epoch(), session.CollectFields(resp.Fields), x.newID())
	}
	if when == session.Now || when != session.Never && resp.Status == 101 { // which has no other end
		if f, ok := x.settle(b); !ok {
			x.discard(c)
			return result{fail: f}
		}
	}
	if resp.Status == 101 {
		return result{next: x.tunnel(b, c)}
	}
	return x.relay(b, c, when == session.AtEnd)
}

// arrived reports whether the whole answer is in c's reader: there is nothing to wait for, and nothing will be read over its head.
func (x *exchange) arrived(c *upstream.Conn) bool {
	switch x.resp.Framing {
	case http1.FramingNone:
		return true
	case http1.FramingLength:
		return int64(c.R.Buffered()) >= x.resp.ContentLength
	}
	return false
}

// newID returns the session id that the answer sets as a cookie, nil if none.
func (x *exchange) newID() (id []byte) {
	if !x.resp.Has(http1.SetCookie) {
		return nil
	}
	finder := x.s.routing.Load().Finder
	for i := range x.resp.Fields {
		if f := &x.resp.Fields[i]; f.Known == http1.SetCookie {
			if set := finder.SetCookieID(f.Value); set != nil {
				id = set
			}
		}
	}
	return id
}

// settle makes the session's change safe. ok is false when the answer must not
// be acknowledged.
func (x *exchange) settle(b *upstream.Backend) (f failure, ok bool) {
	switch x.plan.Settle(x.s.ctx, b) {
	case session.RefuseFenced:
		return failFenced, false
	case session.RefuseUnsaved:
		return failUnsaved, false
	}
	return failure{}, true
}

// discard drops a connection whose answer is not wanted.
func (x *exchange) discard(c *upstream.Conn) {
	_ = c.Close() // nobody waits for the rest
	x.body.stopPump()
}

// relay sends the answer's head and body to the client. atEnd says that the
// session is to be settled after the body, before the client gets its end.
func (x *exchange) relay(b *upstream.Backend, c *upstream.Conn, atEnd bool) result {
	resp := &x.resp
	x.borrowBuffer()
	x.reply.Reset(c.R, resp.Framing, resp.ContentLength, x.trailerLimits(), true)
	x.coding = x.responseCoding()
	x.appendResponseHead()
	x.body.answering()
	arrived := x.arrived(c)
	if !arrived {
		c.SetReadTimeout(x.pool.Config().Timeouts.Idle)
	}
	err := x.relayBody(c, atEnd)
	if atEnd && trailerTooLong(err) {
		// A state over the limit: the body itself is whole. The session is asked
		// for as if the trailers were missing; the connection is of no use.
		err, resp.KeepAlive = nil, false
	}
	b.AddTraffic(int64(len(x.toBackend)), x.event.body)
	if atEnd && (err == nil || x.clientFailed) {
		if err == nil {
			x.plan.Trailers(b, session.CollectFields(x.reply.Trailers()))
		}
		if f, ok := x.settle(b); !ok {
			x.discard(c)
			return result{fail: f}
		}
	}
	if err != nil {
		x.discard(c)
		return x.cut(b, c, err)
	}
	x.appendEnd()
	keep := resp.KeepAlive && x.reply.Done() && x.body.whole()
	if keep {
		now := x.event.answeredAt
		if !arrived || x.headSent || x.body.pump != nil || x.plan.Active() {
			now = time.Now() // something was waited for since
		}
		x.release(b, c, now)
	}
	next := x.finish()
	if !keep {
		x.discard(c)
	}
	return result{next: next}
}

// trailerTooLong reports whether a chunked body was read to its last chunk and
// then had a trailer section over the limit.
func trailerTooLong(err error) bool {
	var protocol *http1.ProtocolError
	return errors.As(err, &protocol) && protocol.Status == 431
}

// cut ends an exchange whose answer broke off: the client must see that it did.
func (x *exchange) cut(b *upstream.Backend, c *upstream.Conn, err error) result {
	if x.abandoned() {
		x.event.failure = "client gone"
		return result{}
	}
	x.report(b, c.Epoch(), err)
	f := upstreamFailure(err)
	if isTimeout(err) {
		f = failure{504, "answer stalled", "the backend's answer stopped", false}
	}
	if x.headSent {
		x.event.failure = f.reason
		x.abort()
		return result{}
	}
	return result{fail: f}
}

// coding is how the body goes out to the client.
type coding uint8

const (
	codeNone    coding = iota // no body, or as it comes, by its length
	codeChunked               // in chunks
	codeClose                 // as it comes, ended by closing the connection
)

// responseCoding chooses how the client learns where the body ends.
func (x *exchange) responseCoding() coding {
	switch x.resp.Framing {
	case http1.FramingChunked, http1.FramingUntilClose:
		if x.req.Minor >= 1 {
			return codeChunked
		}
		x.closeClient = true
		return codeClose
	}
	return codeNone
}

// appendResponseHead appends the head for the client to x.out.
func (x *exchange) appendResponseHead() {
	resp := &x.resp
	x.out = http1.AppendStatusLine(x.out, resp.Status, resp.Reason)
	x.appendFields()
	if hsts := x.hsts(); hsts != "" {
		x.out = append(x.out, "Strict-Transport-Security: "...)
		x.out = append(x.out, hsts...)
		x.out = append(x.out, "\r\n"...)
	}
	switch {
	case x.coding == codeChunked:
		x.out = append(x.out, "Transfer-Encoding: chunked\r\n"...)
	case resp.ContentLength >= 0 && resp.Status >= 200 && resp.Status != 204 && x.coding == codeNone:
		x.out = append(x.out, "Content-Length: "...)
		x.out = strconv.AppendInt(x.out, resp.ContentLength, 10)
		x.out = append(x.out, "\r\n"...)
	}
	if !x.body.whole() {
		x.closeClient = true // what is left of the request is not read
	}
	x.appendClientConnection()
	x.out = append(x.out, "\r\n"...)
}

// appendFields appends the fields of the answer that go on to the client.
func (x *exchange) appendFields() {
	resp := &x.resp
	for i := range resp.Fields {
		f := &resp.Fields[i]
		switch f.Known {
		case http1.Other, http1.SetCookie, http1.Location, http1.Date, http1.Server:
			if resp.IsHopByHop(f) || x.replaces(f.Name) {
				continue
			}
		case http1.ContentLength, http1.TransferEncoding, http1.RehydraAdapter, http1.RehydraSession,
			http1.RehydraState, http1.RehydraNeed, http1.RehydraForeign:
			continue
		case http1.Trailer:
			x.appendTrailerField(f.Value)
			continue
		default:
			if resp.IsHopByHop(f) {
				continue
			}
		}
		x.out = http1.AppendField(x.out, f.Name, f.Value)
	}
}

// appendTrailerField appends Trailer without the names of the session protocol.
func (x *exchange) appendTrailerField(list []byte) {
	first := true
	for e, rest, ok := http1.NextElement(list); ok; e, rest, ok = http1.NextElement(rest) {
		if len(e) > 8 && http1.EqualFold(e[:8], "rehydra-") {
			continue
		}
		if first {
			x.out = append(x.out, "Trailer: "...)
		} else {
			x.out = append(x.out, ", "...)
		}
		first = false
		x.out = append(x.out, e...)
	}
	if !first {
		x.out = append(x.out, "\r\n"...)
	}
}

// appendClientConnection appends what our connection to the client needs said.
func (x *exchange) appendClientConnection() {
	x.settleClientConnection()
	switch {
	case x.closeClient:
		x.out = append(x.out, "Connection: close\r\n"...)
	case x.req.Minor == 0:
		x.out = append(x.out, "Connection: keep-alive\r\n"...)
	}
}

// settleClientConnection is the last moment at which the client's connection
// can be made to end with this answer.
func (x *exchange) settleClientConnection() {
	if x.s.draining.Load() {
		x.closeClient = true // the drain began while the request ran
	}
}

// relayInterim sends a 1xx other than 100 and 101 on to a client that knows them.
func (x *exchange) relayInterim() error {
	if x.req.Minor == 0 {
		return nil
	}
	x.borrowBuffer()
	x.out = http1.AppendStatusLine(x.out, x.resp.Status, x.resp.Reason)
	x.appendFields()
	x.out = append(x.out, "\r\n"...)
	n, err := x.c.Write(x.out)
	x.event.bytes += int64(n)
	x.out = x.out[:0]
	if err != nil {
		x.clientFailed = true
		return errors.Join(errClientGone, err)
	}
	return nil
}

var errClientGone = errors.New("the client is gone")
