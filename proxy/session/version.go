package session

import "strconv"

// Version orders the states of one session: by generation, which is raised each
// time the session is installed at a backend, then by counter, which the
// backend's adapter raises with each change. The first is 1.1.
type Version struct {
	Generation, Counter uint64
}

// Compare returns -1, 0 or 1 as v is older than, equal to or newer than w.
func (v Version) Compare(w Version) int {
	switch {
	case v.Generation != w.Generation:
		return cmp(v.Generation, w.Generation)
	default:
		return cmp(v.Counter, w.Counter)
	}
}

func cmp(a, b uint64) int {
	if a < b {
		return -1
	}
	if a > b {
		return 1
	}
	return 0
}

// IsZero reports whether v is no version at all.
func (v Version) IsZero() bool { return v == Version{} }

// Append appends v in its written form, "2.8".
func (v Version) Append(dst []byte) []byte {
	dst = strconv.AppendUint(dst, v.Generation, 10)
	dst = append(dst, '.')
	return strconv.AppendUint(dst, v.Counter, 10)
}

func (v Version) String() string { return string(v.Append(make([]byte, 0, 24))) }

// maxVersionDigits keeps a number well inside 64 bits, so that counting up
// never wraps.
const maxVersionDigits = 18

// ParseVersion reads "generation.counter": two decimal numbers of at most 18
// digits, the generation at least 1. ok is false for anything else.
func ParseVersion(s []byte) (v Version, ok bool) {
	i := 0
	if v.Generation, i, ok = parseNumber(s, 0); !ok || i >= len(s) || s[i] != '.' {
		return Version{}, false
	}
	if v.Counter, i, ok = parseNumber(s, i+1); !ok || i != len(s) || v.Generation == 0 {
		return Version{}, false
	}
	return v, true
}

func parseNumber(s []byte, from int) (n uint64, next int, ok bool) {
	for next = from; next < len(s) && s[next] >= '0' && s[next] <= '9'; next++ {
		n = n*10 + uint64(s[next]-'0')
	}
	digits := next - from
	return n, next, digits > 0 && digits <= maxVersionDigits
}
