package http1

import "bytes"

// RequestHead is the head of one request. The zero value is ready; Parse may be called again and again on the same
// one and then allocates nothing. Everything in it points into the bytes given to Parse.
type RequestHead struct {
	Raw    []byte
	Method []byte // a token; case matters
	// RawTarget is the target as sent; Target is what goes to the next hop: the origin form (path and query, bytes
	// unchanged) or "*". Path and Query are its parts; Query is without the "?" and nil without one.
	RawTarget, Target, Path, Query []byte
	// Scheme is set for an absolute-form target only: http or https, as written.
	Scheme []byte
	// Authority is the host asked for, with its port: of an absolute-form target, else of Host. It is empty only for
	// HTTP/1.0 without Host; the next hop must be sent exactly one Host, this one.
	Authority []byte
	// Minor is 0 or 1, for HTTP/1.0 and HTTP/1.1.
	Minor uint8
	// Fields in the order received.
	Fields []Field
	// Framing of the body; never FramingUntilClose.
	Framing Framing
	// ContentLength in bytes; -1 without the field.
	ContentLength int64
	// KeepAlive says that the client means to send another request on this connection.
	KeepAlive bool
	// Expect100 says that an HTTP/1.1 client waits for 100 (Continue) before it sends its body, and that there is one.
	Expect100 bool
	// Upgrade is the protocols a client offers to change to; nil if there is no offer that may be relayed, in
	// particular beside a body.
	Upgrade []byte
	// MaxForwards is the number in Max-Forwards of TRACE and OPTIONS; -1 without, and for other methods.
	MaxForwards int64

	// MaxFields is set by the caller before Parse: how many fields are allowed (431 beyond). 0: any number.
	MaxFields int

	block   fieldBlock
	options options
	scratch []byte
}

// Parse checks and indexes exactly one head, the empty line that ends it included. The error is always a *ProtocolError; the
// connection must be closed after it, since where the next request begins is not known. The fields are not valid then.
func (h *RequestHead) Parse(raw []byte) error {
	if err := h.parse(raw); err != nil {
		return err
	}
	return nil
}

func (h *RequestHead) parse(raw []byte) *ProtocolError {
	h.reset(raw)
	line, rest, ok := cutLine(raw)
	if !ok {
		return badRequest("the request line does not end with CRLF")
	}
	if err := h.parseLine(line); err != nil {
		return err
	}
	if err := h.block.parse(rest, fromClient, h.MaxFields); err != nil {
		return err
	}
	h.Fields = h.block.fields
	return h.interpret()
}

func (h *RequestHead) reset(raw []byte) {
	h.block.reset()
	h.options.reset()
	*h = RequestHead{Raw: raw, ContentLength: -1, MaxForwards: -1, MaxFields: h.MaxFields,
		block: h.block, options: h.options, scratch: h.scratch[:0]}
}

// cutLine cuts the first line off. ok is false if it does not end with CRLF.
func cutLine(raw []byte) (line, rest []byte, ok bool) {
	n := bytes.IndexByte(raw, '\n')
	if n < 1 || raw[n-1] != '\r' {
		return nil, nil, false
	}
	return raw[:n-1], raw[n+1:], true
}

// parseLine reads "method SP request-target SP HTTP-version". RFC 9112 section 3.
func (h *RequestHead) parseLine(line []byte) *ProtocolError {
	n := bytes.IndexByte(line, ' ')
	if n < 0 {
		return badRequest("the request line is not method, target and version with a space between")
	}
	h.Method = line[:n]
	if !ValidFieldName(h.Method) {
		return badRequest("the method is not a token")
	}
	target := line[n+1:]
	n = bytes.IndexByte(target, ' ')
	if n < 0 {
		return badRequest("the request line has no version") // HTTP/0.9
	}
	target, version := target[:n], target[n+1:]
	minor, err := parseVersion(version)
	if err != nil {
		return err
	}
	h.Minor = minor
	h.RawTarget = target
	return h.parseTarget(target)
}

