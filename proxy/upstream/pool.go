package upstream

import (
	"slices"
	"sync"
	"sync/atomic"

	"github.com/rs/zerolog"
)

// Pool is a set of backends that serve the same applications. Its methods may be called from any goroutine.
type Pool struct {
	cfg      Config
	log      zerolog.Logger
	backends []*Backend
	redirect []int
	routes   map[string]int
	turn     atomic.Uint64
	budget   *budget // for what is sent again; of every table's pool of this name
	state    atomic.Pointer[snapshot]
	rebuilds sync.Mutex // one rebuild at a time, so that the last one saw the last change
}

// Name is the pool's name in the configuration.
func (p *Pool) Name() string { return p.cfg.Name }

// Config returns the pool's settings with defaults filled in. It must not be changed.
func (p *Pool) Config() *Config { return &p.cfg }

// Backends returns the pool's backends in the order of the configuration. It must not be changed.
func (p *Pool) Backends() []*Backend { return p.backends }

// Backend returns the backend of a route, or nil.
func (p *Pool) Backend(route []byte) *Backend {
	if i, ok := p.routes[string(route)]; ok {
		return p.backends[i]
	}
	return nil
}

// newPool builds a pool from a checked configuration; attach gives it its backends' states.
func newPool(cfg Config, log zerolog.Logger) *Pool {
	p := &Pool{cfg: cfg, routes: make(map[string]int, len(cfg.Backends)), budget: new(budget)}
	p.log = log.With().Str("pool", cfg.Name).Logger()
	for i := range cfg.Backends {
		b := &Backend{cfg: cfg.Backends[i], pool: p, wake: make(chan struct{}, 1)}
		b.log = p.log.With().Str("backend", b.cfg.Route).Str("address", b.cfg.Address).Logger()
		p.backends = append(p.backends, b)
		p.routes[b.cfg.Route] = i
	}
	for _, b := range p.backends {
		r, ok := p.routes[b.cfg.Redirect]
		if !ok {
			r = -1
		}
		p.redirect = append(p.redirect, r)
	}
	return p
}

// rebuild makes a new snapshot from the backends' states of this moment.
func (p *Pool) rebuild() {
	p.rebuilds.Lock()
	defer p.rebuilds.Unlock()
	s := &snapshot{
		members:  p.backends,
		redirect: p.redirect,
		routes:   p.routes,
		up:       make([]bool, len(p.backends)),
		domains:  make(map[string]group),
	}
	var usable []int
	byDomain := make(map[string][]int)
	for i, b := range p.backends {
		s.up[i] = b.shared.up.Load()
		if domain := b.cfg.Domain; domain != "" {
			byDomain[domain] = append(byDomain[domain], i)
		}
		if s.usable(i) {
			usable = append(usable, i)
		}
	}
	s.all = newGroup(p.backends, usable)
	for domain, members := range byDomain {
		s.domains[domain] = newGroup(p.backends, slices.DeleteFunc(members, func(i int) bool { return !s.usable(i) }))
	}
	p.state.Store(s)
}

// usable says whether member i may be given requests that no session binds to it.
func (s *snapshot) usable(i int) bool { return s.up[i] && s.members[i].cfg.Activation == Active }

// newGroup sorts members into tiers, the nearest first.
func newGroup(backends []*Backend, members []int) group {
	slices.SortStableFunc(members, func(a, b int) int { return backends[a].cfg.Distance - backends[b].cfg.Distance })
	var g group
	for len(members) > 0 {
		n := 1
		for n < len(members) && backends[members[n]].cfg.Distance == backends[members[0]].cfg.Distance {
			n++
		}
		t := tier{members: members[:n]}
		weights := make([]int, n)
		for i, m := range t.members {
			weights[i] = backends[m].cfg.Weight
		}
		t.turns = sequence(weights)
		g = append(g, t)
		members = members[n:]
	}
	return g
}

// decay halves what sessions and traffic are compared by, so that old load counts less and less (mod_jk does it each minute too).
func (p *Pool) decay() {
	for _, b := range p.backends {
		for {
			load := b.shared.load.Load()
			if b.shared.load.CompareAndSwap(load, load/2) {
				break
			}
		}
	}
}

// level gives a backend that joins the highest load of the pool, so that it is not given everything until it has caught up
// with what the others did in the past. mod_jk does so when a worker recovers.
func (p *Pool) level(joining *Backend) {
	highest := 0.0
	for _, b := range p.backends {
		if b != joining {
			highest = max(highest, float64(b.shared.load.Load())/float64(b.cfg.Weight))
		}
	}
	joining.shared.load.Store(int64(highest * float64(joining.cfg.Weight)))
}
