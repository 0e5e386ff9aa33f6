package http1

import (
	"bufio"
	"io"
)

// Body reads the body of one message by its framing. The zero value needs Reset; nothing is allocated after warm-up.
type Body struct {
	framing Framing
	r       *bufio.Reader
	left    int64
	ended   bool
	chunked ChunkedReader
}

// Reset makes b read the body that follows on r. length is used with FramingLength only, limits with
// FramingChunked; isResponse as in [ChunkedReader.Reset].
func (b *Body) Reset(r *bufio.Reader, framing Framing, length int64, limits TrailerLimits, isResponse bool) {
	b.framing, b.r, b.left, b.ended = framing, r, 0, framing == FramingNone
	switch framing {
	case FramingLength:
		b.left = length
		b.ended = length == 0
	case FramingChunked:
		b.chunked.Reset(r, limits, isResponse)
	}
}

// Read reads what has arrived, and waits only if nothing has. io.EOF means that the message is whole; one that was cut
// is io.ErrUnexpectedEOF. A body that lasts until the connection closes is whole at the end of the stream; a reset is
// the error it is. A malformed chunked body is a *ProtocolError.
func (b *Body) Read(p []byte) (int, error) {
	switch {
	case b.framing == FramingChunked:
		return b.chunked.Read(p)
	case b.ended:
		return 0, io.EOF
	case b.framing == FramingUntilClose:
		n, err := b.r.Read(p)
		b.ended = err == io.EOF
		return n, err
	}
	if int64(len(p)) > b.left {
		p = p[:b.left]
	}
	n, err := b.r.Read(p)
	b.left -= int64(n)
	b.ended = b.left == 0
	if b.ended && n > 0 {
		err = nil
	}
	return n, unexpected(err)
}

// Done says that the message is known to be whole: after the last byte of a length, after the trailers of a chunked body that
// have arrived, after the end of the stream. True at once where there is no body.
func (b *Body) Done() bool {
	if b.framing == FramingChunked {
		return b.chunked.Done()
	}
	return b.ended
}

// Left returns how many bytes of a body of known length are still to be read; -1 for the other framings.
func (b *Body) Left() int64 {
	if b.framing == FramingLength || b.framing == FramingNone {
		return b.left
	}
	return -1
}

// Took says that n bytes of a body of known length were taken from the connection without b and its reader, which was empty.
func (b *Body) Took(n int64) {
	b.left -= n
	b.ended = b.left == 0
}

// Trailers returns the trailer fields of a chunked body that was read to its end: see [ChunkedReader.Trailers].
func (b *Body) Trailers() []Field {
	if b.framing == FramingChunked {
		return b.chunked.Trailers()
	}
	return nil
}
