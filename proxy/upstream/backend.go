package upstream

import (
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"
)

// Backend is one server of a pool, as one table sees it. What is known of it (state, counters, idle connections) is shared with the
// Backend of the same pool, route and address in the table that follows. Its methods may be called from any goroutine.
type Backend struct {
	cfg    BackendConfig
	pool   *Pool
	log    zerolog.Logger
	wake   chan struct{} // makes the checker look at once; holds one
	shared *shared
}

// Config returns the backend's settings. It must not be changed.
func (b *Backend) Config() *BackendConfig { return &b.cfg }

// Pool returns the pool that the backend belongs to.
func (b *Backend) Pool() *Pool { return b.pool }

// Route is the backend's jvmRoute.
func (b *Backend) Route() string { return b.cfg.Route }

// Address is the backend's host:port.
func (b *Backend) Address() string { return b.cfg.Address }

// Up says whether the backend is thought to answer. A backend that was not checked yet is.
func (b *Backend) Up() bool { return b.shared.up.Load() }

// Epoch names the time since the backend was last out: it changes whenever the backend goes out, and no other backend or time
// has the same one, also across reloads; it is never 0. What is known of a backend's sessions is void once its epoch changed.
func (b *Backend) Epoch() uint64 { return b.shared.epoch.Load() }

// AdapterSeen says whether an answer of this epoch came from an adapter of the session protocol.
func (b *Backend) AdapterSeen() bool {
	return b.shared.adapter.Load() == b.shared.epoch.Load()
}

// SetAdapterSeen notes whether the answer to a request of this epoch came from an adapter. An epoch that is over changes nothing.
func (b *Backend) SetAdapterSeen(epoch uint64, seen bool) {
	if b.AdapterSeen() == seen {
		return
	}
	if seen {
		b.shared.adapter.Store(epoch)
	} else {
		b.shared.adapter.CompareAndSwap(epoch, 0)
	}
}

// Begin counts a request that is about to be sent. Every Begin is followed by one End.
func (b *Backend) Begin() {
	b.shared.requests.Add(1)
	b.shared.inFlight.Add(1)
}

// End counts a request that Begin counted as over, however it went.
func (b *Backend) End() { b.shared.inFlight.Add(-1) }

// AddTraffic counts bytes sent to and received from the backend. It may be called often during one long transfer.
func (b *Backend) AddTraffic(sent, received int64) {
	b.shared.sent.Add(sent)
	b.shared.received.Add(received)
	if b.pool.cfg.Balance == BalanceTraffic {
		b.shared.load.Add(sent + received)
	}
}

// relativeLoad is what the balance method compares: what the backend carries for each unit of its weight.
func (b *Backend) relativeLoad(by Balance) float64 {
	load := &b.shared.load
	if by == BalanceBusyness {
		load = &b.shared.inFlight
	}
	return float64(load.Load()) / float64(b.cfg.Weight)
}

// Stats is what a backend has done so far. Counters go on over reloads.
type Stats struct {
	Up       bool
	Reason   string    // why it is out; "" while it is up
	Since    time.Time // when that last changed; zero: never
	Outs     uint64    // how often it went out
	InFlight int64
	Requests uint64
	Sent     int64 // bytes
	Received int64 // bytes
	Dialed   uint64
	Reused   uint64
	Stale    uint64 // idle connections dropped because the backend had closed them, sent something, or they were too old
	Open     int64  // connections, in use or idle
	Idle     int
}

// Stats returns the counters. They are read one by one and need not fit each other exactly.
func (b *Backend) Stats() Stats {
	s := b.shared
	st := Stats{
		InFlight: s.inFlight.Load(), Requests: s.requests.Load(), Sent: s.sent.Load(), Received: s.received.Load(),
		Dialed: s.dialed.Load(), Reused: s.reused.Load(), Stale: s.stale.Load(), Open: s.open.Load(), Idle: s.idle.len(),
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	st.Up, st.Reason, st.Since, st.Outs = s.up.Load(), s.reason, s.since, s.outs
	return st
}

// counters of one backend.
type counters struct {
	inFlight, sent, received, open  atomic.Int64
	load                            atomic.Int64 // sessions placed or bytes moved lately, by the pool's method
	requests, dialed, reused, stale atomic.Uint64
}
