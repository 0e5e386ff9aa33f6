package main

import "time"

// DefaultConfig returns what holds where a configuration file says nothing. It has no pool and no token.
func DefaultConfig() Config {
	return Config{
		Server: ServerConfig{
			Listen:           []string{"127.0.0.1:8080"},
			DrainTimeout:     30 * time.Second,
			HeaderTimeout:    30 * time.Second,
			BodyTimeout:      30 * time.Second,
			KeepAliveTimeout: 75 * time.Second,
			MaxHeaderBytes:   64 << 10,
			MaxHeaderCount:   200,
			TLS:              defaultTLS(),
			MaxURIBytes:      16 << 10,
		},
		Admin: AdminConfig{Listen: "127.0.0.1:8079"},
		Log:   LogConfig{Format: "json", Level: "info", Output: "stderr", Access: true},
		Session: SessionConfig{
			Cookie:         "JSESSIONID",
			PathParameter:  "jsessionid",
			Mode:           "sticky",
			Save:           "sync",
			SaveTimeout:    250 * time.Millisecond,
			SaveFailure:    "respond",
			LookupFailure:  "new",
			RestoreTimeout: 2 * time.Second,
			AsyncQueue:     10000,
			InlineLimit:    4096,
			MaxState:       1000000,
			Ignore:         `\.(ico|png|gif|jpg|css|js)$`,
			Lock:           "auto",
			LockTimeout:    5 * time.Second,
			LockFailure:    "refuse",
			LockExpiry:     30 * time.Second,
		},
		Store: StoreConfig{
			Kind:          "memcached",
			Copies:        2,
			Timeout:       100 * time.Millisecond,
			Retry:         time.Second,
			Sealing:       "strict",
			HealRate:      2000,
			EmbeddedBytes: 256 << 20,
		},
	}
}

// DefaultPool returns what holds for a [[pool]] where the file says nothing.
func DefaultPool() PoolConfig {
	return PoolConfig{
		Name:               "default",
		Balance:            "requests",
		MaxIdleConnections: 256,
		Timeout: TimeoutConfig{
			Connect:   2 * time.Second,
			FirstByte: 60 * time.Second,
			Idle:      60 * time.Second,
			// Below the 20 s after which Tomcat closes an idle connection: the side that sends the next request
			// must be the one that gives up first.
			KeepAlive: 15 * time.Second,
			Tunnel:    time.Hour,
		},
		Retry:  RetryConfig{BudgetPercent: 20, BudgetMinimum: 10, BodyBytes: 64 << 10},
		Health: HealthConfig{Interval: 2 * time.Second, Timeout: time.Second, Fall: 2, Rise: 1},
	}
}

// DefaultBackend returns what holds for a [[pool.backend]] where the file says nothing.
func DefaultBackend() BackendConfig {
	return BackendConfig{Weight: 1, Activation: "active"}
}

// SetDefaults makes *p a DefaultPool.
func (p *PoolConfig) SetDefaults() { *p = DefaultPool() }

// SetDefaults makes *b a DefaultBackend.
func (b *BackendConfig) SetDefaults() { *b = DefaultBackend() }
