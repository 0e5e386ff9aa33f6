package proxy

import (
	"errors"
	"io"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"rehydra/proxy/http1"
	"rehydra/proxy/upstream"
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

// pump streams a body to a backend while the answer is awaited.
type pump struct {
	u      *upload
	c      *upstream.Conn
	after  time.Duration // the backend's time for the first byte, from the end of the body
	done   chan struct{}
	failed bool        // the client's side failed; u.err says how
	stop   atomic.Bool // stopPump wants it to end: an error of the client's side is its doing

	last atomic.Bool // what is left of the body is being written

	mu      sync.Mutex
	answers bool // the answer is being read, and its time-outs hold
}

// await lets the answer begin within d from now, unless it has begun.
func (p *pump) await(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.answers {
		p.c.SetReadTimeout(d)
	}
}

// answering says that the answer has begun: its time-outs are not the upload's to set any more.
func (u *upload) answering() {
	p := u.pump
	if p == nil {
		return
	}
	p.mu.Lock()
	p.answers = true
	p.mu.Unlock()
	if !p.last.Load() {
		return
	}
	// The backend may have the body whole, and answered before its writer came to say so: the connections can go on.
	select {
	case <-p.done:
	case <-time.After(lastPiece):
	}
}

// lastPiece is how long an answer waits for the end of an upload that was about to end.
const lastPiece = 50 * time.Millisecond

// startPump sends the kept bytes and then the rest of the body to c, in a
// goroutine that ends with the body, an error, or stopPump.
func (u *upload) startPump(c *upstream.Conn, after time.Duration) {
	u.pump = &pump{u: u, c: c, after: after, done: make(chan struct{})}
	c.SetReadTimeout(0) // the answer's time begins when the body is out
	go u.pump.run()
}

func (p *pump) run() {
	defer close(p.done)
	defer func() {
		if fault := recover(); fault != nil {
			p.u.x.s.log.Error().Interface("panic", fault).Bytes("stack", debug.Stack()).Msg("panic in an upload")
			_ = p.c.Close() // ends the request, which sees the connection break
		}
	}()
	u := p.u
	chunked := u.x.req.Framing == http1.FramingChunked
	buffer := make([]byte, 0, 32<<10)
	if err := p.send(buffer, u.kept, chunked); err != nil {
		p.await(earlyAnswer)
		return
	}
	for !u.ended {
		n, err := u.read(buffer[chunkRoom : cap(buffer)-2])
		if u.source.Done() {
			p.last.Store(true)
		}
		if n > 0 {
			u.keep(buffer[chunkRoom : chunkRoom+n])
			if p.sendInPlace(buffer, n, chunked) != nil {
				// The backend takes no more. It may have answered: that is read
				// by whoever waits for the answer, for a short while.
				p.await(earlyAnswer)
				return
			}
		}
		if p.stop.Load() {
			return
		}
		u.note(err)
		if u.err != nil {
			p.failed = true
			_ = p.c.Close() // wakes the reader of the answer; the cut must be seen there
			return
		}
	}
	if chunked {
		if _, err := p.c.Write([]byte("0\r\n\r\n")); err != nil {
			p.await(earlyAnswer)
			return
		}
	}
	p.await(p.after)
}

// earlyAnswer is how long an answer is looked for after the backend stopped
// taking the body.
const earlyAnswer = 2 * time.Second

// chunkRoom is the place for the chunk header before the data in a buffer.
const chunkRoom = len("7fff\r\n")

func (p *pump) send(scratch, data []byte, chunked bool) error {
	for len(data) > 0 {
		n := min(len(data), cap(scratch)-chunkRoom-2)
		copy(scratch[chunkRoom:chunkRoom+n], data)
		if err := p.sendInPlace(scratch, n, chunked); err != nil {
			return err
		}
		data = data[n:]
	}
	return nil
}

// sendInPlace writes the n bytes that lie at chunkRoom in buffer, as one chunk
// if need be, in one write.
func (p *pump) sendInPlace(buffer []byte, n int, chunked bool) error {
	from, to := chunkRoom, chunkRoom+n
	if chunked {
		var head [chunkRoom]byte
		h := http1.AppendChunkHeader(head[:0], n)
		from -= len(h)
		copy(buffer[from:to], h)
		to += copy(buffer[to:to+2], "\r\n")
	}
	_, err := p.c.Write(buffer[from:to])
	return err
}

// keep keeps data if there is room for all of it.
func (u *upload) keep(data []byte) {
	if u.lost || len(u.kept)+len(data) > u.most {
		u.lost = true
		return
	}
	u.kept = append(u.kept, data...)
}

// stopPump ends the pump, if one runs, and returns when it has ended. c must
// be closed before if the pump may be writing to it.
func (u *upload) stopPump() {
	if u.pump == nil {
		return
	}
	select {
	case <-u.pump.done:
	default:
		u.pump.stop.Store(true)
		_ = u.pump.c.Close()
		u.pump.wake()
		u.x.c.read.reset()
		u.lost = true
	}
	u.pump = nil
}

// wake ends a read that waits for the client, and returns when the pump has ended. A read that is about to begin sets a deadline
// of its own after this one: it is set again until none is left.
func (p *pump) wake() {
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	for {
		_ = p.u.x.c.raw.SetReadDeadline(time.Unix(1, 0)) // in the past
		select {
		case <-p.done:
			return
		case <-again.C:
		}
	}
}

// pumping reports whether the body is still on its way.
func (u *upload) pumping() bool {
	if u.pump == nil {
		return false
	}
	select {
	case <-u.pump.done:
		return false
	default:
		return true
	}
}
