package sessiontier

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/cespare/xxhash/v2"
	"github.com/rs/zerolog"
)

// Tier keeps copies of sessions on its nodes. It is safe for use by many goroutines; several tiers, in several proxies, may share
// the same nodes and agree through compare-and-swap alone. It must be closed.
type Tier struct {
	nodes    []*node
	seeds    []uint64 // by node: hash of its name
	failover []bool   // by node
	copies   int
	maxState int
	local    bool // the only node is inside this process and never waits
	now      func() time.Time
	log      zerolog.Logger

	codec    *codec
	rooms    rooms
	handles  *recent[*handle]
	unknown  *unknownIDs
	queue    *queue
	healer   *healer
	limits   timeLimits
	gates    gates // where this process waits for locks
	counters counters

	stop     context.CancelFunc // ends the probers
	watchers sync.WaitGroup
	gate     sync.RWMutex // guards closed; held for reading while running grows
	closed   bool
	running  sync.WaitGroup // exchanges, whether or not somebody still waits for them
}

// Open starts a tier. It asks each node once whether it answers; nodes that do not are logged, left alone, and taken into use as soon
// as they do. The error says which value of cfg is wrong.
func Open(cfg Config, log zerolog.Logger) (*Tier, error) {
	cfg = cfg.withDefaults()
	if err := cfg.check(); err != nil {
		return nil, err
	}
	codec, err := newCodec(sealing{keys: cfg.Keys, mode: cfg.Sealing}, cfg.CompressAbove, cfg.MaxState)
	if err != nil {
		return nil, err
	}
	t := &Tier{
		codec: codec, copies: cfg.Copies, maxState: cfg.MaxState, local: cfg.Kind == KindEmbedded, now: cfg.Now, log: log,
		handles: newRecent[*handle](rememberedHandles), unknown: newUnknownIDs(rememberedUnknown),
	}
	if t.local {
		start := time.Now()
		t.addNode(cfg, Node{Name: KindEmbedded}, newEmbedded(cfg.EmbeddedBytes, func() time.Duration { return time.Since(start) }))
	}
	for _, n := range cfg.Nodes {
		s := newMemcached(n.Address, cfg.Timeout, cfg.Connections, cfg.Now)
		s.maxValueSize = cfg.MaxState
		if cfg.Dial != nil {
			s.dial = cfg.Dial
		}
		t.addNode(cfg, n, s)
	}

	t.healer = newHealer(cfg.HealRate, cfg.healSlice, len(t.nodes))
	ctx, stop := context.WithCancel(context.Background())
	t.stop = stop
	t.queue = newQueue(cfg.QueueLength)
	for range cfg.QueueWorkers {
		t.watchers.Go(func() { t.queue.work(func(q *queued) { t.saveQueued(q, cfg.QueueTimeout) }) })
	}
	var first sync.WaitGroup
	for _, n := range t.nodes {
		first.Go(n.probe)
	}
	first.Wait()
	if !t.local {
		for i := range t.nodes {
			t.healer.want(i) // it may be new, and lack what others hold
			t.watchers.Go(func() { t.watch(ctx, i, cfg.Retry) })
		}
		t.watchers.Go(func() { t.heal(ctx) })
	}
	return t, nil
}

func (t *Tier) addNode(cfg Config, n Node, s store) {
	failover := slices.Contains(cfg.FailoverOnly, n.Name)
	t.nodes = append(t.nodes, &node{
		name: n.Name, address: n.Address, failover: failover, store: s, log: t.log,
		slots: make(chan struct{}, cfg.Connections), timeout: cfg.Timeout, born: time.Now(),
		holds: cfg.Retry + 2*cfg.Timeout, // a tick, a probe, and as much again on a busy machine
	})
	t.seeds = append(t.seeds, xxhash.Sum64String(n.Name))
	t.failover = append(t.failover, failover)
}

// rank is the order of the nodes for a store key.
func (t *Tier) rank(storeKey string) rank {
	return rankNodes(make(rank, 0, len(t.nodes)), storeKey, t.seeds, t.failover)
}

// enter announces an exchange, so that Close waits for it; false: the tier is closed. Each true wants one running.Done.
func (t *Tier) enter() bool {
	t.gate.RLock()
	defer t.gate.RUnlock()
	if t.closed {
		return false
	}
	t.running.Add(1)
	return true
}

// Drain waits until the queue of SaveAsync is empty, or ctx ends: then the error is that of ctx.
func (t *Tier) Drain(ctx context.Context) error { return t.queue.drain(ctx) }

// Close stops the tier's goroutines, drops what still waits in the queue (counted; done gets ErrDropped) and closes the connections. It
// waits for what runs: saves of the queue, at most QueueTimeout, and exchanges, at most a few of the nodes' time-outs. Calls made
// afterwards fail with ErrUnavailable.
func (t *Tier) Close() {
	t.counters.dropped.Add(t.queue.close())
	t.stop()
	t.watchers.Wait()

	t.gate.Lock()
	t.closed = true
	t.gate.Unlock()
	t.running.Wait()
	for _, n := range t.nodes {
		n.store.close()
	}
}
