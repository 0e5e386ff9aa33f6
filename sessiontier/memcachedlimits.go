package sessiontier

import (
	"bufio"
	"io"
	"net"
	"strconv"
	"strings"
	"time"
)

// memcachedLimits is what a server says of itself and the client library cannot ask.
type memcachedLimits struct {
	maxItem int  // bytes of an item, its key and memcached's own head included (item_size_max, option -I)
	cas     bool // it keeps compare-and-swap ids (option -C switches them off)
}

// assumedLimits are memcached's defaults, for a server that does not tell.
var assumedLimits = memcachedLimits{maxItem: 1 << 20, cas: true}

// memcachedItemOverhead is at least what memcached adds to key and value: 48 bytes of head, 8 of id, flags, line end, and 50 to
// spare for other versions.
const memcachedItemOverhead = 128

func (l memcachedLimits) maxValue(key string) int {
	return l.maxItem - len(key) - memcachedItemOverhead
}

// readLimits asks "stats settings" in memcached's text protocol. A server that allows only the binary one, or answers anything
// unexpected, gets the assumed limits.
func readLimits(address string, timeout time.Duration) memcachedLimits {
	limits := assumedLimits
	network := "tcp"
	if strings.Contains(address, "/") {
		network = "unix"
	}
	c, err := net.DialTimeout(network, address, timeout)
	if err != nil {
		return limits
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(timeout)); err != nil {
		return limits
	}
	if _, err := io.WriteString(c, "stats settings\r\n"); err != nil {
		return limits
	}
	lines := bufio.NewScanner(io.LimitReader(c, 64<<10))
	for lines.Scan() {
		if lines.Text() == "END" {
			return limits
		}
		if f := strings.Fields(lines.Text()); len(f) == 3 && f[0] == "STAT" {
			limits.apply(f[1], f[2])
		}
	}
	return assumedLimits // cut short: believe none of it
}

func (l *memcachedLimits) apply(name, value string) {
	switch name {
	case "item_size_max":
		if n, err := strconv.Atoi(value); err == nil && n > 0 {
			l.maxItem = n
		}
	case "cas_enabled":
		l.cas = value != "no"
	}
}
