package main

import (
	"regexp"
	"strconv"
	"time"
)

// mode checks what belongs to non-sticky mode. It comes after tier, which decides whether there is a session tier.
func (c checker) mode() {
	s := c.cfg.Session
	c.oneOf("session.mode", s.Mode, "sticky", "non-sticky")
	c.oneOf("session.lock", s.Lock, "none", "all", "auto", "pattern")
	c.oneOf("session.lock_failure", s.LockFailure, "refuse", "go-on")
	c.duration("session.lock_timeout", s.LockTimeout)
	if s.LockExpiry < time.Second {
		c.bad("session.lock_expiry", s.LockExpiry.String(), `at least "1s"`)
	}
	if _, err := regexp.Compile(s.LockPattern); err != nil {
		c.bad("session.lock_pattern", strconv.Quote(s.LockPattern), "a regular expression (RE2): "+err.Error())
	}
	if s.Mode == "non-sticky" {
		c.nonSticky()
		return
	}
	if s.Lock != "auto" && c.has("session.lock") {
		c.warn("session.lock", strconv.Quote(s.Lock), `session.mode = "non-sticky" beside it: sticky sessions are not locked`)
	}
}

func (c checker) nonSticky() {
	s := c.cfg.Session
	if s.Save == "async" {
		c.bad("session.save", `"async"`, `"sync", for session.mode = "non-sticky": the next request may need the state elsewhere at once`)
	}
	if !c.cfg.Tier {
		c.bad("session.mode", `"non-sticky" without a session tier`, `session.token and [store] beside it: every backend gets the sessions from there`)
	}
	switch {
	case s.Lock == "pattern" && !c.has("session.lock_pattern"):
		c.missing("session.lock_pattern", "session.lock", `a regular expression (RE2), for session.lock = "pattern"`)
	case s.Lock == "pattern" && s.LockPattern == "":
		c.bad("session.lock_pattern", `""`, `a regular expression (RE2), for session.lock = "pattern"`)
	case s.Lock != "pattern" && s.LockPattern != "":
		c.warn("session.lock_pattern", strconv.Quote(s.LockPattern), `session.lock = "pattern" beside it`)
	}
	for i, p := range c.cfg.Pools {
		if p.Force {
			c.warn(poolPath(i)+".force", "true", `session.mode = "sticky" beside it: in non-sticky mode any backend will do`)
		}
	}
}
