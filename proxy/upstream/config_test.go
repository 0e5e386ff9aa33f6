package upstream

import (
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"
)

func TestBadConfigurations(t *testing.T) {
	good := func() Config { return Config{Name: "p", Backends: nodes("n1", "n2")} }
	for _, tc := range []struct {
		name, want string
		change     func(*Config)
	}{
		{"no name", "name is empty", func(c *Config) { c.Name = "" }},
		{"no backend", "no backend", func(c *Config) { c.Backends = nil }},
		{"no route", "has no route", func(c *Config) { c.Backends[1].Route = "" }},
		{"route twice", `route "n1" is given twice`, func(c *Config) { c.Backends[1].Route = "n1" }},
		{"address", `address "localhost" of backend "n2"`, func(c *Config) { c.Backends[1].Address = "localhost" }},
		{"weight", "weight -1", func(c *Config) { c.Backends[1].Weight = -1 }},
		{"redirect", `redirect "n7" of backend "n2"`, func(c *Config) { c.Backends[1].Redirect = "n7" }},
		{"health path", `health path "up"`, func(c *Config) { c.Health.Path = "up" }},
		{"health number", "negative", func(c *Config) { c.Health.Fall = -1 }},
		{"time-out", "time-out is negative", func(c *Config) { c.Timeouts.Idle = -1 }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := good()
			tc.change(&c)
			if _, err := NewTable([]Config{c}, nil, zerolog.Nop()); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error %v, want one that says %q", err, tc.want)
			}
		})
	}
	if _, err := NewTable([]Config{good(), good()}, nil, zerolog.Nop()); err == nil || !strings.Contains(err.Error(), "twice") {
		t.Errorf("two pools of one name: error %v", err)
	}
	other := good()
	other.Name = "q"
	if _, err := NewTable([]Config{good(), other}, nil, zerolog.Nop()); err == nil || !strings.Contains(err.Error(), `pool "p" has it already`) {
		t.Errorf("two pools for everything: error %v", err)
	}
}

func TestDefaults(t *testing.T) {
	given := Config{Name: "p", Backends: nodes("n1")}
	c := given.withDefaults()
	if c.Health != (HealthConfig{Interval: 2 * time.Second, Timeout: time.Second, Fall: 2, Rise: 1}) ||
		c.Timeouts != (Timeouts{Connect: 2 * time.Second, FirstByte: time.Minute, Idle: time.Minute, KeepAlive: 15 * time.Second, Tunnel: time.Hour}) ||
		c.MaxIdle != 256 || c.Backends[0].Weight != 1 {
		t.Errorf("defaults are %+v", c)
	}
	if given.Backends[0].Weight != 0 {
		t.Error("the configuration that was given was changed")
	}
}

func TestNames(t *testing.T) {
	for i, name := range balanceNames {
		if b, err := ParseBalance(name); err != nil || b != Balance(i) || b.String() != name {
			t.Errorf("ParseBalance(%q) = %v, %v", name, b, err)
		}
	}
	for i, name := range activationNames {
		if a, err := ParseActivation(name); err != nil || a != Activation(i) || a.String() != name {
			t.Errorf("ParseActivation(%q) = %v, %v", name, a, err)
		}
	}
	if b, err := ParseBalance(""); err != nil || b != BalanceRequests {
		t.Errorf("no balance: %v, %v; want requests", b, err)
	}
	if _, err := ParseBalance("random"); err == nil || err.Error() != `cannot read balance "random": wanted one of requests, sessions, traffic, busyness` {
		t.Errorf("error %v", err)
	}
	if got := Activation(9).String(); got != "unknown(9)" {
		t.Errorf("String() = %q", got)
	}
}
