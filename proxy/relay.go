package proxy

import (
	"rehydra/proxy/http1"
	"rehydra/proxy/upstream"
)

// relayBuffer is the size of the buffer in which an answer is put together: the
// head and a small body leave in one write, a large body in pieces of this size.
const relayBuffer = 64 << 10

func (x *exchange) borrowBuffer() {
	if x.outBuffer == nil {
		x.outBuffer = x.s.buffers.Get().(*[]byte)
		x.out = (*x.outBuffer)[:0]
	}
}

func (x *exchange) returnBuffer() {
	if x.outBuffer != nil {
		if cap(x.out) > cap(*x.outBuffer) && cap(x.out) <= 2*relayBuffer {
			*x.outBuffer = x.out[:0]
		}
		x.s.buffers.Put(x.outBuffer)
		x.outBuffer, x.out = nil, nil
	}
}

// flush writes what is in x.out to the client.
func (x *exchange) flush() error {
	if len(x.out) == 0 {
		return nil
	}
	x.headSent = true
	n, err := x.c.Write(x.out)
	x.event.bytes += int64(n)
	x.out = x.out[:0]
	if err != nil {
		x.clientFailed = true
	}
	return err
}

// relayBody moves the body from the backend to the client until its last bytes, which stay in x.out: the end is the caller's. Where it need not be
// kept back there may be nothing left. Data is passed on as it comes: nothing waits for more while the client could have it.
func (x *exchange) relayBody(c *upstream.Conn, keepEnd bool) error {
	if err := x.spliceBody(c, keepEnd); err != nil {
		return err
	}
	for !x.reply.Done() {
		if cap(x.out)-len(x.out) < relayBuffer/8 {
			if err := x.flush(); err != nil {
				return err
			}
		} else if len(x.out) > 0 && c.R.Buffered() == 0 && !x.reply.Done() {
			if err := x.flush(); err != nil {
				return err
			}
		}
		if err := x.readPiece(); err != nil {
			if x.reply.Done() {
				return nil
			}
			return err
		}
	}
	return nil
}

// readPiece reads some of the body behind what is in x.out, as a chunk if need be.
func (x *exchange) readPiece() error {
	from := len(x.out)
	room := x.out[from:cap(x.out)]
	if x.coding == codeChunked {
		room = room[chunkRoom : len(room)-len("\r\n0\r\n\r\n")]
		room = room[:min(len(room), 0x7fff)]
	}
	n, err := x.reply.Read(room)
	if n == 0 {
		return err
	}
	x.event.body += int64(n)
	if x.coding != codeChunked {
		x.out = x.out[:from+n]
		return err
	}
	// The chunk's header is as long as it is: the data moves up to it.
	x.out = http1.AppendChunkHeader(x.out, n)
	x.out = x.out[:len(x.out)+copy(x.out[len(x.out):cap(x.out)], room[:n])]
	x.out = append(x.out, "\r\n"...)
	return err
}

// appendEnd appends what ends the body.
func (x *exchange) appendEnd() {
	if x.coding == codeChunked {
		x.out = http1.AppendLastChunk(x.out, x.reply.Trailers(), http1.AllowedInTrailer)
	}
}

// finish writes the rest of the answer and reports whether the connection may
// carry another request.
func (x *exchange) finish() (next bool) {
	if x.flush() != nil {
		x.event.failure = "client gone"
		if x.event.bytes == 0 {
			x.event.status = 0
		}
		return false
	}
	if !x.closeClient {
		return true
	}
	// A client that meant to go on may be sending already.
	if !x.body.whole() || x.c.r.Buffered() > 0 || x.unread || x.req.KeepAlive {
		x.body.stopPump()
		x.lingers = true
	}
	x.over = !x.lingers && x.body.pump == nil
	return false
}

// abort ends the connection so that the client sees that the answer was cut: a
// chunked one lacks its end, one with a length is short, and for one that ends
// with the connection there is only a reset.
func (x *exchange) abort() {
	x.out = x.out[:0]
	x.closeClient = true
	if x.coding != codeClose {
		return
	}
	if tcp, ok := x.c.raw.(interface{ SetLinger(sec int) error }); ok {
		_ = tcp.SetLinger(0) // it fails only on a connection that is broken already
	}
	_ = x.c.raw.Close() // at once: closing TLS would say that this was all
}

func (x *exchange) trailerLimits() http1.TrailerLimits {
	return http1.TrailerLimits{Bytes: x.plan.TrailerBytes() + trailerLimit, Fields: maxResponseFields}
}
