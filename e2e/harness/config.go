package harness

import (
	"fmt"
	"slices"
	"strings"
)

// Token is the token that a Config gives the session tier.
const Token = "e2e-token-0123456789abcdef"

// Config is a rehydra.toml in the making. Lines are TOML as it stands in the file, such as `save = "async"`.
type Config struct {
	Listen  string   // host:port; "" is a free port of 127.0.0.1
	Server  []string // lines of [server]
	TLS     *Certificate
	TLSMore []string // lines of [server.tls], beside the address: a free port of 127.0.0.1
	Issued  []Issued // certificates that follow the one of TLS, which may be one without files
	Log     []string // lines of [log]
	Session []string // lines of [session], beside the token
	Store   []string // lines of [store]; nil: no such section
	NoToken bool     // leaves token out
	Pools   []Pool
}

// Pool is one [[pool]].
type Pool struct {
	Name     string
	Lines    []string // of the pool itself
	Health   []string // of [pool.health]; nil: a connect every 50 ms, which has longer than a loaded machine stands still
	Timeout  []string // of [pool.timeout], beside a connect that has as long
	Backends []Backend
}

// Backend is one [[pool.backend]].
type Backend struct {
	Route, Address string
	Lines          []string
}

// Nodes are the lines of [store] for memcached nodes named n1, n2 and so on.
func Nodes(nodes ...*Memcached) []string {
	quoted := make([]string, len(nodes))
	for i, n := range nodes {
		quoted[i] = fmt.Sprintf("%q", fmt.Sprintf("n%d=%s", i+1, n.Address()))
	}
	return []string{
		`kind = "memcached"`, "nodes = [" + strings.Join(quoted, ", ") + "]",
		fmt.Sprintf("copies = %d", min(2, len(nodes))), `retry = "50ms"`,
	}
}

// Embedded are the lines of [store] for the store inside the process.
func Embedded() []string { return []string{`kind = "embedded"`} }

// lastOfEach returns the lines without those whose key comes again later.
func lastOfEach(lines []string) (kept []string) {
	key := func(line string) string { k, _, _ := strings.Cut(line, "="); return strings.TrimSpace(k) }
	for i, line := range lines {
		if !slices.ContainsFunc(lines[i+1:], func(later string) bool { return key(later) == key(line) }) {
			kept = append(kept, line)
		}
	}
	return kept
}

// TOML returns the file. Of lines with the same key the last one counts.
func (c Config) TOML() string {
	var b strings.Builder
	section := func(name string, lines ...string) {
		fmt.Fprintf(&b, "%s\n%s\n\n", name, strings.Join(lastOfEach(lines), "\n"))
	}
	listen := c.Listen
	if listen == "" {
		listen = "127.0.0.1:0"
	}
	section("[server]", append([]string{fmt.Sprintf("listen = [%q]", listen), `drain_timeout = "5s"`}, c.Server...)...)
	if c.TLS != nil {
		section("[server.tls]", append([]string{`listen = ["127.0.0.1:0"]`}, c.TLSMore...)...)
		for _, i := range append([]Issued{{Certificate: c.TLS.File, Key: c.TLS.KeyFile}}, c.Issued...) {
			if i.Certificate != "" {
				section("[[server.tls.certificate]]", fmt.Sprintf("certificate = %q", i.Certificate), fmt.Sprintf("key = %q", i.Key))
			}
		}
	}
	section("[admin]", `listen = "127.0.0.1:0"`)
	if c.Log != nil {
		section("[log]", c.Log...)
	}
	session := c.Session
	if !c.NoToken {
		session = append([]string{fmt.Sprintf("token = %q", Token)}, session...)
	}
	section("[session]", session...)
	if c.Store != nil {
		section("[store]", c.Store...)
	}
	for _, p := range c.Pools {
		section("[[pool]]", append([]string{fmt.Sprintf("name = %q", p.Name)}, p.Lines...)...)
		health := p.Health
		if health == nil {
			health = []string{`interval = "50ms"`, `timeout = "5s"`}
		}
		section("[pool.health]", health...)
		section("[pool.timeout]", append([]string{`connect = "10s"`}, p.Timeout...)...)
		for _, be := range p.Backends {
			lines := []string{fmt.Sprintf("route = %q", be.Route), fmt.Sprintf("url = %q", "http://"+be.Address)}
			section("[[pool.backend]]", append(lines, be.Lines...)...)
		}
	}
	return b.String()
}
