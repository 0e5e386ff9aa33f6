package http1

import (
	"bufio"
	"bytes"
)

// Trailers returns the trailer fields, once Read has returned io.EOF or Done is true; they are valid until Reset.
func (c *ChunkedReader) Trailers() []Field {
	if c.state != atEnd {
		return nil
	}
	return c.trailer.fields
}

// Done says that the whole message was read, trailers included.
func (c *ChunkedReader) Done() bool { return c.state == atEnd }

// trailerBuffered says whether the trailer section can be read without waiting.
func (c *ChunkedReader) trailerBuffered() bool {
	b, _ := c.r.Peek(c.r.Buffered())
	return bytes.HasPrefix(b, []byte("\r\n")) || headEnd(b, 0) > 0
}

// readTrailer reads the trailer section with the empty line that ends it. Lines may be longer than r's buffer.
func (c *ChunkedReader) readTrailer() error {
	for lineStart := 0; ; {
		part, err := c.r.ReadSlice('\n')
		if len(c.raw)+len(part) > c.limits.Bytes+2 {
			return &ProtocolError{Status: 431, Reason: "the trailer section is too long"}
		}
		if lineStart == 0 && len(c.raw) == 0 && string(part) == "\r\n" {
			return nil
		}
		c.raw = append(c.raw, part...)
		if err == bufio.ErrBufferFull {
			continue
		}
		if err != nil {
			return unexpected(err)
		}
		n := len(c.raw)
		if n < 2 || c.raw[n-2] != '\r' {
			return badRequest("a line that ends with a bare LF")
		}
		if n-lineStart == 2 {
			break
		}
		lineStart = n
	}
	if err := c.trailer.parse(c.raw, c.from, c.limits.Fields); err != nil {
		return err
	}
	return nil
}

// AllowedInTrailer says whether a field may be relayed as a trailer: not where it would frame, route, authenticate or describe the
// message, which was acted upon long before (RFC 9110 section 6.5.1), and nothing that only a proxy may say.
func AllowedInTrailer(f *Field) bool {
	if f.Known != Other {
		return false
	}
	for _, name := range [...]string{"age", "cache-control", "content-encoding", "content-location", "content-range",
		"content-type", "expires", "if-match", "if-modified-since", "if-none-match", "if-range", "if-unmodified-since",
		"pragma", "range", "retry-after", "vary", "warning", "www-authenticate"} {
		if EqualFold(f.Name, name) {
			return false
		}
	}
	return true
}
