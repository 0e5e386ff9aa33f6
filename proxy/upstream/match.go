package upstream

import (
	"bytes"
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// matcher finds the pool for a host and path. It is built once and then only read.
type matcher struct {
	exact    map[string]rules // by host, lower case
	wildcard map[string]rules // by suffix with its dot: ".example.com"
	any      rules
}

// rules of one host, the longest path first, an exact path before a prefix of the same length.
type rules []rule

type rule struct {
	path   string // without the /* of a prefix; "" with prefix: every path
	prefix bool
	pool   *Pool
}

// pattern is one parsed pattern.
type pattern struct {
	host     string // lower case; "" any; with a leading dot: every name below it
	path     string
	isPrefix bool
}

// parsePattern reads a pattern: [host]path. The host is a name without port, or *. and a name, which stands for all names
// below it at any depth but not for the name itself. The path begins with / and is exact, or ends in /* and then stands for
// itself without /* and all below it. A host alone stands for all its paths. The path is compared in the
// form that plainPath gives it.
func parsePattern(text string) (pattern, error) {
	bad := func(why string) (pattern, error) {
		return pattern{}, fmt.Errorf("cannot read pattern %q: %s, wanted [host]/path or [host]/path/* with a host like shop.example.com or *.example.com", text, why)
	}
	host, path, hasPath := strings.Cut(text, "/")
	path = "/" + path
	if !hasPath {
		path = "/*"
	}
	p := pattern{host: strings.ToLower(strings.TrimSuffix(host, "."))}
	noName := strings.HasPrefix(p.host, ".") || strings.Contains(p.host, "..")
	if rest, ok := strings.CutPrefix(p.host, "*."); ok {
		p.host = "." + rest
	}
	switch {
	case text == "":
		return bad("it is empty")
	case strings.ContainsAny(text, " \t\r\n|;?#\\"):
		return bad("it holds a blank or one of | ; ? # \\")
	case hasPort(p.host):
		return bad("the host has a port, which is not compared")
	case noName, p.host == ".", !isHost(p.host):
		return bad("the host is not a name (of letters, digits, - and .) or an address")
	}
	p.path, p.isPrefix = strings.CutSuffix(path, "/*")
	if strings.Contains(p.path, "*") {
		return bad("a * stands elsewhere than as the last segment")
	}
	if p.path != "" {
		p.path = string(plainPath(nil, []byte(p.path)))
	}
	if p.isPrefix {
		p.path = strings.TrimSuffix(p.path, "/")
	}
	return p, nil
}

// add gives a pattern to a pool. A pattern that another pool has is an error, since one of the two would never be used.
func (m *matcher) add(text string, pool *Pool) error {
	p, err := parsePattern(text)
	if err != nil {
		return err
	}
	of := m.any
	switch {
	case strings.HasPrefix(p.host, "."):
		of = m.wildcard[p.host]
	case p.host != "":
		of = m.exact[p.host]
	}
	for _, r := range of {
		if r.path == p.path && r.prefix == p.isPrefix {
			return fmt.Errorf("cannot add pattern %q: pool %q has it already, wanted each pattern once", text, r.pool.cfg.Name)
		}
	}
	of = append(of, rule{path: p.path, prefix: p.isPrefix, pool: pool})
	slices.SortStableFunc(of, func(a, b rule) int {
		if len(a.path) == len(b.path) && a.prefix != b.prefix {
			if b.prefix {
				return -1
			}
			return 1
		}
		return len(b.path) - len(a.path)
	})
	switch {
	case strings.HasPrefix(p.host, "."):
		m.wildcard[p.host] = of
	case p.host != "":
		m.exact[p.host] = of
	default:
		m.any = of
	}
	return nil
}

// match returns the pool of host and path, or nil.
func (m *matcher) match(host, path []byte) *Pool {
	var pathSpace [512]byte
	path = plainPath(pathSpace[:0], path)
	if len(m.exact)+len(m.wildcard) > 0 {
		var hostSpace [256]byte
		host = plainHost(hostSpace[:0], host)
		if pool := m.exact[string(host)].match(path); pool != nil {
			return pool
		}
		if len(m.wildcard) > 0 {
			for rest := host; ; {
				i := bytes.IndexByte(rest[min(1, len(rest)):], '.')
				if i < 0 {
					break
				}
				rest = rest[i+1:] // begins with the dot: the longest suffix comes first
				if pool := m.wildcard[string(rest)].match(path); pool != nil {
					return pool
				}
			}
		}
	}
	return m.any.match(path)
}

func (rs rules) match(path []byte) *Pool {
	for i := range rs {
		if rs[i].matches(path) {
			return rs[i].pool
		}
	}
	return nil
}

func (r *rule) matches(path []byte) bool {
	n := len(r.path)
	if len(path) < n || string(path[:n]) != r.path {
		return false
	}
	return len(path) == n || (r.prefix && path[n] == '/')
}

// plainHost returns host in lower case, without port and final dot, in dst where it had to be changed.
func plainHost(dst, host []byte) []byte {
	if i := bytes.LastIndexByte(host, ':'); i >= 0 && bytes.IndexByte(host[i:], ']') < 0 {
		host = host[:i]
	}
	host = bytes.TrimSuffix(host, []byte{'.'})
	for _, c := range host {
		if 'A' <= c && c <= 'Z' {
			dst = append(dst, host...)
			for i, c := range dst {
				if 'A' <= c && c <= 'Z' {
					dst[i] = c + 'a' - 'A'
				}
			}
			return dst
		}
	}
	return host
}

func hasPort(host string) bool {
	i := strings.LastIndexByte(host, ':')
	return i >= 0 && !strings.Contains(host[i:], "]")
}

// isHost judges a host in lower case; names in other scripts are written as xn--.
func isHost(host string) bool {
	if inner, ok := strings.CutPrefix(host, "["); ok {
		inner, ok = strings.CutSuffix(inner, "]")
		address, err := netip.ParseAddr(inner)
		return ok && err == nil && address.Is6()
	}
	return !strings.ContainsFunc(host, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' && r != '_' && r != '.'
	})
}
