package main

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"rehydra/jvmroute"
	"rehydra/proxy"
	"rehydra/proxy/eventloop"
	"rehydra/proxy/session"
	"rehydra/proxy/tlsfront"
	"rehydra/proxy/upstream"
	"rehydra/sessiontier"
)

// program is where the parts meet: the proxy, the session tier and the admin
// listener of one process, as one configuration describes them.
type program struct {
	log      zerolog.Logger
	store    *sessiontier.Tier // nil: the session tier is off
	server   *proxy.Server
	acme     *tlsfront.ACME // nil: no certificates come from there
	sockets  *sockets
	loops    *eventloop.Group // nil: the system has none
	cores    int              // that loops are for
	admin    *adminServer     // nil: off
	counters session.Counters
	timings  timings
	logLost  func() uint64 // log events that were lost; nil: nobody counts them. Set before Start

	mu      sync.Mutex // serialises Reload and Shutdown
	cfg     *Config
	routing *proxy.Routing
	retired []*session.Tier // of pools that a reload took away; closed at the end
}

// openProgram builds everything cfg describes and opens its listeners, without
// accepting yet. After an error nothing is left open.
func openProgram(cfg *Config, log zerolog.Logger, sockets *sockets) (*program, error) {
	p := &program{cfg: cfg, log: log, sockets: sockets, timings: newTimings()}
	p.counters.RestoreTime = p.timings.restores
	if err := p.open(); err != nil {
		p.close()
		return nil, err
	}
	return p, nil
}

func (p *program) open() error {
	cfg := p.cfg
	p.openLoops()
	if cfg.Tier {
		sc := storeConfig(cfg)
		sc.Dial = p.dial
		store, err := sessiontier.Open(sc, p.log)
		if err != nil {
			return fmt.Errorf("cannot open the session store: %w", err)
		}
		p.store = store
	}
	routing, err := p.build(cfg, nil)
	if err != nil {
		return err
	}
	p.routing = routing
	var access *proxy.AccessLog
	if cfg.Log.Access {
		access = proxy.NewAccessLog(p.log)
	}
	p.server = proxy.NewServer(limits(cfg), routing, access, p.log)
	p.server.UseLoops(p.loops)
	p.server.OpenWith(p.openFor("server"))
	if err := p.server.Listen(cfg.Server.Listen); err != nil {
		return err
	}
	if err := p.server.ListenTLS(cfg.Server.TLS.Listen); err != nil {
		return err
	}
	if err := p.server.SpeakHTTP2(cfg.Server.TLS.MaxStreams); err != nil {
		return err
	}
	p.acme = p.openACME(cfg)
	front, err := frontConfig(cfg, p.server.TLSAddress(), p.acme)
	if err != nil {
		return err
	}
	p.server.SetFront(front)
	if cfg.Admin.Listen != "" {
		if p.admin, err = listenAdmin(cfg, p, p.log); err != nil {
			return err
		}
	}
	return nil
}

// Start begins to check backends, to accept clients and to serve the admin listener.
func (p *program) Start() {
	p.routing.Table.Start()
	p.server.Start()
	if p.acme != nil {
		p.acme.Start() // its challenges come back to the listeners
	}
	if p.admin != nil {
		p.admin.Start()
	}
}

// Addresses returns the addresses that clients can reach.
func (p *program) Addresses() []string { return p.server.Addresses() }

// AdminAddress returns the admin listener's address, "" when it is off.
func (p *program) AdminAddress() string {
	if p.admin == nil {
		return ""
	}
	return p.admin.Address()
}

// Where returns what each node of the store holds of a session; nil without a store.
func (p *program) Where(ctx context.Context, pool, app, base string) []sessiontier.Copy {
	if p.store == nil {
		return nil
	}
	return p.store.Where(ctx, sessiontier.Key{Pool: pool, App: app, BaseID: base})
}

// Reload takes a new configuration into use for the requests that begin from
// now on. On an error everything stays as it was.
func (p *program) Reload(cfg *Config) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := restartNeeded(p.cfg, cfg); err != nil {
		return err
	}
	old := p.routing
	next, err := p.build(cfg, old)
	if err != nil {
		return err
	}
	addresses, err := p.relisten(cfg)
	if err != nil {
		next.Table.Close()
		return err
	}
	front, err := frontConfig(cfg, addresses.server.TLSAddress(), p.acme)
	if err != nil {
		next.Table.Close()
		addresses.Discard()
		return err
	}
	if p.store != nil {
		if err := p.store.SetKeys(cfg.Store.Keys, cfg.Store.sealing()); err != nil {
			next.Table.Close()
			addresses.Discard()
			return err
		}
	}
	next.Table.Start()
	p.server.SetRouting(next)
	p.server.SetFront(front)
	addresses.Apply()
	p.cfg, p.routing = cfg, next
	old.Table.Close()
	for name, t := range old.Tiers {
		if next.Tiers[name] == nil {
			p.retired = append(p.retired, t) // requests may still have it
		}
	}
	return nil
}

