package http1

// Field is one field line. Both slices point into the bytes that were parsed.
type Field struct {
	Name  []byte    // as sent
	Value []byte    // without the blanks around it; may be empty
	Known KnownName // Other for names that the proxy has nothing to do with
}

// AppendField appends "name: value CRLF". It checks nothing: what did not come out of a parser must have passed
// [ValidFieldName] and [ValidFieldValue].
func AppendField[N, V []byte | string](dst []byte, name N, value V) []byte {
	dst = append(dst, name...)
	dst = append(dst, ": "...)
	dst = append(dst, value...)
	return append(dst, "\r\n"...)
}

// fieldBlock is a list of fields that is filled again and again, in heads and trailers.
type fieldBlock struct {
	fields []Field
	seen   nameSet
}

func (b *fieldBlock) reset() { b.fields, b.seen = b.fields[:0], 0 }

// parse reads field lines up to and including the empty line that must end raw. max is how many are allowed, 0 for
// any number. RFC 9112 section 5.
func (b *fieldBlock) parse(raw []byte, from direction, max int) *ProtocolError {
	b.reset()
	for i := 0; i < len(raw); {
		if raw[i] == '\r' {
			if i+2 == len(raw) && raw[i+1] == '\n' {
				return nil
			}
			return badRequest("a bare CR, or bytes after the empty line")
		}
		if max > 0 && len(b.fields) == max {
			return &ProtocolError{Status: 431, Reason: "too many fields"}
		}
		nameEnd, underscore, err := scanName(raw, i)
		if err != nil {
			return err
		}
		valueEnd := scanText(raw, nameEnd+1)
		if valueEnd+1 >= len(raw) || raw[valueEnd] != '\r' || raw[valueEnd+1] != '\n' {
			return lineError(raw, valueEnd)
		}
		name := raw[i:nameEnd]
		known := lookup(name, underscore, from)
		b.seen |= 1 << known
		b.fields = append(b.fields, Field{Name: name, Value: trimOWS(raw[nameEnd+1 : valueEnd]), Known: known})
		i = valueEnd + 2
	}
	return badRequest("the empty line after the fields is missing")
}

// scanName finds the colon after the name that begins at i.
func scanName(raw []byte, i int) (end int, underscore bool, err *ProtocolError) {
	for end = i; end < len(raw); end++ {
		c := raw[end]
		if !is(c, classToken) {
			break
		}
		if c == '_' {
			underscore = true
		}
	}
	switch {
	case end == len(raw):
		return end, false, badRequest("a field line without a colon")
	case raw[end] == ':' && end > i:
		return end, underscore, nil
	case raw[end] == ':':
		return end, false, badRequest("a field without a name")
	case raw[end] == ' ' || raw[end] == '\t':
		if end == i {
			return end, false, badRequest("a folded field line")
		}
		return end, false, badRequest("a blank in a field name or before its colon")
	case raw[end] == '\r' || raw[end] == '\n':
		return end, false, badRequest("a field line without a colon")
	}
	return end, false, badRequest("a character that no field name may hold")
}

// lineError says what is wrong where a line should have ended.
func lineError(raw []byte, i int) *ProtocolError {
	switch {
	case i >= len(raw):
		return badRequest("the empty line after the fields is missing")
	case raw[i] == '\n':
		return badRequest("a line that ends with a bare LF")
	case raw[i] == '\r':
		return badRequest("a bare CR")
	}
	return badRequest("a control character in a field value")
}

// has, value and count answer for one known name.

func (b *fieldBlock) value(k KnownName) []byte {
	if b.seen.has(k) {
		for i := range b.fields {
			if b.fields[i].Known == k {
				return b.fields[i].Value
			}
		}
	}
	return nil
}

func (b *fieldBlock) count(k KnownName) (n int) {
	if b.seen.has(k) {
		for i := range b.fields {
			if b.fields[i].Known == k {
				n++
			}
		}
	}
	return n
}
