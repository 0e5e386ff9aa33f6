package main

import (
	"cmp"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
)

// NodeConfig is one memcached server. In the file it is "name=host:port".
type NodeConfig struct {
	Name    string
	Address string // host:port
}

// String returns "name=host:port".
func (n NodeConfig) String() string { return n.Name + "=" + n.Address }

// UnmarshalText reads "name=host:port".
func (n *NodeConfig) UnmarshalText(text []byte) error {
	name, address, ok := strings.Cut(string(text), "=")
	if !ok || !isName(name) || badAddress(address, 1) {
		return wantedError(`"name=host:port", such as "n1=127.0.0.1:11211"; the name of letters, digits, "-" and "_"`)
	}
	n.Name, n.Address = name, address
	return nil
}

// Size is a number of bytes. In the file it is an integer or a string such as "256MiB".
type Size int64

// UnmarshalText reads a whole number with the unit B, KiB, MiB or GiB, or none.
func (s *Size) UnmarshalText(text []byte) error {
	number, shift := string(text), 0
	for _, unit := range []struct {
		name  string
		shift int
	}{{"KiB", 10}, {"MiB", 20}, {"GiB", 30}, {"B", 0}} {
		if rest, ok := strings.CutSuffix(number, unit.name); ok {
			number, shift = strings.TrimSpace(rest), unit.shift
			break
		}
	}
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil || n < 0 || n > (1<<62)>>shift {
		return wantedError(`a number of bytes, such as 268435456 or "256MiB"`)
	}
	*s = Size(n << shift)
	return nil
}

// wantedError is the error of an UnmarshalText: what is wanted, to follow "wanted ".
type wantedError string

// Error implements error.
func (e wantedError) Error() string { return string(e) }

// isName reports whether s can name a node or a pool in logs, metrics and keys.
func isName(s string) bool {
	if s == "" || len(s) > 64 {
		return false
	}
	for _, c := range []byte(s) {
		if !(c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '-' || c == '_' || c == '.') {
			return false
		}
	}
	return true
}

// badAddress reports whether s is not host:port with a port from minPort to 65535. The host may be empty only where
// minPort is 0, which is where one listens.
func badAddress(s string, minPort int) bool {
	host, port, err := net.SplitHostPort(s)
	if err != nil || (host == "" && minPort > 0) {
		return true
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || int(n) < minPort {
		return true
	}
	return host != "" && !isHost(host)
}

// isHost reports whether s is an IP address, with a zone or not, or could be a host name.
func isHost(s string) bool {
	address, zone, _ := strings.Cut(s, "%")
	if net.ParseIP(address) != nil {
		return zone == "" || isName(zone)
	}
	for _, label := range strings.Split(strings.TrimSuffix(s, "."), ".") {
		if label == "" || len(label) > 63 || !isName(label) {
			return false
		}
	}
	return len(s) <= 253
}

// backendAddress returns host:port of a backend's URL, and whether TLS is spoken there. Its error is what is wanted.
func backendAddress(raw string) (address string, secure bool, err error) {
	const wanted = `"http://host:port" or "https://host:port" without user, path or query`
	u, err := url.Parse(raw)
	if err != nil {
		return "", false, wantedError(wanted)
	}
	port := u.Port()
	switch u.Scheme {
	case "http":
		port = cmp.Or(port, "80")
	case "https":
		port, secure = cmp.Or(port, "443"), true
	case "ajp":
		return "", false, wantedError(`"http://host:port": AJP comes in a later version`)
	default:
		return "", false, wantedError(wanted)
	}
	if u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || (u.Path != "" && u.Path != "/") || u.Opaque != "" {
		return "", false, wantedError(wanted)
	}
	address = net.JoinHostPort(u.Hostname(), port)
	if badAddress(address, 1) {
		return "", false, wantedError(wanted)
	}
	return address, secure, nil
}

// withoutUser returns a quoted URL without the user and password it may hold.
func withoutUser(raw string) string {
	at := strings.LastIndexByte(raw, '@')
	if at < 0 {
		return strconv.Quote(raw)
	}
	scheme := ""
	if i := strings.Index(raw[:at], "://"); i >= 0 {
		scheme = raw[:i+3]
	}
	return fmt.Sprintf("%q", scheme+"..."+raw[at:])
}
