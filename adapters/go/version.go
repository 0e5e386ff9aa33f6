package rehydra

import (
	"cmp"
	"strconv"
	"strings"
)

// version orders the states of one session: by generation, which the proxy raises each time it installs the session at a
// backend, then by counter, which goes up here with each change. A session's first is 1.1.
type version struct {
	generation, counter uint64
}

func (v version) newer(w version) bool {
	return cmp.Or(cmp.Compare(v.generation, w.generation), cmp.Compare(v.counter, w.counter)) > 0
}

func (v version) String() string {
	return strconv.FormatUint(v.generation, 10) + "." + strconv.FormatUint(v.counter, 10)
}

// parseVersion reads "generation.counter", two decimal numbers of at most 18 digits (well inside 64 bits, so that
// counting up never wraps), the generation at least 1.
func parseVersion(s string) (version, bool) {
	g, c, found := strings.Cut(s, ".")
	if !found {
		return version{}, false
	}
	generation, ok1 := parseNumber(g)
	counter, ok2 := parseNumber(c)
	return version{generation, counter}, ok1 && ok2 && generation > 0
}

func parseNumber(s string) (uint64, bool) {
	if s == "" || len(s) > 18 {
		return 0, false
	}
	for i := 0; i < len(s); i++ {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
	}
	n, err := strconv.ParseUint(s, 10, 64)
	return n, err == nil
}
