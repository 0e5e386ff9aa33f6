package sessiontier

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Version orders the states of one session: by generation, then by counter. A session's first version is 1.1. The backend that
// owns the session counts up; a claim raises the generation and starts the counter at 0.
type Version struct {
	Generation uint64
	Counter    uint64
}

// firstVersion is what a backend reports for a session that it has just made.
var firstVersion = Version{Generation: 1, Counter: 1}

// Compare returns -1, 0 or 1 as v is older than, the same as or newer than o.
func (v Version) Compare(o Version) int {
	if c := cmp.Compare(v.Generation, o.Generation); c != 0 {
		return c
	}
	return cmp.Compare(v.Counter, o.Counter)
}

// String returns the version as the session protocol writes it, e.g. "2.8".
func (v Version) String() string {
	return strconv.FormatUint(v.Generation, 10) + "." + strconv.FormatUint(v.Counter, 10)
}

// ParseVersion reads what String writes: two decimal numbers without sign or leading zero, joined by a dot.
func ParseVersion(s string) (Version, error) {
	generation, counter, ok := strings.Cut(s, ".")
	g, errG := parseNumber(generation)
	c, errC := parseNumber(counter)
	if !ok || errG != nil || errC != nil {
		return Version{}, fmt.Errorf("cannot read version %q: wanted two decimal numbers, as in 2.8", s)
	}
	return Version{Generation: g, Counter: c}, nil
}

func parseNumber(s string) (uint64, error) {
	if s == "" || s[0] == '+' || len(s) > 1 && s[0] == '0' {
		return 0, strconv.ErrSyntax
	}
	return strconv.ParseUint(s, 10, 64)
}

// Record is one state of a session.
type Record struct {
	Version Version
	Owner   string        // the route of the backend that owns the session
	TTL     time.Duration // of inactivity, kept to the millisecond; 0 or less: no limit
	State   []byte        // the adapter's opaque bytes

	// Continued: the backend had the session before the request that this comes from, and nobody had told it to forget it. So
	// a first version, too, is no new session: it stays ended if it has ended. Not kept, and false for what is read.
	Continued bool

	// Waiter waits for a save where the goroutine is not to be blocked; nil: it may be. Not kept.
	Waiter Waiter
}

// startsOver says that the record begins a session, also where one of its id has ended.
func (r *Record) startsOver() bool { return r.Version == firstVersion && !r.Continued }
