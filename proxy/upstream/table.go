package upstream

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"rehydra/proxy/eventloop"
)

// decayEvery is how often the loads of sessions and traffic are halved; mod_jk's worker.maintain is a minute too.
const decayEvery = time.Minute

// Table is the pools of one configuration. It is not changed after NewTable; a reload makes another one from it.
type Table struct {
	pools   []*Pool
	matcher matcher
	epochs  *atomic.Uint64 // the last epoch given, of this table and all before it

	stop   context.CancelFunc
	wg     sync.WaitGroup
	closed sync.Once
}

// NewTable builds the pools. Backends that old has under the same pool, route and address keep their state, counters, what is known of
// their sessions, and idle connections; old may be nil and stays usable. A table that was made must be closed, also if it
// is never started. The error says which setting is wrong.
//
// A reload is: NewTable(configs, old, log), Start, exchange the tables, old.Close.
func NewTable(configs []Config, old *Table, log zerolog.Logger) (*Table, error) {
	t := &Table{matcher: matcher{exact: make(map[string]rules), wildcard: make(map[string]rules)}, epochs: new(atomic.Uint64)}
	names := make(map[string]bool, len(configs))
	for _, cfg := range configs {
		cfg = cfg.withDefaults()
		if err := cfg.check(); err != nil {
			return nil, err
		}
		if names[cfg.Name] {
			return nil, fmt.Errorf("cannot build pool %q: the name is given twice, wanted it once", cfg.Name)
		}
		names[cfg.Name] = true
		p := newPool(cfg, log)
		if len(cfg.Match) == 0 {
			cfg.Match = []string{"/*"}
		}
		for _, text := range cfg.Match {
			if err := t.matcher.add(text, p); err != nil {
				return nil, fmt.Errorf("cannot build pool %q: %w", cfg.Name, err)
			}
		}
		t.pools = append(t.pools, p)
	}
	if old != nil {
		t.epochs = old.epochs
	}
	t.adopt(old)
	return t, nil
}

// adopt gives every backend its state: that of the same backend in old, or a new one.
func (t *Table) adopt(old *Table) {
	for _, p := range t.pools {
		before := old.pool(p.cfg.Name)
		if before != nil {
			p.budget = before.budget
		}
		var joined []*Backend
		for _, b := range p.backends {
			if was := before.backend(b.cfg.Route, b.cfg.Address); was != nil {
				b.shared = was.shared
			} else {
				b.shared = newShared(t.epochs)
				joined = append(joined, b)
			}
		}
		if before != nil && before.cfg.Balance != p.cfg.Balance {
			joined = nil
			for _, b := range p.backends {
				b.shared.load.Store(0) // it is of another unit
			}
		}
		for _, b := range joined {
			p.level(b)
		}
		// Attached first, then built: a change in between is seen by one or the other.
		p.rebuild()
		for _, b := range p.backends {
			b.shared.attach(b)
		}
		p.rebuild()
	}
}

func (t *Table) pool(name string) *Pool {
	if t == nil {
		return nil
	}
	for _, p := range t.pools {
		if p.cfg.Name == name {
			return p
		}
	}
	return nil
}

func (p *Pool) backend(route, address string) *Backend {
	if p == nil {
		return nil
	}
	if i, ok := p.routes[route]; ok && p.backends[i].cfg.Address == address {
		return p.backends[i]
	}
	return nil
}

// Pools returns the pools in the order of the configuration. It must not be changed.
func (t *Table) Pools() []*Pool { return t.pools }

// UseLoops has event loops serve the connections that are made from now on.
func (t *Table) UseLoops(g *eventloop.Group) {
	for _, p := range t.pools {
		for _, b := range p.backends {
			b.shared.loops.Store(g)
		}
	}
}

// Match returns the pool for a request, or nil. host may have a port, which is ignored; path may have a query and path
// parameters. Patterns with the host itself come before patterns with a wildcard (the longest first), and those before
// patterns without a host; within one host the longest path wins. A prefix ends at a segment: /shop/* is /shop and /shop/x, not
// /shopping. The path is compared as the container will read it, see plainPath. Match does not allocate for paths under 512 bytes.
func (t *Table) Match(host, path []byte) *Pool { return t.matcher.match(host, path) }

// Start begins to check the backends and to drop old connections. It is called once.
func (t *Table) Start() {
	ctx, stop := context.WithCancel(context.Background())
	t.stop = stop
	shortest := 4 * time.Second // the retry budget wants a look each second
	for _, p := range t.pools {
		shortest = min(shortest, p.cfg.Timeouts.KeepAlive)
		for _, b := range p.backends {
			c := newChecker(b)
			t.wg.Go(func() { c.run(ctx) })
		}
	}
	t.wg.Go(func() { t.maintain(ctx, max(shortest/4, 10*time.Millisecond)) })
}

// maintain closes idle connections that nobody took in time and lets old load fade, until its context ends.
func (t *Table) maintain(stop context.Context, every time.Duration) {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	decayed := time.Now()
	for {
		select {
		case <-stop.Done():
			return
		case now := <-ticker.C:
			for _, p := range t.pools {
				p.budget.look(now, p.sent())
				for _, b := range p.backends {
					b.shared.idle.reap(now.Add(-p.cfg.Timeouts.KeepAlive))
				}
				if now.Sub(decayed) >= decayEvery {
					p.decay()
				}
			}
			if now.Sub(decayed) >= decayEvery {
				decayed = now
			}
		}
	}
}

// Close ends the checks and closes the idle connections of backends that no other table has. Requests under way may end with
// the table's pools and backends; the connections they release are closed. Calling it again does nothing.
func (t *Table) Close() {
	t.closed.Do(func() {
		if t.stop != nil {
			t.stop()
		}
		t.wg.Wait()
		for _, p := range t.pools {
			for _, b := range p.backends {
				b.shared.detach(b)
			}
		}
	})
}
