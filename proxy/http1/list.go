package http1

import "bytes"

// NextElement cuts the first element off a comma-separated list (RFC 9110 section 5.6.1), skipping empty ones. ok is
// false when none is left. Elements are not checked, and quotes mean nothing: it is for lists of tokens.
//
//	for e, rest, ok := NextElement(v); ok; e, rest, ok = NextElement(rest) { ... }
func NextElement(list []byte) (element, rest []byte, ok bool) {
	for len(list) > 0 {
		if i := bytes.IndexByte(list, ','); i >= 0 {
			element, list = trimOWS(list[:i]), list[i+1:]
		} else {
			element, list = trimOWS(list), nil
		}
		if len(element) > 0 {
			return element, list, true
		}
	}
	return nil, nil, false
}

// HasElement says whether a list holds token, which must be in lower case, without regard to case.
func HasElement(list []byte, token string) bool {
	for e, rest, ok := NextElement(list); ok; e, rest, ok = NextElement(rest) {
		if EqualFold(e, token) {
			return true
		}
	}
	return false
}
