package http1

import "strconv"

// ResponseHead is the head of one response of a backend, interim ones included. Like [RequestHead] it is used again and again.
type ResponseHead struct {
	Raw    []byte
	Status int    // 100 to 599
	Reason []byte // may be empty
	// Minor is 0 or 1, for HTTP/1.0 and HTTP/1.1.
	Minor uint8
	// Fields in the order received.
	Fields []Field
	// Framing of the body that follows on the connection: none for an answer to HEAD and for 1xx, 204 and 304.
	Framing Framing
	// ContentLength in bytes as declared, also where no body follows; -1 without the field.
	ContentLength int64
	// KeepAlive says that the backend keeps the connection, and that its end of this message can be trusted.
	KeepAlive bool
	// Upgrade is the protocol that a 101 changes to; nil unless it is well announced.
	Upgrade []byte

	// MaxFields is set by the caller before Parse: how many fields are allowed. 0: any number.
	MaxFields int

	block   fieldBlock
	options options
}

// Parse checks and indexes exactly one head, the empty line that ends it included. toHead says that the request was HEAD. The error
// is always a *ProtocolError with status 502; the connection must not be used again.
func (h *ResponseHead) Parse(raw []byte, toHead bool) error {
	if err := h.parse(raw, toHead); err != nil {
		return asResponse(err)
	}
	return nil
}

func (h *ResponseHead) parse(raw []byte, toHead bool) *ProtocolError {
	h.block.reset()
	h.options.reset()
	*h = ResponseHead{Raw: raw, ContentLength: -1, MaxFields: h.MaxFields, block: h.block, options: h.options}
	line, rest, ok := cutLine(raw)
	if !ok {
		return badRequest("the status line does not end with CRLF")
	}
	if err := h.parseLine(line); err != nil {
		return err
	}
	if err := h.block.parse(rest, fromBackend, h.MaxFields); err != nil {
		return err
	}
	h.Fields = h.block.fields
	return h.interpret(toHead)
}

// parseLine reads "HTTP-version SP 3DIGIT SP [reason]". RFC 9112 section 4. The space after the status may be missing
// where there is no reason: old servers leave it out, and nothing can be misread.
func (h *ResponseHead) parseLine(line []byte) *ProtocolError {
	if len(line) < 12 || line[8] != ' ' {
		return badRequest("the status line is not version, status and reason")
	}
	minor, err := parseVersion(line[:8])
	if err != nil {
		return err
	}
	h.Minor = minor
	status := line[9:12]
	if !all(status, classDigit) || status[0] < '1' || status[0] > '5' {
		return badRequest("the status is not a number from 100 to 599")
	}
	h.Status = int(status[0]-'0')*100 + int(status[1]-'0')*10 + int(status[2]-'0')
	if len(line) > 12 {
		if line[12] != ' ' {
			return badRequest("the status line is not version, status and reason")
		}
		h.Reason = line[13:]
		if scanText(h.Reason, 0) != len(h.Reason) {
			return badRequest("a control character in the reason phrase")
		}
	}
	return nil
}

func (h *ResponseHead) interpret(toHead bool) *ProtocolError {
	d := declared{length: -1}
	var err *ProtocolError
	for i := range h.Fields {
		f := &h.Fields[i]
		switch f.Known {
		case ContentLength:
			err = d.parseLength(f.Value)
		case TransferEncoding:
			err = d.parseCoding(f.Value)
		case Connection:
			err = h.options.add(f.Value, false)
		}
		if err != nil {
			return err
		}
	}
	if err := d.check(h.Minor); err != nil {
		return err
	}
	h.ContentLength = d.length
	switch {
	case toHead || h.Status < 200 || h.Status == 204 || h.Status == 304:
		h.Framing = FramingNone
	case d.chunked:
		h.Framing = FramingChunked
	case d.length >= 0:
		h.Framing = FramingLength
	default:
		h.Framing = FramingUntilClose
	}
	if h.Status == 101 {
		h.Upgrade = h.options.offered(h.Minor, &h.block)
	}
	h.KeepAlive = h.options.persists(h.Minor) && h.Framing != FramingUntilClose && h.Status != 101 && !h.oddLength(&d)
	return nil
}

// oddLength finds a 204 that declares a body: a backend that says so may well send it, late, and then the next
// answer on that connection would be somebody else's.
func (h *ResponseHead) oddLength(d *declared) bool {
	return h.Status == 204 && (d.length > 0 || d.chunked)
}

// Has says whether there is a field of that name.
func (h *ResponseHead) Has(k KnownName) bool { return h.block.seen.has(k) }

// Get returns the value of the first field of that name; nil if there is none.
func (h *ResponseHead) Get(k KnownName) []byte { return h.block.value(k) }

// Count returns how many fields of that name there are.
func (h *ResponseHead) Count(k KnownName) int { return h.block.count(k) }

// IsHopByHop says whether the field must not reach the next hop: those meant for one connection (Connection,
// Keep-Alive, Proxy-*, TE, Transfer-Encoding, Upgrade, HTTP2-Settings) and every name that any Connection field lists, but never
// Content-Length or Host, whoever lists them. RFC 9110 section 7.6.1.
func (h *ResponseHead) IsHopByHop(f *Field) bool { return h.options.hopByHop(f) }

// AppendStatusLine appends the first line of an HTTP/1.1 response; the version is always ours.
func AppendStatusLine(dst []byte, status int, reason []byte) []byte {
	dst = append(dst, "HTTP/1.1 "...)
	dst = strconv.AppendInt(dst, int64(status), 10)
	dst = append(dst, ' ')
	dst = append(dst, reason...)
	return append(dst, "\r\n"...)
}
