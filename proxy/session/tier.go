package session

import (
	"context"
	"regexp"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"rehydra/jvmroute"
	"rehydra/proxy/upstream"
)

// Config says how one pool's sessions are kept.
type Config struct {
	Pool           string
	Token          string // shared with the pool's adapters; never empty
	Finder         *jvmroute.Finder
	Ignore         *regexp.Regexp // of the path without parameters; nil: none
	InlineLimit    int            // bytes of state in a header
	MaxState       int            // bytes of state that are kept at all
	Async          bool           // store after the response
	SaveTimeout    time.Duration  // until which a response waits for its copies
	FailUnsaved    bool           // 503 for a response whose change is not safe
	RefuseUnlooked bool           // 503 when no node answers a look-up
	RestoreTimeout time.Duration  // until which a request waits for a hand-over
	NonSticky      bool           // requests go to any backend; never with Async
	Lock           LockMode       // of non-sticky mode, as what follows
	LockPattern    *regexp.Regexp // of LockPattern, on the path without parameters
	LockTimeout    time.Duration  // until which a request waits for its session's lock
	LockExpiry     time.Duration  // after which a lock is lost
	LockGoOn       bool           // without a lock that could not be had in time; false: 503
	Now            func() time.Time
}

// Counters count what happened to sessions, since the start.
type Counters struct {
	Saves, Restores, Lost, Fenced, Conflicts, Unprotected atomic.Uint64
	// RestoreTime is told how long each hand-over took, from the look-up to the
	// state being at the backend or ready to go there with the request; nil: nobody
	// wants to know.
	RestoreTime Observer
}

// Observer takes measurements; a histogram.
type Observer interface{ Observe(seconds float64) }

// Tier keeps the sessions of one pool. It is safe for concurrent use.
type Tier struct {
	*shared
	cfg      Config
	tierLine string // Rehydra-Tier, as every request carries it
	log      zerolog.Logger
}

// shared is what goes on when a pool gets another configuration: what is known
// of its sessions, and the work in the background.
type shared struct {
	store    Store
	index    *index
	handoffs handoffs
	doubts   doubts
	unkept   doubts // backends of which the operator was told that they have no adapter
	counters *Counters

	readers   readers
	residents residents
	drops     chan dropJob
	dropSlots chan struct{}

	background sync.WaitGroup
	slots      chan struct{} // bounds the renewals that run at once
	reads      chan struct{} // bounds the reads that run at once
	stop       context.CancelFunc
	ctx        context.Context
}

const (
	renewalsAtOnce = 32
	// readsAtOnce bounds what a backend whose adapter hangs can cost: each read holds a connection.
	readsAtOnce = 256
	// operationTimeout bounds a read or an install when nothing tighter does.
	operationTimeout = 5 * time.Second
)

// New returns the tier of one pool. Counters are shared by all pools.
func New(cfg Config, store Store, counters *Counters, log zerolog.Logger) *Tier {
	ctx, stop := context.WithCancel(context.Background())
	s := &shared{
		store: store, counters: counters, index: newIndex(), ctx: ctx, stop: stop,
		slots: make(chan struct{}, renewalsAtOnce), dropSlots: make(chan struct{}, dropsAtOnce), residents: newResidents(),
		drops: make(chan dropJob, dropsQueued), reads: make(chan struct{}, readsAtOnce),
	}
	s.background.Go(s.sweep)
	return s.tier(cfg, log)
}

// Reconfigure returns a tier with another configuration that goes on with what
// this one knows. The old one may serve the requests it has; closing either
// closes both.
func (t *Tier) Reconfigure(cfg Config, log zerolog.Logger) *Tier { return t.tier(cfg, log) }

func (s *shared) tier(cfg Config, log zerolog.Logger) *Tier {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Tier{
		shared: s, cfg: cfg, tierLine: FieldTier + ": " + cfg.Token + "\r\n",
		log: log.With().Str("pool", cfg.Pool).Logger().Sample(&zerolog.BurstSampler{Burst: 20, Period: time.Second}),
	}
}

// Close ends the work in the background and waits for it.
func (t *Tier) Close() {
	t.stop()
	t.background.Wait()
}

// Sessions counts the sessions that the tier has seen lately.
func (t *Tier) Sessions() int { return t.index.size() }

func (t *Tier) key(app, base string) Key { return Key{Pool: t.cfg.Pool, App: app, BaseID: base} }

// noteAt records that an adapter reported the session, on a connection of r.epoch.
func (t *Tier) noteAt(key Key, r *Report) {
	now := t.cfg.Now()
	t.index.update(key, now, func(k *known) { k.reported(r, now) })
}

func (k *known) reported(r *Report, now time.Time) {
	k.id, k.epoch, k.seenAt, k.ttl = r.ID, r.epoch, now, r.TTL
}

// noteStored records that a version is known to be in the store.
func (t *Tier) noteStored(key Key, r Record, returns uint64, incomplete bool) {
	now := t.cfg.Now()
	t.index.update(key, now, func(k *known) {
		if r.Version.Compare(k.stored) >= 0 {
			k.stored, k.incomplete, k.storedAt, k.seenAt, k.ttl = r.Version, incomplete, now, now, r.TTL
			k.returns = returns
		}
	})
}

// noteFound records what a look-up for b found, or what a claim wrote. Neither says on how many nodes: the copies count as incomplete, so
// that the session's next answers see to them. A look-up does not renew what it finds, and nobody knows how old that is.
func (t *Tier) noteFound(key Key, b *upstream.Backend, r Record, claimed bool) {
	returns := t.store.Returns()
	now := t.cfg.Now()
	t.index.update(key, now, func(k *known) {
		switch {
		case claimed || r.Version.Generation > max(k.stored.Generation, 1): // it was handed over
			k.doubtUntil = now.Add(doubtAfter(b))
		case !now.Before(k.doubtUntil):
			k.doubtUntil = time.Time{}
		}
		switch order := r.Version.Compare(k.stored); {
		case order > 0 && claimed:
			k.storedAt = now
		case order > 0:
			k.storedAt = time.Time{}
		default:
			return
		}
		k.stored, k.incomplete, k.ttl, k.returns = r.Version, true, r.TTL, returns
	})
}
