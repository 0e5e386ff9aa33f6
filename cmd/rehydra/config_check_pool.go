package main

import (
	"fmt"
	"strconv"
	"strings"

	"rehydra/jvmroute"
)

// wantedName is what names of pools and domains are made of.
const wantedName = `1 to 64 letters, digits, "-", "_" and "."`

// pools checks every pool by itself, and that no two claim the same name or the same requests.
func (c checker) pools() {
	if len(c.cfg.Pools) == 0 && !c.unreadable["pool"] {
		c.missing("pool", "", "at least one [[pool]]")
	}
	names, patterns := map[string]bool{}, map[string]string{}
	for i, p := range c.cfg.Pools {
		path := poolPath(i)
		if !c.has(path + ".max_body_bytes") {
			c.cfg.Pools[i].MaxBodyBytes = c.cfg.Server.MaxBodyBytes
		}
		if names[p.Name] {
			c.bad(path+".name", strconv.Quote(p.Name)+", which another pool has too", "a name of its own")
		}
		names[p.Name] = true
		c.pool(path, p)
		c.match(path+".match", p, patterns)
		c.backends(path, p)
		c.poolTLS(path, &c.cfg.Pools[i])
	}
}

// pool checks the keys of one pool and of its sub-tables.
func (c checker) pool(path string, p PoolConfig) {
	if !isName(p.Name) {
		c.bad(path+".name", strconv.Quote(p.Name), wantedName)
	}
	c.oneOf(path+".balance", p.Balance, "requests", "sessions", "traffic", "busyness")
	c.between(path+".max_idle_connections", p.MaxIdleConnections, 0, 65536)
	c.duration(path+".timeout.connect", p.Timeout.Connect)
	c.duration(path+".timeout.first_byte", p.Timeout.FirstByte)
	c.duration(path+".timeout.idle", p.Timeout.Idle)
	c.duration(path+".timeout.keep_alive", p.Timeout.KeepAlive)
	c.duration(path+".timeout.tunnel", p.Timeout.Tunnel)
	c.retry(path+".retry", p.Retry)
	c.duration(path+".health.interval", p.Health.Interval)
	c.duration(path+".health.timeout", p.Health.Timeout)
	c.between(path+".health.fall", p.Health.Fall, 1, 1000)
	c.between(path+".health.rise", p.Health.Rise, 1, 1000)
	if h := p.Health.Path; h != "" && (h[0] != '/' || strings.ContainsFunc(h, notInTarget)) {
		c.bad(path+".health.path", strconv.Quote(h), `a path such as "/health", or "" for a connection only`)
	}
}

// notInTarget reports whether r cannot stand in a request target (RFC 9112 section 3.2).
func notInTarget(r rune) bool { return r <= ' ' || r >= 0x7f || r == '#' }

// match checks a pool's patterns. patterns holds the ones of the pools before, with their names.
func (c checker) match(path string, p PoolConfig, patterns map[string]string) {
	given := p.Match
	if given == nil {
		given = []string{"/*"}
	} else if len(given) == 0 && !c.unreadable[path] {
		c.bad(path, "an empty list", `at least one pattern such as "shop.example.com/*" or "/shop/*", or no match at all for everything`)
	}
	for _, pattern := range given {
		plain, ok := plainPattern(pattern)
		if !ok {
			c.bad(path, strconv.Quote(pattern), `a host, a path or both, with "*." before a host or "/*" after a path, such as "shop.example.com/*" or "/shop/*"`)
			continue
		}
		if other, ok := patterns[plain]; ok {
			c.bad(path, fmt.Sprintf("%q, which pool %q matches too", pattern, other), "each pattern once in the file (no match at all is \"/*\")")
			continue
		}
		patterns[plain] = p.Name
	}
}

// plainPattern returns the one spelling of a pattern [host][path]: the host a name or address, or "*." and a name; the
// path whole, or all below it with "/*" at its end. A host alone stands for all its paths.
func plainPattern(s string) (plain string, ok bool) {
	host, path := s, "/*"
	if slash := strings.IndexByte(s, '/'); slash >= 0 {
		host, path = s[:slash], s[slash:]
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	if name := strings.TrimPrefix(host, "*."); name != "" {
		if strings.HasPrefix(name, "[") && strings.HasSuffix(name, "]") {
			name = name[1 : len(name)-1]
		}
		if !isHost(name) {
			return "", false
		}
	} else if s == "" || host != "" {
		return "", false
	}
	path, isPrefix := strings.CutSuffix(path, "/*")
	if strings.ContainsFunc(path, notInTarget) || strings.ContainsAny(path, `*?;|\`) {
		return "", false
	}
	if path = strings.TrimSuffix(path, "/"); isPrefix {
		path += "/*"
	} else if path == "" {
		path = "/"
	}
	return host + path, true
}

// backends checks a pool's backends, and that their routes tell them apart.
func (c checker) backends(poolPath string, p PoolConfig) {
	if len(p.Backends) == 0 {
		if !c.unreadable[poolPath+".backend"] {
			c.missing(poolPath+".backend", poolPath, "at least one [[pool.backend]]")
		}
		return
	}
	routes := map[string]bool{}
	for i, b := range p.Backends {
		path := poolPath + ".backend[" + strconv.Itoa(i) + "]"
		switch {
		case b.Route == "" && !c.has(path+".route"):
			c.missing(path+".route", path, `the backend's jvmRoute, such as "node1"`)
		case !isRoute(b.Route):
			c.bad(path+".route", strconv.Quote(b.Route), `the backend's jvmRoute: 1 to 64 characters that may stand in a session id, such as "node1"`)
		case routes[b.Route]:
			c.bad(path+".route", fmt.Sprintf("%q, which another backend of pool %q has too", b.Route, p.Name), "a route of its own")
		}
		routes[b.Route] = true
	}
	for i := range p.Backends {
		c.backend(poolPath+".backend["+strconv.Itoa(i)+"]", &p.Backends[i], routes)
	}
}

// backend checks one backend. routes are those of its pool.
func (c checker) backend(path string, b *BackendConfig, routes map[string]bool) {
	if b.URL == "" && !c.has(path+".url") {
		c.missing(path+".url", path, `"http://host:port"`)
	} else if address, secure, err := backendAddress(b.URL); err != nil {
		c.bad(path+".url", withoutUser(b.URL), err.Error())
	} else {
		b.Address, b.Secure = address, secure
	}
	c.between(path+".weight", b.Weight, 1, 1000)
	c.oneOf(path+".activation", b.Activation, "active", "disabled", "stopped")
	c.between(path+".distance", b.Distance, 0, 1000)
	if b.Domain != "" && !isRoute(b.Domain) {
		c.bad(path+".domain", strconv.Quote(b.Domain), `a name of 1 to 64 characters that may stand in a session id, or ""`)
	}
	switch {
	case b.Redirect == "":
	case b.Redirect == b.Route:
		c.bad(path+".redirect", strconv.Quote(b.Redirect), "the route of another backend")
	case !routes[b.Redirect]:
		c.bad(path+".redirect", strconv.Quote(b.Redirect), "the route of another backend of the same pool")
	}
}

// isRoute reports whether s can follow the dot of a session id.
func isRoute(s string) bool { return s != "" && len(s) <= 64 && jvmroute.Valid([]byte("x."+s)) }
