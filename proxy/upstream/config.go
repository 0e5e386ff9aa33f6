package upstream

import (
	"crypto/tls"
	"fmt"
	"net"
	"strings"
	"time"
)

// Config describes one pool. The zero value of a number or duration means its default, which is named with each.
type Config struct {
	Name     string   // unique among the pools of a table
	Match    []string // patterns, see Table.Match; none: everything
	Balance  Balance
	Force    bool // mod_jk's sticky_session_force: a session whose backend is out is refused, not moved
	Health   HealthConfig
	Timeouts Timeouts
	Retry    RetryConfig
	MaxBody  int64 // bytes of a request's body; 0: any number
	MaxIdle  int   // idle connections kept for each backend (256); negative: none
	Backends []BackendConfig
}

// BackendConfig describes one backend of a pool.
type BackendConfig struct {
	Route      string // Tomcat's jvmRoute; unique in its pool
	Address    string // host:port
	Weight     int    // share of the work (1)
	Activation Activation
	Distance   int    // nearer ones are used first; 0 is nearest
	Domain     string // backends that can take over each other's sessions
	Redirect   string // route of the backend that takes over first when this one is out
	// TLS is what the backend is spoken TLS with; nil: it is not. It must say whom the backend is to be (ServerName).
	TLS *tls.Config
}

// HealthConfig says how backends are checked.
type HealthConfig struct {
	Path     string        // "": a connect is enough; a path: GET, and the answer must be 2xx or 3xx
	Interval time.Duration // between the end of one check and the start of the next (2 s)
	Timeout  time.Duration // for one check, to the end of its answer (1 s)
	Fall     int           // failed checks in a row until the backend is out (2)
	Rise     int           // good checks in a row until it is back (1)
}

// Timeouts of the connections to a backend.
type Timeouts struct {
	Connect   time.Duration // until a connection is made (2 s)
	FirstByte time.Duration // from the end of the request to the first byte of the answer (60 s)
	Idle      time.Duration // a gap within an answer or while sending (60 s)
	KeepAlive time.Duration // how long an unused connection is kept (15 s); must be below the backend's own, Tomcat's is 20 s
	Tunnel    time.Duration // a silence, both ways, after a 101 (1 h)
}

// RetryConfig says how many requests that were sent and failed may be sent again.
type RetryConfig struct {
	Percent   int // of the requests of the last ten seconds (20); negative: none
	Minimum   int // for each second, whatever the requests were (10); negative: none
	BodyBytes int // of a request's body are kept to be sent again (64 KiB); negative: none
}

// Balance is a pool's way to place requests that no session binds. The names and meanings are mod_jk's.
type Balance uint8

// The balance methods. All of them divide by the weight.
const (
	BalanceRequests Balance = iota // in turn
	BalanceSessions                // to the one with the fewest sessions placed there lately
	BalanceTraffic                 // to the one that moved the fewest bytes lately
	BalanceBusyness                // to the one with the fewest requests in flight
)

var balanceNames = [...]string{"requests", "sessions", "traffic", "busyness"}

// String is the method's name in a configuration.
func (b Balance) String() string { return nameOf(balanceNames[:], int(b)) }

// ParseBalance reads a name as it stands in a configuration; "" is requests.
func ParseBalance(s string) (Balance, error) {
	i, err := indexOf(balanceNames[:], "balance", s)
	return Balance(i), err
}

// Activation is what a backend may be given. The names and meanings are mod_jk's.
type Activation uint8

// The activations.
const (
	Active   Activation = iota // everything
	Disabled                   // only requests of sessions that name it; it empties as they end
	Stopped                    // nothing; its sessions move
)

var activationNames = [...]string{"active", "disabled", "stopped"}

// String is the activation's name in a configuration.
func (a Activation) String() string { return nameOf(activationNames[:], int(a)) }

// ParseActivation reads a name as it stands in a configuration; "" is active.
func ParseActivation(s string) (Activation, error) {
	i, err := indexOf(activationNames[:], "activation", s)
	return Activation(i), err
}

