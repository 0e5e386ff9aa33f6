package sessiontier

import (
	"bufio"
	"context"
	"io"
	"net"
	"strconv"
	"strings"
	"time"
)

// memcachedLimits is what a server says of itself and the client library cannot ask.
type memcachedLimits struct {
	maxItem int // bytes of an item, its key and memcached's own head included (item_size_max, option -I)
	run     serverRun
	cas     bool // it keeps compare-and-swap ids (option -C switches them off)
}

// serverRun tells one run of a server from another; it is zero for a server that does not tell.
type serverRun struct {
	process int64
	started int64 // seconds since 1970, by a clock of its own that nobody sets
}

// assumedLimits are memcached's defaults, for a server that does not tell.
var assumedLimits = memcachedLimits{maxItem: 1 << 20, cas: true}

// memcachedItemOverhead is at least what memcached adds to key and value: 48 bytes of head, 8 of id, flags, line end, and 50 to
// spare for other versions.
const memcachedItemOverhead = 128

func (l memcachedLimits) maxValue(key string) int {
	return l.maxItem - len(key) - memcachedItemOverhead
}

// readLimits asks "stats settings" and "stats" in memcached's text protocol, with blanks that keep a server which knows only the binary one from waiting
// for the rest of a message. A server that allows only the binary one, or answers anything
// unexpected, gets the assumed limits.
func readLimits(address string, timeout time.Duration) memcachedLimits {
	limits := assumedLimits
	at := placeOf(address)
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	c, err := new(net.Dialer).DialContext(ctx, at.network, at.address)
	if err != nil {
		return limits
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(timeout)); err != nil {
		return limits
	}
	if _, err := io.WriteString(c, "stats settings"+strings.Repeat(" ", 24)+"\r\nstats\r\n"); err != nil {
		return limits
	}
	lines := bufio.NewScanner(io.LimitReader(c, 64<<10))
	for answers := 0; lines.Scan(); {
		if lines.Text() == "END" {
			if answers++; answers == 2 {
				return limits
			}
		}
		if f := strings.Fields(lines.Text()); len(f) == 3 && f[0] == "STAT" {
			limits.apply(f[1], f[2])
		}
	}
	return assumedLimits // cut short: believe none of it
}

func (l *memcachedLimits) apply(name, value string) {
	switch name {
	case "pid":
		l.run.process, _ = strconv.ParseInt(value, 10, 64) // 0 if it is none: then the time must tell
	case "time", "uptime": // both of the same moment
		n, err := strconv.ParseInt(value, 10, 64)
		if err != nil {
			return
		}
		if name == "uptime" {
			n = -n
		}
		l.run.started += n
	case "item_size_max":
		if n, err := strconv.Atoi(value); err == nil && n > 0 {
			l.maxItem = n
		}
	case "cas_enabled":
		l.cas = value != "no"
	}
}
