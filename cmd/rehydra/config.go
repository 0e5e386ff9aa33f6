package main

import (
	"regexp"
	"time"

	"rehydra/proxy"
	"rehydra/sessiontier"
)

// Config is one configuration file, with the defaults where the file says nothing. It is plain data: LoadConfig has
// checked everything in it that can be checked without starting anything.
//
// The toml tags are the keys of the file. Fields tagged "-" are derived from others.
type Config struct {
	Server  ServerConfig  `toml:"server"`
	Admin   AdminConfig   `toml:"admin"`
	Log     LogConfig     `toml:"log"`
	Session SessionConfig `toml:"session"`
	Store   StoreConfig   `toml:"store"`
	Pools   []PoolConfig  `toml:"pool"`
	// Tier says that the session tier is on: a token or a [store] is given. Without both, rehydra is a sticky load
	// balancer that keeps nothing.
	Tier bool `toml:"-"`
}

// ServerConfig is the side that clients see.
type ServerConfig struct {
	Listen           []string      `toml:"listen"`             // host:port each; port 0 picks a free one; or systemd:NAME
	DrainTimeout     time.Duration `toml:"drain_timeout"`      // how long running requests may go on after SIGTERM or a hand-over
	PIDFile          string        `toml:"pid_file"`           // "" = none
	HeaderTimeout    time.Duration `toml:"header_timeout"`     // from a request's first byte to the end of its head
	BodyTimeout      time.Duration `toml:"body_timeout"`       // longest gap between two parts of a request's body
	KeepAliveTimeout time.Duration `toml:"keep_alive_timeout"` // how long an idle client connection is kept
	MaxHeaderBytes   int           `toml:"max_header_bytes"`   // of a request's head, request line included
	MaxHeaderCount   int           `toml:"max_header_count"`   // fields in a request's head
	ProxyProtocol    []string      `toml:"proxy_protocol"`     // networks of peers that begin with a PROXY header
	TrustedProxies   []string      `toml:"trusted_proxies"`    // networks of peers whose X-Forwarded-* are believed
	Forwarded        bool          `toml:"forwarded"`          // Forwarded (RFC 7239) is sent and believed too
	TLS              TLSConfig     `toml:"tls"`
	MaxURIBytes      int           `toml:"max_uri_bytes"`  // of a request's target
	MaxBodyBytes     Size          `toml:"max_body_bytes"` // of a request; 0 = no limit
	// MaxConnections bounds the client connections. 0 = as many as the limit of open files lets.
	MaxConnections           int `toml:"max_connections"`
	MaxConnectionsPerClient  int `toml:"max_connections_per_client"`  // from one address; 0 = no limit
	MaxRequestsPerConnection int `toml:"max_requests_per_connection"` // 0 = no limit

	ErrorPages string      `toml:"error_pages"` // a folder with pages named by status; "" = none
	Pages      proxy.Pages `toml:"-"`           // of ErrorPages
}

// AdminConfig is the side that operators see.
type AdminConfig struct {
	Listen string `toml:"listen"` // host:port, or "" for none
}

// LogConfig says what is logged, how and where.
type LogConfig struct {
	Format string `toml:"format"` // "json" or "console"
	Level  string `toml:"level"`  // "debug", "info", "warn" or "error"
	Output string `toml:"output"` // "stderr" or a file's path
	Access bool   `toml:"access"` // one event a request
}

// SessionConfig says how sessions are recognised and kept.
type SessionConfig struct {
	Cookie         string        `toml:"cookie"`
	PathParameter  string        `toml:"path_parameter"` // "" = ids in the path are not looked for
	Mode           string        `toml:"mode"`           // "sticky" or "non-sticky"
	Save           string        `toml:"save"`           // "sync" or "async"
	SaveTimeout    time.Duration `toml:"save_timeout"`
	SaveFailure    string        `toml:"save_failure"`   // "respond" or "fail"
	LookupFailure  string        `toml:"lookup_failure"` // "new" or "refuse"
	RestoreTimeout time.Duration `toml:"restore_timeout"`
	AsyncQueue     int           `toml:"async_queue"` // sessions that may wait for an asynchronous save
	Token          Secret        `toml:"token"`       // also filled from TokenFile
	TokenFile      string        `toml:"token_file"`
	InlineLimit    int           `toml:"inline_limit"` // bytes of state in a header, before base64
	MaxState       int           `toml:"max_state"`    // bytes of state that are kept at all
	Ignore         string        `toml:"ignore"`       // RE2 on the path; "" = no request is ignored
	Lock           string        `toml:"lock"`         // non-sticky: "none", "all", "auto" or "pattern"
	LockPattern    string        `toml:"lock_pattern"` // RE2 on the path
	LockTimeout    time.Duration `toml:"lock_timeout"` // how long a request waits for its session's lock
	LockFailure    string        `toml:"lock_failure"` // then: "refuse" or "go-on"
	LockExpiry     time.Duration `toml:"lock_expiry"`  // after which a lock is lost
}

