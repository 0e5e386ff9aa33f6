package http1

import (
	"encoding/binary"
	"math/bits"
)

// Classes of a byte, one bit each.
const (
	classToken  = 1 << iota // tchar, RFC 9110 section 5.6.2
	classTarget             // may stand in a request target: visible ASCII but '#'
	classHost               // may stand in a host name: unreserved of RFC 3986
	classHex                // a hexadecimal digit
	classDigit
)

// class is read only; it is computed once since a literal of 256 numbers could not be reviewed.
var class = buildClasses()

func buildClasses() (t [256]uint8) {
	for c := 0x21; c <= 0x7e; c++ {
		if c != '#' {
			t[c] |= classTarget
		}
	}
	for c := '0'; c <= '9'; c++ {
		t[c] |= classToken | classHost | classHex | classDigit
	}
	for c := 'a'; c <= 'z'; c++ {
		t[c] |= classToken | classHost
		t[c-'a'+'A'] |= classToken | classHost
	}
	for _, c := range "abcdefABCDEF" {
		t[c] |= classHex
	}
	for _, c := range "!#$%&'*+-.^_`|~" {
		t[c] |= classToken
	}
	for _, c := range "-._~" {
		t[c] |= classHost
	}
	return t
}

func is(c, classes uint8) bool { return class[c]&classes != 0 }

func all(b []byte, classes uint8) bool {
	for _, c := range b {
		if class[c]&classes == 0 {
			return false
		}
	}
	return true
}

// ValidFieldName says whether b is a token (RFC 9110 section 5.1) and so can be the name of a field.
func ValidFieldName(b []byte) bool { return len(b) > 0 && all(b, classToken) }

// ValidFieldValue says whether b can be the value of a field: no control characters but HTAB, no blank at either
// end (RFC 9110 section 5.5). Bytes from 0x80 are allowed (obs-text). An empty value is valid.
func ValidFieldValue(b []byte) bool {
	return scanText(b, 0) == len(b) && len(trimOWS(b)) == len(b)
}

const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
)

// scanText returns the index, from i on, of the first byte that no field value or reason phrase may hold: a control
// character other than HTAB. len(b) if there is none. It looks at eight bytes at a time; most of a head is values.
func scanText(b []byte, i int) int {
	for {
		for i+8 <= len(b) {
			x := binary.LittleEndian.Uint64(b[i:])
			del := x ^ (0x7f * ones)
			// The lowest bit set marks the first byte below 0x20 or equal to 0x7f. Bits above it may be wrong
			// (a borrow), which does not matter: the scan stops there.
			m := ((x - 0x20*ones) & ^x & highs) | ((del - ones) & ^del & highs)
			if m != 0 {
				i += bits.TrailingZeros64(m) / 8
				break
			}
			i += 8
		}
		for i < len(b) {
			c := b[i]
			if (c < 0x20 && c != '\t') || c == 0x7f {
				return i
			}
			i++
			if i+8 <= len(b) {
				break
			}
		}
		if i >= len(b) {
			return len(b)
		}
	}
}

// EqualFold says whether b and s are equal without regard to the case of ASCII letters. s must be in lower case.
func EqualFold(b []byte, s string) bool {
	if len(b) != len(s) {
		return false
	}
	for i, c := range b {
		if c != s[i] && lower(c) != s[i] {
			return false
		}
	}
	return true
}

func equalFoldBytes(a, b []byte) bool {
	if len(a) != len(b) {
		return false
	}
	for i, c := range a {
		if c != b[i] && lower(c) != lower(b[i]) {
			return false
		}
	}
	return true
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

func trimOWS(b []byte) []byte {
	for len(b) > 0 && (b[0] == ' ' || b[0] == '\t') {
		b = b[1:]
	}
	for len(b) > 0 && (b[len(b)-1] == ' ' || b[len(b)-1] == '\t') {
		b = b[:len(b)-1]
	}
	return b
}

// parseDecimal reads 1*DIGIT. ok is false for anything else and for more than an int64 holds.
func parseDecimal(b []byte) (n int64, ok bool) {
	if len(b) == 0 {
		return 0, false
	}
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		d := int64(c - '0')
		if n > (1<<63-1-d)/10 {
			return 0, false
		}
		n = n*10 + d
	}
	return n, true
}
