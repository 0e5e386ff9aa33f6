package main

import (
	"fmt"
	"slices"
	"strconv"
)

// maxHealRate is far above what a node answers.
const maxHealRate = 1_000_000

// store checks the [store] table by itself; tier says whether it is needed.
func (c checker) store() {
	s := &c.cfg.Store
	c.oneOf("store.kind", s.Kind, "memcached", "embedded")
	c.duration("store.timeout", s.Timeout)
	c.duration("store.retry", s.Retry)
	if s.EmbeddedBytes < 1<<20 {
		c.bad("store.embedded_bytes", strconv.FormatInt(int64(s.EmbeddedBytes), 10), `at least "1MiB"`)
	}
	c.nodes()
	c.copies()
	c.sealKeys()
	if s.CompressAbove < 0 {
		c.bad("store.compress_above", strconv.FormatInt(int64(s.CompressAbove), 10), "a size, or 0 for no compression")
	}
	if s.HealRate < 0 || s.HealRate > maxHealRate {
		c.bad("store.heal_rate", strconv.Itoa(s.HealRate), fmt.Sprintf("1 to %d sessions a second, or 0 for no healing", maxHealRate))
	}
	if s.Kind == "embedded" {
		for _, key := range []string{"store.nodes", "store.failover_only", "store.copies", "store.heal_rate"} {
			if c.has(key) {
				c.warn(key, "a value", `none: store.kind = "embedded" keeps one copy, in this process`)
			}
		}
	}
}

// nodes checks that names and addresses are there once, and that failover_only names some of them.
func (c checker) nodes() {
	s := c.cfg.Store
	names, addresses := map[string]bool{}, map[string]bool{}
	for _, node := range s.Nodes {
		if names[node.Name] {
			c.bad("store.nodes", fmt.Sprintf("the name %q twice", node.Name), "a name of its own for each node")
		}
		if addresses[node.Address] {
			c.bad("store.nodes", fmt.Sprintf("the address %q twice", node.Address), "an address of its own for each node")
		}
		names[node.Name], addresses[node.Address] = true, true
	}
	seen := map[string]bool{}
	for _, name := range s.FailoverOnly {
		if !names[name] {
			c.bad("store.failover_only", strconv.Quote(name), "names of store.nodes")
		}
		if seen[name] {
			c.bad("store.failover_only", strconv.Quote(name)+" twice", "each name once")
		}
		seen[name] = true
	}
	if len(names) > 0 && len(seen) >= len(names) && !c.unreadable["store.nodes"] {
		c.bad("store.failover_only", "every node", "at least one node left that is always used")
	}
}

// copies checks the number of copies against the number of nodes. A number that nobody gave follows the nodes: one
// node holds one copy.
func (c checker) copies() {
	s := &c.cfg.Store
	if s.Copies < 1 {
		c.bad("store.copies", strconv.Itoa(s.Copies), "at least 1")
		return
	}
	if s.Kind != "memcached" || len(s.Nodes) == 0 || c.unreadable["store.nodes"] {
		return
	}
	regular := 0
	for _, node := range s.Nodes {
		if !slices.Contains(s.FailoverOnly, node.Name) {
			regular++
		}
	}
	switch {
	case !c.has("store.copies"):
		s.Copies = max(1, min(s.Copies, regular))
	case s.Copies > len(s.Nodes):
		c.bad("store.copies", strconv.Itoa(s.Copies), fmt.Sprintf("at most %d, the number of store.nodes", len(s.Nodes)))
	case s.Copies > regular:
		c.warn("store.copies", strconv.Itoa(s.Copies), fmt.Sprintf("at most %d: more copies than nodes outside store.failover_only", regular))
	}
}

// tokens reads the token files, and gives each pool without a token of its own the one of [session].
func (c checker) tokens() {
	s := &c.cfg.Session
	c.token("session", &s.Token, s.TokenFile)
	for i := range c.cfg.Pools {
		p := &c.cfg.Pools[i]
		c.token(poolPath(i), &p.Token, p.TokenFile)
		if p.Token.IsEmpty() {
			p.Token = s.Token
		}
	}
}

// token checks one token and fills it from its file.
func (c checker) token(table string, token *Secret, file string) {
	key, fileKey := table+".token", table+".token_file"
	switch {
	case !token.IsEmpty() && file != "":
		c.bad(fileKey, "a file and "+withoutPositions(key)+" too", "one of them")
	case file != "":
		text, err := readSecretFile(c.beside(file))
		if err != nil {
			c.bad(fileKey, fmt.Sprintf("%q, which cannot be read: %v", file, err), "a readable file that holds the token")
			return
		}
		if wrong := badToken(text); wrong != "" {
			c.bad(fileKey, fmt.Sprintf("%q, which holds %s", file, wrong), wantedToken)
			return
		}
		*token = NewSecret(text)
	case !token.IsEmpty():
		if wrong := badToken(token.Reveal()); wrong != "" {
			c.bad(key, wrong, wantedToken)
		}
	}
}

// tier decides whether the session tier is on, and what it then needs.
func (c checker) tier() {
	because := c.tierReason()
	if because == "" {
		return
	}
	c.cfg.Tier = true
	if c.poolLacksToken() && !c.unreadable["session.token_file"] && c.cfg.Session.TokenFile == "" {
		c.missing("session.token", because, wantedToken+" (or session.token_file): the session tier is on because of "+withoutPositions(because))
	}
	if c.cfg.Store.Kind == "memcached" && len(c.cfg.Store.Nodes) == 0 {
		c.missing("store.nodes", because,
			`at least one "name=host:port" (or store.kind = "embedded"): the session tier is on because of `+withoutPositions(because))
	}
}

// tierReason returns the path of the first key that turns the session tier on, or "".
func (c checker) tierReason() string {
	switch {
	case c.has("session.token"):
		return "session.token"
	case c.cfg.Session.TokenFile != "" || c.unreadable["session.token_file"]:
		return "session.token_file"
	case c.has("store"):
		return "store"
	}
	for i, p := range c.cfg.Pools {
		if !p.Token.IsEmpty() {
			return poolPath(i) + ".token"
		}
		if p.TokenFile != "" {
			return poolPath(i) + ".token_file"
		}
	}
	return ""
}

// poolLacksToken reports whether a pool has neither a token of its own nor [session]'s.
func (c checker) poolLacksToken() bool {
	if len(c.cfg.Pools) == 0 {
		return c.cfg.Session.Token.IsEmpty()
	}
	for _, p := range c.cfg.Pools {
		if p.Token.IsEmpty() && p.TokenFile == "" {
			return true
		}
	}
	return false
}

// poolPath returns the path of the i-th pool.
func poolPath(i int) string { return "pool[" + strconv.Itoa(i) + "]" }