func nameOf(names []string, i int) string {
	if i < len(names) {
		return names[i]
	}
	return fmt.Sprintf("unknown(%d)", i)
}

func indexOf(names []string, what, s string) (int, error) {
	if s == "" {
		return 0, nil
	}
	for i, n := range names {
		if n == s {
			return i, nil
		}
	}
	return 0, fmt.Errorf("cannot read %s %q: wanted one of %s", what, s, strings.Join(names, ", "))
}

// withDefaults returns c with every zero number replaced by its default.
func (c Config) withDefaults() Config {
	setDefault(&c.Health.Interval, 2*time.Second)
	setDefault(&c.Health.Timeout, time.Second)
	setDefault(&c.Health.Fall, 2)
	setDefault(&c.Health.Rise, 1)
	setDefault(&c.Timeouts.Connect, 2*time.Second)
	setDefault(&c.Timeouts.FirstByte, time.Minute)
	setDefault(&c.Timeouts.Idle, time.Minute)
	setDefault(&c.Timeouts.KeepAlive, 15*time.Second)
	setDefault(&c.Timeouts.Tunnel, time.Hour)
	setDefault(&c.Retry.Percent, 20)
	setDefault(&c.Retry.Minimum, 10)
	setDefault(&c.Retry.BodyBytes, 64<<10)
	setDefault(&c.MaxIdle, 256)
	c.Backends = append([]BackendConfig(nil), c.Backends...)
	for i := range c.Backends {
		setDefault(&c.Backends[i].Weight, 1)
	}
	return c
}

func setDefault[T int | time.Duration](v *T, def T) {
	if *v == 0 {
		*v = def
	}
}

// check returns the first thing that makes c unusable.
func (c *Config) check() error {
	if c.Name == "" {
		return fmt.Errorf("cannot build a pool: its name is empty, wanted a name")
	}
	if len(c.Backends) == 0 {
		return fmt.Errorf("cannot build pool %q: it has no backend, wanted at least one", c.Name)
	}
	if h := c.Health; h.Interval < 0 || h.Timeout < 0 || h.Fall < 0 || h.Rise < 0 {
		return fmt.Errorf("cannot build pool %q: health has a negative number, wanted positive ones", c.Name)
	}
	if p := c.Health.Path; p != "" && (p[0] != '/' || strings.ContainsAny(p, " \t\r\n")) {
		return fmt.Errorf("cannot build pool %q: health path %q, wanted a path that begins with / and has no blanks", c.Name, p)
	}
	if t := c.Timeouts; t.Connect < 0 || t.FirstByte < 0 || t.Idle < 0 || t.KeepAlive < 0 || t.Tunnel < 0 {
		return fmt.Errorf("cannot build pool %q: a time-out is negative, wanted positive ones", c.Name)
	}
	return c.checkBackends()
}

func (c *Config) checkBackends() error {
	routes := make(map[string]bool, len(c.Backends))
	for _, b := range c.Backends {
		switch _, _, err := net.SplitHostPort(b.Address); {
		case b.Route == "":
			return fmt.Errorf("cannot build pool %q: the backend at %q has no route, wanted its jvmRoute", c.Name, b.Address)
		case routes[b.Route]:
			return fmt.Errorf("cannot build pool %q: route %q is given twice, wanted it once", c.Name, b.Route)
		case err != nil:
			return fmt.Errorf("cannot build pool %q: address %q of backend %q, wanted host:port: %w", c.Name, b.Address, b.Route, err)
		case b.Weight < 0:
			return fmt.Errorf("cannot build pool %q: weight %d of backend %q, wanted 1 or more", c.Name, b.Weight, b.Route)
		}
		routes[b.Route] = true
	}
	for _, b := range c.Backends {
		if b.Redirect != "" && !routes[b.Redirect] {
			return fmt.Errorf("cannot build pool %q: redirect %q of backend %q, wanted a route of this pool", c.Name, b.Redirect, b.Route)
		}
	}
	return nil
}
