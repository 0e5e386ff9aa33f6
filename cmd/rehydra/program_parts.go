package main

import (
	"net"

	"rehydra/jvmroute"
	"rehydra/proxy"
	"rehydra/proxy/session"
	"rehydra/proxy/upstream"
	"rehydra/sessiontier"
)

// The functions below translate a configuration into those of the parts.

func limits(cfg *Config) proxy.Limits {
	return proxy.Limits{
		HeaderTimeout:    cfg.Server.HeaderTimeout,
		BodyTimeout:      cfg.Server.BodyTimeout,
		KeepAliveTimeout: cfg.Server.KeepAliveTimeout,
		HeaderBytes:      cfg.Server.MaxHeaderBytes,
		HeaderCount:      cfg.Server.MaxHeaderCount,
		URIBytes:         cfg.Server.MaxURIBytes,
		Requests:         cfg.Server.MaxRequestsPerConnection,
		Connections:      cfg.Server.maxConnections(),
		ConnectionsEach:  cfg.Server.MaxConnectionsPerClient,
	}
}

func storeConfig(cfg *Config) sessiontier.Config {
	c := sessiontier.Config{
		Kind:          cfg.Store.Kind,
		FailoverOnly:  cfg.Store.FailoverOnly,
		Copies:        cfg.Store.Copies,
		Timeout:       cfg.Store.Timeout,
		Retry:         cfg.Store.Retry,
		MaxState:      cfg.Session.MaxState,
		EmbeddedBytes: int64(cfg.Store.EmbeddedBytes),
		Keys:          cfg.Store.Keys,
		Sealing:       cfg.Store.sealing(),
		CompressAbove: int(cfg.Store.CompressAbove),
		HealRate:      cfg.Store.HealRate,
		QueueLength:   cfg.Session.AsyncQueue,
	}
	if c.Kind == sessiontier.KindEmbedded {
		c.Copies = 1
		return c
	}
	for _, n := range cfg.Store.Nodes {
		c.Nodes = append(c.Nodes, sessiontier.Node{Name: n.Name, Address: n.Address})
	}
	return c
}

func tierConfig(cfg *Config, pool *PoolConfig, finder *jvmroute.Finder) (session.Config, error) {
	s := &cfg.Session
	lock, err := session.ParseLockMode(s.Lock)
	return session.Config{
		Pool:           pool.Name,
		Token:          pool.Token.Reveal(),
		Finder:         finder,
		Ignore:         s.IgnorePattern(),
		InlineLimit:    s.InlineLimit,
		MaxState:       s.MaxState,
		Async:          s.Save == "async",
		SaveTimeout:    s.SaveTimeout,
		FailUnsaved:    s.SaveFailure == "fail",
		RefuseUnlooked: s.LookupFailure == "refuse",
		RestoreTimeout: s.RestoreTimeout,
		NonSticky:      s.Mode == "non-sticky",
		Lock:           lock,
		LockPattern:    s.LockRegexp(),
		LockTimeout:    s.LockTimeout,
		LockExpiry:     s.LockExpiry,
		LockGoOn:       s.LockFailure == "go-on",
	}, err
}

func poolConfig(p *PoolConfig) (upstream.Config, error) {
	balance, err := upstream.ParseBalance(p.Balance)
	if err != nil {
		return upstream.Config{}, err
	}
	c := upstream.Config{
		Name: p.Name, Match: p.Match, Balance: balance, Force: p.Force, MaxIdle: p.MaxIdleConnections,
		Health: upstream.HealthConfig{
			Path: p.Health.Path, Interval: p.Health.Interval, Timeout: p.Health.Timeout, Fall: p.Health.Fall, Rise: p.Health.Rise,
		},
		Timeouts: upstream.Timeouts{
			Connect: p.Timeout.Connect, FirstByte: p.Timeout.FirstByte, Idle: p.Timeout.Idle, KeepAlive: p.Timeout.KeepAlive,
			Tunnel: p.Timeout.Tunnel,
		},
		Retry:   upstream.RetryConfig{Percent: p.Retry.BudgetPercent, Minimum: p.Retry.BudgetMinimum, BodyBytes: int(p.Retry.BodyBytes)},
		MaxBody: int64(p.MaxBodyBytes),
	}
	for _, n := range []*int{&c.Retry.Percent, &c.Retry.Minimum, &c.Retry.BodyBytes} {
		if *n == 0 {
			*n = -1 // none; 0 would be the default there
		}
	}
	if c.MaxIdle == 0 {
		c.MaxIdle = -1 // none; 0 would be the default there
	}
	for _, b := range p.Backends {
		activation, err := upstream.ParseActivation(b.Activation)
		if err != nil {
			return c, err
		}
		backend := upstream.BackendConfig{
			Route: b.Route, Address: b.Address, Weight: b.Weight, Activation: activation,
			Distance: b.Distance, Domain: b.Domain, Redirect: b.Redirect,
		}
		if b.Secure {
			host, _, err := net.SplitHostPort(b.Address)
			if err != nil {
				return c, err
			}
			backend.TLS = p.TLS.config(host)
		}
		c.Backends = append(c.Backends, backend)
	}
	return c, nil
}