// parseVersion reads "HTTP/" DIGIT "." DIGIT; the letters are case-sensitive (RFC 9112 section 2.3).
func parseVersion(v []byte) (minor uint8, err *ProtocolError) {
	if len(v) != 8 || string(v[:5]) != "HTTP/" || !is(v[5], classDigit) || v[6] != '.' || !is(v[7], classDigit) {
		return 0, badRequest("the version is not HTTP/ with two digits and a dot")
	}
	if v[5] != '1' || v[7] > '1' {
		return 0, &ProtocolError{Status: 505, Reason: "a version other than HTTP/1.0 and HTTP/1.1"}
	}
	return v[7] - '0', nil
}

// interpret reads the fields that decide where this message ends and what happens to its connection.
func (h *RequestHead) interpret() *ProtocolError {
	d := declared{length: -1}
	hosts, expects := 0, false
	var err *ProtocolError
	for i := range h.Fields {
		f := &h.Fields[i]
		switch f.Known {
		case Host:
			hosts++
			err = h.takeHost(f.Value, hosts)
		case ContentLength:
			err = d.parseLength(f.Value)
		case TransferEncoding:
			err = d.parseCoding(f.Value)
		case Connection:
			err = h.options.add(f.Value, true)
		case Expect:
			expects = true
			err = checkExpect(f.Value)
		case MaxForwards:
			err = h.takeMaxForwards(f.Value)
		}
		if err != nil {
			return err
		}
	}
	if hosts == 0 && h.Minor >= 1 {
		return badRequest("no Host")
	}
	if err := d.check(h.Minor); err != nil {
		return err
	}
	h.ContentLength = d.length
	switch {
	case d.chunked:
		h.Framing = FramingChunked
	case d.length >= 0:
		h.Framing = FramingLength
	}
	h.KeepAlive = h.options.persists(h.Minor)
	h.Expect100 = expects && h.Minor >= 1 && h.HasBody()
	if !h.HasBody() {
		h.Upgrade = h.options.offered(h.Minor, &h.block)
	}
	return nil
}

// HasBody says that at least one byte follows the head: it is chunked or its length is above 0.
func (h *RequestHead) HasBody() bool {
	return h.Framing == FramingChunked || h.ContentLength > 0
}

// takeHost checks Host even where an absolute-form target makes it meaningless.
func (h *RequestHead) takeHost(v []byte, nth int) *ProtocolError {
	if nth > 1 {
		return badRequest("more than one Host")
	}
	if !validAuthority(v) {
		return badRequest("Host is not a host name or address with an optional port")
	}
	if h.Scheme == nil {
		h.Authority = v
	}
	return nil
}

// checkExpect allows 100-continue and nothing else (RFC 9110 section 10.1.1).
func checkExpect(v []byte) *ProtocolError {
	n := 0
	for e, rest, ok := NextElement(v); ok; e, rest, ok = NextElement(rest) {
		n++
		if !EqualFold(e, "100-continue") {
			n = 0
			break
		}
	}
	if n == 0 {
		return &ProtocolError{Status: 417, Reason: "an expectation other than 100-continue"}
	}
	return nil
}

// takeMaxForwards reads the field where it means something (RFC 9110 section 7.6.2).
func (h *RequestHead) takeMaxForwards(v []byte) *ProtocolError {
	if m := string(h.Method); m != "TRACE" && m != "OPTIONS" {
		return nil
	}
	n, ok := parseDecimal(v)
	if !ok || h.MaxForwards >= 0 {
		return badRequest("Max-Forwards is not one decimal number")
	}
	h.MaxForwards = n
	return nil
}

// Has says whether there is a field of that name.
func (h *RequestHead) Has(k KnownName) bool { return h.block.seen.has(k) }

// Get returns the value of the first field of that name; nil if there is none, or if it is empty and nobody minds.
func (h *RequestHead) Get(k KnownName) []byte { return h.block.value(k) }

// IsHopByHop says whether the field must not reach the next hop: see [ResponseHead.IsHopByHop].
func (h *RequestHead) IsHopByHop(f *Field) bool { return h.options.hopByHop(f) }

// AppendRequestLine appends the first line of an HTTP/1.1 request; the version is always ours (RFC 9110 section 2.5).
func AppendRequestLine(dst, method, target []byte) []byte {
	dst = append(dst, method...)
	dst = append(dst, ' ')
	dst = append(dst, target...)
	return append(dst, " HTTP/1.1\r\n"...)
}
