package proxy

import (
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"rehydra/proxy/http1"
	"rehydra/proxy/upstream"
)

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
	u.x.leaveLoop()
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
	c.UsePump()
	switch client := u.x.c; {
	case client.looped == nil:
	case client.tls != nil: // who reads may have to write, as a KeyUpdate wants an answer. So all of the request goes on by goroutines
		u.x.leaveLoop()
		client.looped.Use(nil)
		c.UseFreely()
	default:
		client.looped.UseReading(nil)
	}
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

// stopPump ends the pump, if one runs, and returns when it has ended. c must
// be closed before if the pump may be writing to it.
func (u *upload) stopPump() {
	if u.pump == nil {
		return
	}
	select {
	case <-u.pump.done:
	default:
		u.x.leaveLoop()
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
