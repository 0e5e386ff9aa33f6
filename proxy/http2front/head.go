package http2front

import (
	"net/http"
	"strconv"
	"strings"
)

// appendHead appends the head of an HTTP/1.1 request that says what r says. Whether it is one that may go on is left to its reader, who
// is as strict with it as with any other: what could not be written down as a head becomes one that he must refuse.
//
// Cookie is one field already, whatever crumbs it came in, and fields of the connection, other than TE, were refused (RFC 9113, sections 8.2.2 and 8.2.3).
// Fields of different names have lost their order, which has no meaning (RFC 9110, section 5.3).
func appendHead(dst []byte, r *http.Request) []byte {
	if !writable(r) {
		return append(dst, "malformed\r\n\r\n"...)
	}
	dst = append(dst, r.Method...)
	dst = append(dst, ' ')
	dst = append(dst, r.RequestURI...)
	dst = append(dst, " HTTP/1.1\r\n"...)
	if r.Host != "" {
		dst = appendField(dst, "Host", r.Host)
	}
	for name, values := range r.Header {
		switch name {
		case "Content-Length":
			continue
		case "Host":
			if len(values) == 1 && values[0] == r.Host {
				continue // the same as :authority, or instead of it
			}
		}
		for _, v := range values {
			dst = appendField(dst, name, v)
		}
	}
	return append(appendFraming(dst, r), "\r\n"...)
}

// writable reports whether r can be written down without becoming something else. x/net lets through no line ends; this does not rely on it.
func writable(r *http.Request) bool {
	// An absolute target would put another host over :authority (RFC 9113, section 8.3.1).
	path := r.RequestURI
	if !strings.HasPrefix(path, "/") && path != "*" && r.Method != http.MethodConnect {
		return false
	}
	if brokenLine(r.Method) || brokenLine(path) || brokenLine(r.Host) {
		return false
	}
	for name, values := range r.Header {
		if brokenName(name) {
			return false
		}
		for _, v := range values {
			if brokenLine(v) {
				return false
			}
		}
	}
	return true
}

func brokenLine(s string) bool { return strings.ContainsAny(s, "\r\n\x00") }

// brokenName is brokenLine for the name of a field, which a colon ends.
func brokenName(s string) bool { return strings.ContainsAny(s, ":\r\n\x00") }

// appendFraming appends how long the body is. A length that is not that of the stream, or is given twice, stays to be refused.
func appendFraming(dst []byte, r *http.Request) []byte {
	declared := r.Header["Content-Length"]
	length := strconv.FormatInt(r.ContentLength, 10)
	switch {
	case len(declared) == 1 && declared[0] == length:
		return appendField(dst, "Content-Length", length)
	case len(declared) > 0:
		for _, v := range declared {
			dst = appendField(dst, "Content-Length", v)
		}
		return appendField(dst, "Content-Length", length)
	case r.ContentLength < 0:
		return appendField(dst, "Transfer-Encoding", "chunked")
	}
	return dst
}

func appendField(dst []byte, name, value string) []byte {
	dst = append(dst, name...)
	dst = append(dst, ": "...)
	dst = append(dst, value...)
	return append(dst, "\r\n"...)
}
