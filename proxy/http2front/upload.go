package http2front

import (
	"errors"
	"io"

	"rehydra/proxy/http1"
)

const (
	// uploadPiece is how much of a body is passed on at once.
	uploadPiece = 16 << 10
	// chunkRoom is the place for a chunk's header before its data.
	chunkRoom = len("4000\r\n")
)

// upload passes the body on to the reader of the request, as fast as he takes it. A body that the client cut ends the stream where it is.
func (s *Stream) upload() {
	chunked := s.request.ContentLength < 0
	buffer := make([]byte, chunkRoom+uploadPiece+len("\r\n"))
	for {
		n, err := s.request.Body.Read(buffer[chunkRoom : chunkRoom+uploadPiece])
		if n > 0 && s.pass(buffer, n, chunked) != nil {
			return // the reader wants no more
		}
		switch {
		case err == nil:
		case errors.Is(err, io.EOF):
			s.uploads.Store(false)
			if chunked {
				_, _ = s.near.Write(s.lastChunk()) // an error: the reader wants no more
			}
			return
		default:
			_ = s.near.Close() // in the middle of the body: the reader sees that it is cut
			return
		}
	}
}

// pass writes the n bytes that lie at chunkRoom in buffer, as one chunk if need be.
func (s *Stream) pass(buffer []byte, n int, chunked bool) error {
	from, to := chunkRoom, chunkRoom+n
	if chunked {
		var head [2 * chunkRoom]byte
		h := http1.AppendChunkHeader(head[:0], n)
		from -= len(h)
		copy(buffer[from:], h)
		to += copy(buffer[to:], "\r\n")
	}
	_, err := s.near.Write(buffer[from:to])
	return err
}

// lastChunk ends a chunked body, with the trailer fields that came.
func (s *Stream) lastChunk() []byte {
	end := []byte("0\r\n")
	for name, values := range s.request.Trailer {
		for _, v := range values {
			if !brokenName(name) && !brokenLine(v) {
				end = appendField(end, name, v)
			}
		}
	}
	return append(end, "\r\n"...)
}
