package http1

import (
	"bufio"
	"bytes"
	"io"
)

const (
	// maxChunkLine bounds a chunk-size line with its extensions, in bytes without CRLF.
	maxChunkLine = 4096
	// chunkLineAllowance is what a chunk-size line may cost beside its data before it counts as waste, and maxWaste how much
	// waste a body may have (RFC 9112 section 7.1.1 asks for such a limit).
	chunkLineAllowance = 16
	maxWaste           = 64 << 10
	// keepTrailer is how much memory for trailers is kept between messages.
	keepTrailer = 16 << 10
)

// TrailerLimits bounds the trailer section of one message.
type TrailerLimits struct {
	Bytes  int // names, values and line ends together
	Fields int // 0: any number
}

// ChunkedReader reads a chunked body (RFC 9112 section 7.1) and its trailer section, and not one byte more. The zero
// value needs Reset.
//
// It is strict: sizes are hexadecimal digits only and fit an int64, lines end with CRLF, extensions follow the grammar and are
// dropped, trailer fields obey the rules for fields. What does not is a *ProtocolError with status 400 (431 for a
// trailer section over its limits), after which nothing can be read. A body that ends early is io.ErrUnexpectedEOF.
type ChunkedReader struct {
	r       *bufio.Reader
	limits  TrailerLimits
	from    direction
	left    int64 // bytes of the current chunk that were not read
	state   chunkState
	waste   int64
	err     error
	raw     []byte // the trailer section, copied, since r's buffer moves
	trailer fieldBlock
}

type chunkState uint8

const (
	atSize    chunkState = iota // before a chunk-size line
	inData                      // left bytes of data follow
	afterData                   // before the CRLF that ends the data
	inTrailer
	atEnd
)

// Reset makes c read one message from r. isResponse tells that a backend sent it, whose Rehydra-* trailers have
// numbers of their own.
func (c *ChunkedReader) Reset(r *bufio.Reader, limits TrailerLimits, isResponse bool) {
	c.trailer.reset()
	*c = ChunkedReader{r: r, limits: limits, raw: c.raw[:0], trailer: c.trailer}
	if isResponse {
		c.from = fromBackend
	}
	if cap(c.raw) > keepTrailer {
		c.raw, c.trailer = nil, fieldBlock{}
	}
}

// Read reads data of the body. It waits only if nothing of it has arrived, and joins small chunks that have. io.EOF comes after
// the whole message, trailers included.
func (c *ChunkedReader) Read(p []byte) (n int, err error) {
	if c.err != nil {
		return 0, c.err
	}
	for len(p) > 0 {
		if c.state == inData {
			if n > 0 && c.r.Buffered() == 0 {
				return n, nil
			}
			m, err := c.readData(p)
			n += m
			p = p[m:]
			if err != nil {
				return n, c.fail(err)
			}
			continue
		}
		more, err := c.step(n > 0)
		if err != nil {
			if err = c.fail(err); n > 0 {
				err = nil // with the next call: these bytes were right
			}
			return n, err
		}
		if !more {
			return n, nil
		}
	}
	if n > 0 && c.state != inData {
		c.drainEnd()
	}
	return n, nil
}

// drainEnd takes in the end of the message if it is there already, so that Done is true as early as can be.
func (c *ChunkedReader) drainEnd() {
	for c.state != inData {
		if more, err := c.step(true); err != nil {
			_ = c.fail(err) // the next Read returns it
			return
		} else if !more {
			return
		}
	}
}

func (c *ChunkedReader) fail(err error) error {
	c.err = err
	return err
}

func (c *ChunkedReader) readData(p []byte) (int, error) {
	if int64(len(p)) > c.left {
		p = p[:c.left]
	}
	n, err := c.r.Read(p)
	c.left -= int64(n)
	if c.left == 0 {
		c.state = afterData
		if n > 0 {
			err = nil // of what follows the data: it is met again there
		}
	}
	return n, unexpected(err)
}

// step goes over what is between two pieces of data. With buffered it does so only as far as no waiting is needed; more is
// false where it would have to wait.
func (c *ChunkedReader) step(buffered bool) (more bool, err error) {
	switch c.state {
	case afterData:
		if buffered && c.r.Buffered() < 2 {
			return false, nil
		}
		return true, c.readDataEnd()
	case atSize:
		line, err := c.line(buffered)
		if err != nil || line == nil {
			return false, err
		}
		if err := c.startChunk(line); err != nil {
			return false, err
		}
		_, err = c.r.Discard(len(line) + 2)
		return true, err
	case inTrailer:
		if buffered && !c.trailerBuffered() {
			return false, nil
		}
		if err := c.readTrailer(); err != nil {
			return false, err
		}
		c.state = atEnd
		return true, nil
	}
	return false, io.EOF
}