// IgnorePattern returns the compiled Ignore, or nil where no request is ignored.
func (c SessionConfig) IgnorePattern() *regexp.Regexp {
	if c.Ignore == "" {
		return nil
	}
	return regexp.MustCompile(c.Ignore) // checked by LoadConfig
}

// LockRegexp returns the compiled LockPattern, or nil where there is none.
func (c SessionConfig) LockRegexp() *regexp.Regexp {
	if c.LockPattern == "" {
		return nil
	}
	return regexp.MustCompile(c.LockPattern) // checked by LoadConfig
}

// StoreConfig says where copies of sessions are kept.
type StoreConfig struct {
	Kind          string        `toml:"kind"` // "memcached" or "embedded"
	Nodes         []NodeConfig  `toml:"nodes"`
	FailoverOnly  []string      `toml:"failover_only"` // names of nodes
	Copies        int           `toml:"copies"`
	Timeout       time.Duration `toml:"timeout"`
	Retry         time.Duration `toml:"retry"`
	SealKeyFile   string        `toml:"seal_key_file"`  // "" = copies are only checksummed
	Sealing       string        `toml:"sealing"`        // "strict", "adopt" or "off"
	CompressAbove Size          `toml:"compress_above"` // bytes of state; 0 = copies are not compressed
	HealRate      int           `toml:"heal_rate"`      // sessions a second; 0 = no healing
	EmbeddedBytes Size          `toml:"embedded_bytes"` // memory of the embedded store

	Keys *sessiontier.Keyring `toml:"-"` // of SealKeyFile
}

// PoolConfig is a set of backends that serve the same applications.
type PoolConfig struct {
	Name               string          `toml:"name"`
	Match              []string        `toml:"match"` // nil = everything
	Balance            string          `toml:"balance"`
	Force              bool            `toml:"force"`
	MaxIdleConnections int             `toml:"max_idle_connections"` // kept open to each backend
	MaxBodyBytes       Size            `toml:"max_body_bytes"`       // of a request; 0 = no limit; not given: that of [server]
	Retry              RetryConfig     `toml:"retry"`
	Token              Secret          `toml:"token"` // the pool's own, or else a copy of [session]'s
	TokenFile          string          `toml:"token_file"`
	Timeout            TimeoutConfig   `toml:"timeout"`
	Health             HealthConfig    `toml:"health"`
	TLS                PoolTLSConfig   `toml:"tls"`
	Backends           []BackendConfig `toml:"backend"`
}

// TimeoutConfig bounds what a pool's backends may take. Each of them rolls: it bounds a wait, not a message.
type TimeoutConfig struct {
	Connect   time.Duration `toml:"connect"`
	FirstByte time.Duration `toml:"first_byte"` // from the request's end to the response's first byte
	Idle      time.Duration `toml:"idle"`       // longest gap within a response
	KeepAlive time.Duration `toml:"keep_alive"` // how long an idle backend connection is kept
	Tunnel    time.Duration `toml:"tunnel"`     // longest silence, both ways, on a connection that changed its protocol
}

// HealthConfig says how a pool's backends are checked.
type HealthConfig struct {
	Path     string        `toml:"path"` // "" = connect only
	Interval time.Duration `toml:"interval"`
	Timeout  time.Duration `toml:"timeout"`
	Fall     int           `toml:"fall"` // bad checks in a row until a backend is out
	Rise     int           `toml:"rise"` // good ones until it is back
}

// BackendConfig is one server of a pool.
type BackendConfig struct {
	Route      string `toml:"route"` // Tomcat's jvmRoute
	URL        string `toml:"url"`
	Address    string `toml:"-"` // host:port of URL
	Secure     bool   `toml:"-"` // URL begins with https
	Weight     int    `toml:"weight"`
	Activation string `toml:"activation"` // "active", "disabled" or "stopped"
	Distance   int    `toml:"distance"`
	Domain     string `toml:"domain"`
	Redirect   string `toml:"redirect"` // a route of the same pool, or ""
}
