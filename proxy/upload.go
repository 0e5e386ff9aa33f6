package proxy

import (
	"errors"
	"io"

	"rehydra/proxy/http1"
)

// trailerLimit bounds the trailer section of a request, which is not forwarded.
const trailerLimit = 16 << 10

// upload is the body of a request on its way from the client to backends.
type upload struct {
	x       *exchange
	source  http1.Body
	most    int    // how much is kept, so that it can be sent again; a longer body is streamed and never held whole
	limit   int64  // how long the body may be; 0: no limit
	size    int64  // of a chunked body so far
	kept    []byte // the first bytes, at most that many
	lost    bool   // bytes were read that are not in kept: it cannot be sent again
	ended   bool   // the source is at its end
	held    bool   // the client waits for 100 (Continue) before it sends
	err     error  // what ended the source early
	pump    *pump  // streams the rest; nil when none runs
	expects bool   // the current attempt sends Expect: 100-continue
}

func (u *upload) reset() {
	u.kept = u.kept[:0]
	u.lost, u.ended, u.held, u.err, u.pump, u.expects = false, true, false, nil, nil, false
	u.most, u.limit, u.size = 0, 0, 0
}

// bound sets how long the body may be (0: any length) and how much of it is kept. It
// reports whether the body may be as long as it says that it is.
func (u *upload) bound(limit int64, most int) bool {
	u.limit, u.most = limit, most
	return limit == 0 || u.x.req.Framing != http1.FramingLength || u.x.req.ContentLength <= limit
}

var errTooLarge = errors.New("a body over the limit")

// read reads from the source. What of a chunked body is over the limit is not given out.
func (u *upload) read(p []byte) (int, error) {
	n, err := u.source.Read(p)
	if u.limit == 0 || u.x.req.Framing != http1.FramingChunked {
		return n, err
	}
	if u.size += int64(n); u.size > u.limit {
		return 0, errTooLarge
	}
	return n, err
}

// begin prepares to read the body of the request in x.
func (u *upload) begin(x *exchange) {
	u.x = x
	req := &x.req
	u.source.Reset(x.c.r, req.Framing, req.ContentLength, http1.TrailerLimits{Bytes: trailerLimit}, false)
	u.ended = u.source.Done()
	u.held = req.Expect100 && !u.ended
	if !u.ended {
		x.c.setReadLimit(x.s.limits.BodyTimeout)
	}
}

// whole reports whether nothing of the body is left in the connection.
func (u *upload) whole() bool { return !u.pumping() && u.ended }

// resendable reports whether the body, as far as it was read, can be sent again.
func (u *upload) resendable() bool { return !u.lost && u.pump == nil && u.err == nil }

// gather reads what of the body can be kept: all of one whose length is small, and
// of a chunked one what has arrived. A client that waits for 100 is not waited for.
func (u *upload) gather() error {
	if u.ended || u.held || u.err != nil {
		return u.err
	}
	r := u.x.c.r
	small := u.x.req.Framing == http1.FramingLength && u.x.req.ContentLength <= int64(u.most)
	if u.kept == nil {
		u.kept = make([]byte, 0, 4<<10)
	}
	for !u.ended && len(u.kept) < u.most {
		// A chunked body may be a conversation: wait for its beginning, not for more.
		if !small && len(u.kept) > 0 && r.Buffered() <= len("\r\n") {
			return nil
		}
		if len(u.kept) == cap(u.kept) {
			u.kept = append(u.kept, 0)[:len(u.kept)]
		}
		n, err := u.read(u.kept[len(u.kept):min(cap(u.kept), u.most)])
		u.kept = u.kept[:len(u.kept)+n]
		u.note(err)
		if u.err != nil {
			return u.err
		}
	}
	return nil
}

// note takes in what a read of the source returned.
func (u *upload) note(err error) {
	switch {
	case err == nil:
		u.ended = u.source.Done()
	case errors.Is(err, io.EOF):
		u.ended = true
	default:
		u.err = err
	}
}

// keep keeps data if there is room for all of it.
func (u *upload) keep(data []byte) {
	if u.lost || len(u.kept)+len(data) > u.most {
		u.lost = true
		return
	}
	u.kept = append(u.kept, data...)
}

// failure maps what ended the body early.
func (u *upload) failure() failure {
	var protocol *http1.ProtocolError
	switch {
	case errors.As(u.err, &protocol):
		return malformed(protocol)
	case errors.Is(u.err, errTooLarge):
		return failBodyTooLarge
	case isTimeout(u.err):
		return failBodyTimeout
	default:
		return failBodyCut
	}
}
