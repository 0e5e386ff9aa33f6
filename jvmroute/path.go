package jvmroute

import "bytes"

// StripPathParameters returns the path of a request target without query, fragment and path parameters: what a
// container maps to an application. It unescapes and normalises nothing.
//
// Where the path holds no parameter, the result is a part of target and dst is not touched. Otherwise it is dst with
// the path appended; give dst[:0] of a kept buffer, and keep the result as the next one only if it is not a view.
func StripPathParameters(dst, target []byte) []byte {
	path := pathOf(target)
	semicolon := bytes.IndexByte(path, ';')
	if semicolon < 0 {
		return path
	}
	for {
		dst = append(dst, path[:semicolon]...)
		slash := bytes.IndexByte(path[semicolon:], '/')
		if slash < 0 {
			return dst
		}
		path = path[semicolon+slash:]
		if semicolon = bytes.IndexByte(path, ';'); semicolon < 0 {
			return append(dst, path...)
		}
	}
}

// pathOf returns the path of a request target in origin or absolute form, parameters included, as a part of it.
func pathOf(target []byte) []byte {
	if i := bytes.IndexByte(target, '?'); i >= 0 {
		target = target[:i]
	}
	if i := bytes.IndexByte(target, '#'); i >= 0 {
		target = target[:i]
	}
	if len(target) == 0 || target[0] == '/' {
		return target
	}
	// Absolute form: the authority is not part of the path, or "http://a;jsessionid=x/" would be an id.
	_, rest, ok := bytes.Cut(target, []byte("://"))
	if !ok {
		return target
	}
	slash := bytes.IndexByte(rest, '/')
	if slash < 0 {
		return rest[len(rest):]
	}
	return rest[slash:]
}

// endOfParameter returns where a path parameter ends, or -1.
func endOfParameter(b []byte) int {
	for i, c := range b {
		if c == ';' || c == '/' {
			return i
		}
	}
	return -1
}
