package jvmroute

import "bytes"

// SetCookieID returns the session id that a Set-Cookie field value sets under the finder's cookie name, without
// quotes, as a part of value. It is nil for another cookie, and for a value that is not a valid id, such as the empty one
// that deletes the cookie.
func (f *Finder) SetCookieID(value []byte) []byte {
	start, end, ok := f.setCookieSpan(value)
	if !ok {
		return nil
	}
	return value[start:end]
}

// RewriteSetCookie appends to dst the Set-Cookie field value with the session id's route replaced by route, or added
// where the id had none; an empty route removes it. Quotes and attributes stay as they were, byte for byte. ok is false, and
// out is dst, when value sets another cookie or no valid id.
func (f *Finder) RewriteSetCookie(dst, value []byte, route string) (out []byte, ok bool) {
	start, end, ok := f.setCookieSpan(value)
	if !ok {
		return dst, false
	}
	base, _ := Split(value[start:end])
	dst = append(dst, value[:start+len(base)]...)
	if route != "" {
		dst = append(dst, '.')
		dst = append(dst, route...)
	}
	return append(dst, value[end:]...), true
}

// setCookieSpan returns where in a Set-Cookie field value the session id begins and ends, quotes excluded.
func (f *Finder) setCookieSpan(value []byte) (start, end int, ok bool) {
	end = len(value)
	if semicolon := bytes.IndexByte(value, ';'); semicolon >= 0 {
		end = semicolon
	}
	equals := bytes.IndexByte(value[:end], '=')
	if equals < 0 || !bytes.Equal(trimBlanks(value[:equals]), f.cookie) {
		return 0, 0, false
	}
	start = equals + 1
	for start < end && (value[start] == ' ' || value[start] == '\t') {
		start++
	}
	for end > start && (value[end-1] == ' ' || value[end-1] == '\t') {
		end--
	}
	if end-start >= 2 && value[start] == '"' && value[end-1] == '"' {
		start, end = start+1, end-1
	}
	return start, end, Valid(value[start:end])
}
