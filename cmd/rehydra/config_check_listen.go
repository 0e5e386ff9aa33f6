package main

import (
	"fmt"
	"strconv"
	"strings"
)

// addresses checks everything that is listened on: each address once, whoever it is for.
func (c checker) addresses() {
	s := &c.cfg.Server
	if len(s.Listen) == 0 && len(s.TLS.Listen) == 0 {
		c.bad("server.listen", "no address", `at least one "host:port"`)
	}
	holder := map[string]string{}
	claim := func(path string, list []string, wanted string) {
		for _, address := range list {
			c.listen(path, address)
			switch by := holder[address]; {
			case by == "" || strings.HasSuffix(address, ":0") || strings.HasPrefix(address, systemdPrefix): // one for each that systemd has
				holder[address] = path
			case by == path:
				c.bad(path, strconv.Quote(address)+" twice", "different addresses")
			default:
				c.bad(path, fmt.Sprintf("%q, which %s holds too", address, by), wanted)
			}
		}
	}
	claim("server.listen", s.Listen, "")
	claim("server.tls.listen", s.TLS.Listen, "addresses of its own")
	if admin := c.cfg.Admin.Listen; admin != "" {
		claim("admin.listen", []string{admin}, "an address of its own")
	}
}