func (c *ChunkedReader) readDataEnd() error {
	b, err := c.r.Peek(2)
	if len(b) > 0 && b[0] != '\r' || len(b) > 1 && b[1] != '\n' {
		return badRequest("chunk data that does not end with CRLF")
	}
	if err != nil {
		return unexpected(err)
	}
	c.state = atSize
	_, err = c.r.Discard(2)
	return err
}

// line returns the chunk-size line without CRLF; it stays in r's buffer. With buffered, nil if it has not arrived whole.
func (c *ChunkedReader) line(buffered bool) ([]byte, error) {
	for seen := 0; ; {
		b, _ := c.r.Peek(c.r.Buffered())
		if i := bytes.IndexByte(b[seen:], '\n'); i >= 0 {
			i += seen
			if i == 0 || b[i-1] != '\r' {
				return nil, badRequest("a chunk-size line that does not end with CRLF")
			}
			if i-1 > maxChunkLine {
				return nil, badRequest("a chunk-size line that is too long")
			}
			return b[: i-1 : i-1], nil
		}
		seen = len(b)
		if seen > 0 && !is(b[0], classHex) {
			return nil, badRequest("a chunk size that is not a hexadecimal number")
		}
		if seen > maxChunkLine+1 {
			return nil, badRequest("a chunk-size line that is too long")
		}
		if buffered {
			return nil, nil
		}
		if _, err := c.r.Peek(seen + 1); err == bufio.ErrBufferFull {
			return nil, badRequest("a chunk-size line that is too long")
		} else if err != nil {
			return nil, unexpected(err)
		}
	}
}

// startChunk reads chunk-size [ chunk-ext ].
func (c *ChunkedReader) startChunk(line []byte) error {
	size, n, ok := parseHex(line)
	if !ok {
		return badRequest("a chunk size that is not a hexadecimal number")
	}
	if n < len(line) && !validExtensions(line[n:]) {
		return badRequest("a chunk extension that is not valid")
	}
	c.waste = max(c.waste+int64(len(line))-chunkLineAllowance-size, 0)
	if c.waste > maxWaste {
		return badRequest("too much around the data of the chunks")
	}
	c.left = size
	c.state = inData
	if size == 0 {
		c.state = inTrailer
	}
	return nil
}

// parseHex reads the digits at the start of b and says how many there are. ok is false without any and for more than an
// int64 holds; leading zeros do not count.
func parseHex(b []byte) (n int64, length int, ok bool) {
	for length < len(b) && is(b[length], classHex) {
		c := b[length]
		d := int64(c & 0x0f)
		if c > '9' {
			d += 9
		}
		if n > (1<<63-1)>>4 {
			return 0, length, false
		}
		n = n<<4 | d
		length++
	}
	return n, length, length > 0
}

// validExtensions checks *( BWS ";" BWS name [ BWS "=" BWS ( token / quoted-string ) ] ). RFC 9112 section 7.1.1.
func validExtensions(b []byte) bool {
	for len(b) > 0 {
		b = skipBlanks(b)
		if len(b) == 0 || b[0] != ';' {
			return false
		}
		b = skipBlanks(b[1:])
		n := tokenLen(b)
		if n == 0 {
			return false
		}
		b = b[n:]
		value := skipBlanks(b)
		if len(value) == 0 || value[0] != '=' {
			continue
		}
		value = skipBlanks(value[1:])
		if n = tokenLen(value); n == 0 {
			n = quotedLen(value)
		}
		if n == 0 {
			return false
		}
		b = value[n:]
	}
	return true
}

func skipBlanks(b []byte) []byte {
	for len(b) > 0 && (b[0] == ' ' || b[0] == '\t') {
		b = b[1:]
	}
	return b
}

func tokenLen(b []byte) (n int) {
	for n < len(b) && is(b[n], classToken) {
		n++
	}
	return n
}

// quotedLen returns the length of the quoted-string at the start of b, 0 if there is none.
func quotedLen(b []byte) int {
	if len(b) == 0 || b[0] != '"' || scanText(b, 0) != len(b) {
		return 0
	}
	for i := 1; i < len(b); i++ {
		switch b[i] {
		case '"':
			return i + 1
		case '\\':
			i++
		}
	}
	return 0
}
