package jvmroute

import (
	"bytes"
	"fmt"
)

// Finder finds session ids under one cookie name and one path parameter name. It is immutable and safe for
// concurrent use.
type Finder struct {
	cookie    []byte
	parameter []byte
}

// NewFinder makes a Finder for a cookie name such as "JSESSIONID" (a token, RFC 6265 section 4.1.1) and a path parameter
// name such as "jsessionid" (unreserved characters of RFC 3986). Both are compared exactly, as mod_jk and Tomcat do. An empty
// pathParameter means that ids in the path are not looked for. The error says what was given and what is wanted.
func NewFinder(cookieName, pathParameter string) (*Finder, error) {
	if cookieName == "" {
		return nil, fmt.Errorf("cannot use cookie name %q: wanted a token such as \"JSESSIONID\"", cookieName)
	}
	for i := 0; i < len(cookieName); i++ {
		if !tokenByte(cookieName[i]) {
			return nil, fmt.Errorf("cannot use cookie name %q: %q at byte %d; wanted a token (letters, digits and !#$%%&'*+-.^_`|~)",
				cookieName, cookieName[i:i+1], i)
		}
	}
	for i := 0; i < len(pathParameter); i++ {
		if !unreservedByte(pathParameter[i]) {
			return nil, fmt.Errorf("cannot use path parameter name %q: %q at byte %d; wanted letters, digits and -._~",
				pathParameter, pathParameter[i:i+1], i)
		}
	}
	return &Finder{cookie: []byte(cookieName), parameter: []byte(pathParameter)}, nil
}

// AppendPath appends to dst the valid ids in the path parameters of a request target, in any segment, from left to
// right. target may be in origin form ("/shop;jsessionid=ABC.node1?x=1") or absolute form. The name follows a ';' and ends
// at '=', the id at the next ';' or '/'; what follows '?' or '#' is not looked at.
func (f *Finder) AppendPath(dst []Candidate, target []byte) []Candidate {
	if len(f.parameter) == 0 || bytes.IndexByte(target, ';') < 0 {
		return dst
	}
	for rest := pathOf(target); ; {
		semicolon := bytes.IndexByte(rest, ';')
		if semicolon < 0 {
			return dst
		}
		rest = rest[semicolon+1:]
		parameter := rest
		if end := endOfParameter(rest); end >= 0 {
			parameter, rest = rest[:end], rest[end:]
		} else {
			rest = nil
		}
		value, ok := cutName(parameter, f.parameter)
		if ok && Valid(value) {
			dst = append(dst, Candidate{ID: value, Source: FromPath})
		}
	}
}

// AppendCookies appends to dst the valid ids that ONE Cookie field value holds under the finder's cookie name, from
// left to right; call it for each Cookie field in turn. Pairs are parted by ';' or ',' and quotes around a value
// are stripped, both as mod_jk and Tomcat do. Blanks may surround name and value.
func (f *Finder) AppendCookies(dst []Candidate, value []byte) []Candidate {
	for rest := value; len(rest) > 0; {
		// Jumping from name to name instead of pair to pair: most cookies of a request are somebody else's.
		at := bytes.Index(rest, f.cookie)
		if at < 0 {
			return dst
		}
		after := rest[at+len(f.cookie):]
		if !startsPair(value, len(value)-len(rest)+at) {
			rest = after
			continue
		}
		pair := after
		if end := endOfPair(after); end >= 0 {
			pair, rest = after[:end], after[end+1:]
		} else {
			rest = nil
		}
		if id := pairValue(pair); Valid(id) {
			dst = append(dst, Candidate{ID: id, Source: FromCookie})
		}
	}
	return dst
}

// startsPair reports whether only blanks stand between position at and the separator, or start, before it.
func startsPair(value []byte, at int) bool {
	for at > 0 {
		switch value[at-1] {
		case ' ', '\t':
			at--
		case ';', ',':
			return true
		default:
			return false
		}
	}
	return true
}

// pairValue returns the value of a pair whose name was taken off: blanks, '=', blanks, the value. Without '=' the
// name was only the beginning of another one, and the result is nil.
func pairValue(afterName []byte) []byte {
	b := trimBlanks(afterName)
	if len(b) == 0 || b[0] != '=' {
		return nil
	}
	return trimQuotes(trimBlanks(b[1:]))
}

// endOfPair returns where a cookie's value ends, or -1. A separator in quotes ends it too, as in RFC 6265.
func endOfPair(b []byte) int {
	for i, c := range b {
		if c == ';' || c == ',' {
			return i
		}
	}
	return -1
}

// cutName takes name and '=' off the front of a parameter.
func cutName(parameter, name []byte) (value []byte, ok bool) {
	if len(parameter) <= len(name) || parameter[len(name)] != '=' || !bytes.Equal(parameter[:len(name)], name) {
		return nil, false
	}
	return parameter[len(name)+1:], true
}

// tokenByte reports whether c may stand in a token (tchar, RFC 9110 section 5.6.2).
func tokenByte(c byte) bool {
	if unreservedByte(c) {
		return true
	}
	switch c {
	case '!', '#', '$', '%', '&', '\'', '*', '+', '^', '`', '|':
		return true
	}
	return false
}

// unreservedByte reports whether c is unreserved in a URI (RFC 3986 section 2.3).
func unreservedByte(c byte) bool {
	switch {
	case c >= '0' && c <= '9', c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c == '-', c == '.', c == '_', c == '~':
		return true
	}
	return false
}
