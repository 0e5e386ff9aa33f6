package serve

import (
	"fmt"
	"strings"
)

// settings are lines of a rehydra.toml by their section, such as "server" or "pool.timeout". They replace default lines of the same key.
type settings map[string][]string

// defaults are what a configuration of these tests says where a test says nothing else.
func defaults() settings {
	return settings{
		"server":       {`listen = ["127.0.0.1:0"]`, `drain_timeout = "10s"`},
		"admin":        {`listen = "127.0.0.1:0"`},
		"pool":         {`name = "shop"`},
		"pool.timeout": {`connect = "10s"`}, // longer than a loaded machine stands still, as is the check's
		"pool.health":  {`interval = "50ms"`, `timeout = "5s"`},
	}
}

// sections is the order in which they are written; the pool's come after all tables.
var sections = [...]string{"server", "admin", "log", "session", "store", "pool", "pool.timeout", "pool.retry", "pool.health"}

// toml returns the file: one pool of backends that are routed by their routes.
func (s settings) toml(backends ...*backend) string {
	all := defaults()
	for name, lines := range s {
		for _, line := range lines {
			key, _, _ := strings.Cut(line, " ")
			all[name] = append(without(all[name], key), line)
		}
	}
	var b strings.Builder
	for _, name := range sections {
		if len(all[name]) == 0 {
			continue
		}
		if name == "pool" {
			name = "[pool]"
		}
		fmt.Fprintf(&b, "[%s]\n%s\n\n", name, strings.Join(all[strings.Trim(name, "[]")], "\n"))
	}
	for _, be := range backends {
		fmt.Fprintf(&b, "[[pool.backend]]\nroute = %q\nurl = %q\n\n", be.route, "http://"+be.address)
	}
	return b.String()
}

// without returns lines except that of a key.
func without(lines []string, key string) (rest []string) {
	for _, line := range lines {
		if !strings.HasPrefix(line, key+" ") {
			rest = append(rest, line)
		}
	}
	return rest
}
