package jvmroute

import "bytes"

// MaxIDLength is the longest session id, in bytes, that counts as one. Tomcat's own are 32 hexadecimal digits and a
// route; 200 leaves room for every container known to us and still fits, behind a prefix of 50 bytes, into a key
// of memcached, which may have 250.
const MaxIDLength = 200

// Split parts an id at its FIRST dot into base id and route, both views of id: the base of "ABC-n1.node1" is
// "ABC-n1", the route of "ABC.node1.x" is "node1.x". An id without a dot has a nil route; one that ends in
// its first dot has an empty one that is not nil. Tomcat and mod_jk both cut at the first dot.
func Split(id []byte) (base, route []byte) {
	dot := bytes.IndexByte(id, '.')
	if dot < 0 {
		return id, nil
	}
	return id[:dot], id[dot+1:]
}

// Valid reports whether id may be used as a session id, and so as a part of a store key, of a header and of a log
// line: 1 to MaxIDLength bytes, a base id that is not empty, and only characters that containers put into ids.
// What is not valid is treated as if the client had sent no id.
func Valid(id []byte) bool {
	if len(id) == 0 || len(id) > MaxIDLength || id[0] == '.' {
		return false
	}
	for _, c := range id {
		if !idByte(c) {
			return false
		}
	}
	return true
}

// idByte reports whether c may stand in an id: letters, digits and "-._~" (unreserved in RFC 3986 section 2.3), and what
// is seen in the ids of real containers: '!' parts WebLogic's, '+', '*' and '=' come from JBoss's and others' base 64,
// ':' parts WebSphere's. Left out are '/', which ends a path segment; '%', which would give one id two spellings; and
// all blanks, controls, quotes, ';', ',', '\' and bytes over 126, which mean something to a header, a store or a shell.
func idByte(c byte) bool {
	if unreservedByte(c) {
		return true
	}
	switch c {
	case '!', '*', '+', '=', ':':
		return true
	}
	return false
}

// trimBlanks returns b without blanks and tabs at its ends (OWS of RFC 9110 section 5.6.3).
func trimBlanks(b []byte) []byte {
	for len(b) > 0 && (b[0] == ' ' || b[0] == '\t') {
		b = b[1:]
	}
	for len(b) > 0 && (b[len(b)-1] == ' ' || b[len(b)-1] == '\t') {
		b = b[:len(b)-1]
	}
	return b
}

// trimQuotes returns b without the double quotes around it, if it has both.
func trimQuotes(b []byte) []byte {
	if len(b) >= 2 && b[0] == '"' && b[len(b)-1] == '"' {
		return b[1 : len(b)-1]
	}
	return b
}