// restartNeeded refuses what a running process cannot change, all of it at once.
func restartNeeded(old, cfg *Config) error {
	var fixed []error
	for _, part := range [...]struct {
		name     string
		old, now any
	}{
		{"[server]", withoutRouting(withoutFront(withoutListen(old.Server))), withoutRouting(withoutFront(withoutListen(cfg.Server)))},
		{"[log]", old.Log, cfg.Log},
		{"[store]", withoutKeys(old.Store), withoutKeys(cfg.Store)},
		{"session.max_state", old.Session.MaxState, cfg.Session.MaxState},
		{"session.async_queue", old.Session.AsyncQueue, cfg.Session.AsyncQueue},
		{"whether the session tier is on", old.Tier, cfg.Tier},
	} {
		if !reflect.DeepEqual(part.old, part.now) {
			fixed = append(fixed, fmt.Errorf("cannot change %s while running: wanted a hand-over (SIGUSR2) or a restart", part.name))
		}
	}
	return errors.Join(fixed...)
}

// withoutListen is c without what a reload may change.
func withoutListen(c ServerConfig) ServerConfig {
	c.Listen = nil
	return c
}

// build makes the routing that cfg describes; what old knows of backends and
// sessions that remain is kept.
func (p *program) build(cfg *Config, old *proxy.Routing) (*proxy.Routing, error) {
	finder, err := jvmroute.NewFinder(cfg.Session.Cookie, cfg.Session.PathParameter)
	if err != nil {
		return nil, err
	}
	var before *upstream.Table
	if old != nil {
		before = old.Table
	}
	pools := make([]upstream.Config, len(cfg.Pools))
	for i := range cfg.Pools {
		if pools[i], err = poolConfig(&cfg.Pools[i]); err != nil {
			return nil, err
		}
	}
	table, err := upstream.NewTable(pools, before, p.log)
	if err != nil {
		return nil, err
	}
	r := &proxy.Routing{Table: table, Finder: finder, Tiers: make(map[string]*session.Tier), Pages: cfg.Server.Pages}
	for i := range cfg.Pools {
		pool := &cfg.Pools[i]
		if p.store == nil || pool.Token.IsEmpty() {
			continue
		}
		tc, err := tierConfig(cfg, pool, finder)
		if err != nil {
			return nil, err
		}
		if old != nil && old.Tiers[pool.Name] != nil {
			r.Tiers[pool.Name] = old.Tiers[pool.Name].Reconfigure(tc, p.log)
		} else {
			r.Tiers[pool.Name] = session.New(tc, timedStore{storeAdapter{p.store}, p.timings.saves}, &p.counters, p.log)
		}
	}
	return r, nil
}

// Shutdown drains: no new client, requests and queued saves end until ctx does.
// It returns how many connections were cut and how many saves were lost.
func (p *program) Shutdown(ctx context.Context) (cut int, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	cut = p.server.Shutdown(ctx)
	p.closeTiers() // what they still ask backends for is queued then
	if p.store != nil {
		// Whatever is queued was acknowledged: it gets a moment even when
		// requests took all the time.
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), saveGrace)
		defer cancel()
		if until, ok := ctx.Deadline(); ok && time.Until(until) > saveGrace {
			grace = ctx
		}
		err = p.store.Drain(grace)
	}
	p.close()
	return cut, err
}

// saveGrace is the least time that queued saves have at shutdown.
const saveGrace = 2 * time.Second

// close releases everything that was opened.
func (p *program) close() {
	if p.admin != nil {
		p.admin.Close()
	}
	if p.acme != nil {
		p.acme.Close()
	}
	if p.server != nil {
		ended, cancel := context.WithCancel(context.Background())
		cancel()
		p.server.Shutdown(ended)
	}
	if p.routing != nil {
		p.routing.Table.Close()
		p.closeTiers()
	}
	if p.store != nil {
		p.store.Close()
	}
	p.closeLoops()
}

// closeTiers ends what the session tiers do in the background, and waits for it.
func (p *program) closeTiers() {
	for _, t := range p.routing.Tiers {
		t.Close()
	}
	for _, t := range p.retired {
		t.Close()
	}
}
