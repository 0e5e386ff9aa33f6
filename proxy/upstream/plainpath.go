package upstream

import "bytes"

// plainPath returns path as a servlet container sees it when it maps a request, so that no way of writing a path reaches, through one pool, what
// another pool's pattern names: cut at ? and #, path parameters removed (;name=value, before anything is decoded), %xx decoded
// once, empty segments joined, dot segments resolved (never above the root). It follows Tomcat's CoyoteAdapter: parsePathParameters,
// decode, normalize. %2F stays as it is, as a part of its segment: Tomcat refuses it by default.
//
// The result is only for matching, never for forwarding. It is path itself where nothing had to change, otherwise in dst, which may grow.
// A path that does not begin with / (the * of OPTIONS) is "/".
func plainPath(dst, path []byte) []byte {
	if len(path) == 0 || path[0] != '/' {
		return append(dst[:0], '/')
	}
	if isPlain(path) {
		return path
	}
	if i := bytes.IndexAny(path, "?#"); i >= 0 {
		path = path[:i]
	}
	dst = dst[:0]
	for len(path) > 0 {
		// path begins with the slash of a segment.
		segment := path[1:]
		path = nil
		if i := bytes.IndexByte(segment, '/'); i >= 0 {
			segment, path = segment[:i], segment[i:]
		}
		if i := bytes.IndexByte(segment, ';'); i >= 0 {
			segment = segment[:i]
		}
		dst = appendSegment(dst, segment, len(path) == 0)
	}
	return dst
}

// isPlain says whether path needs no change. It may say no for one that does not.
func isPlain(path []byte) bool {
	last := byte(0)
	for _, c := range path {
		switch c {
		case '%', ';', '?', '#':
			return false
		case '/', '.':
			if last == '/' {
				return false
			}
		}
		last = c
	}
	return true
}

// appendSegment appends a slash and the decoded segment, or does what an empty one or dots mean.
func appendSegment(dst, segment []byte, final bool) []byte {
	start := len(dst)
	dst = append(dst, '/')
	for i := 0; i < len(segment); i++ {
		c := segment[i]
		if c == '%' && i+2 < len(segment) {
			hi, lo := unhex(segment[i+1]), unhex(segment[i+2])
			if decoded := hi<<4 | lo; hi < 16 && lo < 16 && decoded != '/' {
				c = decoded
				i += 2
			}
		}
		dst = append(dst, c)
	}
	switch string(dst[start+1:]) {
	case "", ".":
		dst = dst[:start]
	case "..":
		dst = dst[:max(0, bytes.LastIndexByte(dst[:start], '/'))]
	default:
		return dst
	}
	if final { // what ended in a slash or in dots is a directory
		dst = append(dst, '/')
	}
	return dst
}

// unhex returns the value of a hexadecimal digit, or 16.
func unhex(c byte) byte {
	switch {
	case '0' <= c && c <= '9':
		return c - '0'
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10
	case 'A' <= c && c <= 'F':
		return c - 'A' + 10
	}
	return 16
}
