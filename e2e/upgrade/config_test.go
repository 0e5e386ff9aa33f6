package upgrade

import (
	"fmt"
	"strings"
)

// config is a rehydra.toml in the making.
type config struct {
	listen   []string // 127.0.0.1:0 where there is none
	admin    string
	server   []string // more lines of [server]
	session  []string // lines of [session]; nil: no session tier
	store    []string
	backends []*backend
}

func (c config) toml() string {
	var b strings.Builder
	if len(c.listen) == 0 {
		c.listen = []string{"127.0.0.1:0"}
	}
	if c.admin == "" {
		c.admin = "127.0.0.1:0"
	}
	section := func(name string, lines ...string) { fmt.Fprintf(&b, "%s\n%s\n\n", name, strings.Join(lines, "\n")) }
	section("[server]", append([]string{fmt.Sprintf("listen = [%q]", strings.Join(c.listen, `", "`))}, c.server...)...)
	section("[admin]", fmt.Sprintf("listen = %q", c.admin))
	section("[log]", "access = false")
	if c.session != nil {
		section("[session]", c.session...)
		section("[store]", c.store...)
	}
	section("[[pool]]", `name = "shop"`)
	section("[pool.health]", `path = "/health"`, `interval = "100ms"`, `timeout = "5s"`)
	for _, be := range c.backends {
		section("[[pool.backend]]", fmt.Sprintf("route = %q", be.route), fmt.Sprintf("url = %q", "http://"+be.address))
	}
	return strings.ReplaceAll(b.String(), `\"`, `"`)
}
