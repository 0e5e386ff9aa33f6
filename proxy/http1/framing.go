package http1

// Framing says how the end of a body is found. RFC 9112 section 6.3.
type Framing uint8

// The framings. FramingUntilClose is for responses only.
const (
	FramingNone Framing = iota
	FramingLength
	FramingChunked
	FramingUntilClose
)

// String names the framing, for logs and tests.
func (f Framing) String() string {
	switch f {
	case FramingNone:
		return "none"
	case FramingLength:
		return "length"
	case FramingChunked:
		return "chunked"
	}
	return "until close"
}

// declared is what the fields of a message say about its length.
type declared struct {
	length  int64 // -1 without Content-Length
	chunked bool
}

// parseLength takes a Content-Length field in. A second one is refused even if it says the same, and so is a list.
func (d *declared) parseLength(v []byte) *ProtocolError {
	if d.length >= 0 {
		return badRequest("more than one Content-Length")
	}
	n, ok := parseDecimal(v)
	if !ok {
		if len(v) > 0 && all(v, classDigit) {
			return &ProtocolError{Status: 413, Reason: "a Content-Length that no number here can hold"}
		}
		return badRequest("a Content-Length that is not a decimal number")
	}
	d.length = n
	return nil
}

// parseCoding takes a Transfer-Encoding field in. Only a single "chunked" is understood; another single coding, or a
// list that ends in chunked, is one that could be right (501), the rest cannot be (400).
func (d *declared) parseCoding(v []byte) *ProtocolError {
	if d.chunked {
		return badRequest("more than one Transfer-Encoding")
	}
	if EqualFold(v, "chunked") {
		d.chunked = true
		return nil
	}
	var last []byte
	n := 0
	for e, rest, ok := NextElement(v); ok; e, rest, ok = NextElement(rest) {
		if n > 0 && EqualFold(last, "chunked") {
			return badRequest("chunked is not the last transfer coding")
		}
		if !ValidFieldName(e) {
			return badRequest("a transfer coding that is not a token")
		}
		last = e
		n++
	}
	if n == 0 || n == 1 && EqualFold(last, "chunked") || n > 1 && !EqualFold(last, "chunked") {
		return badRequest("a Transfer-Encoding that does not end the message")
	}
	return &ProtocolError{Status: 501, Reason: "a transfer coding other than chunked"}
}

// check refuses what must not be together. RFC 9112 section 6.1 lets a server accept both and prefer
// Transfer-Encoding; whoever sends both is out to confuse somebody.
func (d *declared) check(minor uint8) *ProtocolError {
	if !d.chunked {
		return nil
	}
	if d.length >= 0 {
		return badRequest("Content-Length beside Transfer-Encoding")
	}
	if minor == 0 {
		return badRequest("Transfer-Encoding in an HTTP/1.0 message")
	}
	return nil
}
