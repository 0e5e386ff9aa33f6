package main

import (
	"fmt"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"rehydra/jvmroute"
)

// checker finds what is wrong with the values of a decoded Config, and fills its derived fields.
type checker struct {
	*reporter
	cfg *Config
}

// all checks everything.
func (c checker) all() {
	c.server()
	c.log()
	c.session()
	c.store()
	c.pools()
	c.tokens()
	c.tier()
	c.mode()
}

func (c checker) server() {
	s := c.cfg.Server
	c.addresses()
	c.tls()
	c.networks("server.proxy_protocol", s.ProxyProtocol)
	c.networks("server.trusted_proxies", s.TrustedProxies)
	c.duration("server.drain_timeout", s.DrainTimeout)
	if file := &c.cfg.Server.PIDFile; *file != "" {
		*file = c.beside(*file)
	}
	c.duration("server.header_timeout", s.HeaderTimeout)
	c.duration("server.body_timeout", s.BodyTimeout)
	c.duration("server.keep_alive_timeout", s.KeepAliveTimeout)
	c.between("server.max_header_bytes", s.MaxHeaderBytes, 1024, 1<<20)
	c.between("server.max_header_count", s.MaxHeaderCount, 1, 10000)
	c.limits(s)
	c.pages()
}

func (c checker) log() {
	c.oneOf("log.format", c.cfg.Log.Format, "json", "console")
	c.oneOf("log.level", c.cfg.Log.Level, "debug", "info", "warn", "error")
	switch output := &c.cfg.Log.Output; *output {
	case "stderr":
	case "":
		c.bad("log.output", `""`, `"stderr" or a file's path`)
	default:
		*output = c.beside(*output)
	}
}

func (c checker) session() {
	s := c.cfg.Session
	if _, err := jvmroute.NewFinder(s.Cookie, ""); err != nil {
		c.bad("session.cookie", strconv.Quote(s.Cookie), `a cookie's name (letters, digits and !#$%&'*+-.^_`+"`|~)")
	}
	if _, err := jvmroute.NewFinder("x", s.PathParameter); err != nil {
		c.bad("session.path_parameter", strconv.Quote(s.PathParameter), `letters, digits and -._~, or "" for none`)
	}
	c.oneOf("session.save", s.Save, "sync", "async")
	c.oneOf("session.save_failure", s.SaveFailure, "respond", "fail")
	c.oneOf("session.lookup_failure", s.LookupFailure, "new", "refuse")
	c.duration("session.save_timeout", s.SaveTimeout)
	c.duration("session.restore_timeout", s.RestoreTimeout)
	c.between("session.async_queue", s.AsyncQueue, 1, 10000000)
	c.between("session.inline_limit", s.InlineLimit, 0, 64<<10)
	c.between("session.max_state", s.MaxState, 1, 128<<20)
	if s.InlineLimit > s.MaxState && s.MaxState > 0 {
		c.bad("session.inline_limit", strconv.Itoa(s.InlineLimit), fmt.Sprintf("at most session.max_state, %d", s.MaxState))
	}
	if _, err := regexp.Compile(s.Ignore); err != nil {
		c.bad("session.ignore", strconv.Quote(s.Ignore), "a regular expression (RE2): "+err.Error())
	}
}

// listen checks an address to listen on.
func (c checker) listen(path, address string) {
	if name, ok := strings.CutPrefix(address, systemdPrefix); ok {
		if name == "" || strings.Contains(name, ":") {
			c.bad(path, strconv.Quote(address), `"`+systemdPrefix+`NAME" with the FileDescriptorName= of a socket unit`)
		}
		return
	}
	if badAddress(address, 0) {
		c.bad(path, strconv.Quote(address), `"host:port" with a port from 0 to 65535, such as "127.0.0.1:8080"`)
	}
}

// duration checks that a duration is over 0.
func (c checker) duration(path string, d time.Duration) {
	if d <= 0 {
		c.bad(path, d.String(), "a duration over 0")
	}
}

// between checks that lowest <= n <= highest.
func (c checker) between(path string, n, lowest, highest int) {
	if n < lowest || n > highest {
		c.bad(path, strconv.Itoa(n), fmt.Sprintf("%d to %d", lowest, highest))
	}
}

// oneOf checks that a value is one of a few.
func (c checker) oneOf(path, value string, wanted ...string) {
	for _, w := range wanted {
		if value == w {
			return
		}
	}
	quoted := make([]string, len(wanted))
	for i, w := range wanted {
		quoted[i] = strconv.Quote(w)
	}
	c.bad(path, strconv.Quote(value), strings.Join(quoted, " or "))
}

// beside resolves a path in the file relative to the file's directory: it must mean the same from wherever
// rehydra is started.
func (c checker) beside(path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(filepath.Dir(c.file), path)
}
