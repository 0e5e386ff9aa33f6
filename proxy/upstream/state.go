package upstream

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"rehydra/proxy/eventloop"
)

// shared is what is known of the server behind a backend. It outlives a table when the next one has the same backend.
type shared struct {
	counters
	idle     idleList
	watch    watch
	loops    atomic.Pointer[eventloop.Group] // that serve its connections; nil: package net does
	up       atomic.Bool
	epoch    atomic.Uint64
	adapter  atomic.Uint64 // the epoch in which an adapter answered
	timeouts atomic.Int32  // first-byte time-outs since the last answer
	epochs   *atomic.Uint64

	mu       sync.Mutex
	failed   int // failed checks in a row
	good     int // good checks in a row since it went out
	outs     uint64
	reason   string
	since    time.Time
	timedOut bool       // it is out because answers did not come in time
	views    []*Backend // of the tables that use it, the newest last
}

func newShared(epochs *atomic.Uint64) *shared {
	s := &shared{epochs: epochs}
	s.up.Store(true)
	s.epoch.Store(epochs.Add(1))
	return s
}

// attach makes b one of the views that learn of changes.
func (s *shared) attach(b *Backend) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.views = append(s.views, b)
	s.idle.open()
	s.watch.start()
}

// detach removes b; with the last view idle connections are closed and no more are kept.
func (s *shared) detach(b *Backend) {
	s.mu.Lock()
	for i, v := range s.views {
		if v == b {
			s.views = append(s.views[:i:i], s.views[i+1:]...)
			break
		}
	}
	last := len(s.views) == 0
	s.mu.Unlock()
	if last {
		s.idle.close()
		s.watch.stop()
	}
}

// ReportRefused says that the backend refused a connection: it is out at once.
func (b *Backend) ReportRefused(err error) {
	if b.shared.up.Load() {
		b.goOut(0, "connection refused", err, true)
	}
}

// ReportReset says that the backend reset or broke off a connection in an epoch (Conn.Epoch): it is out at once. An epoch
// that is over changes nothing: that was the process before.
func (b *Backend) ReportReset(epoch uint64, err error) {
	if b.shared.epoch.Load() == epoch && b.shared.up.Load() {
		b.goOut(epoch, "connection reset", err, true)
	}
}

// ReportConnect judges an error of Acquire: refused is out at once, a time-out counts as ReportFirstByteTimeout does, and a
// fault of this side (ConnectError.Local) says nothing about the backend.
func (b *Backend) ReportConnect(err *ConnectError) {
	switch {
	case err.Refused:
		b.ReportRefused(err.Err)
	case err.Timeout:
		b.countTimeout(b.Epoch(), "connect timed out")
	}
}

// ReportFirstByteTimeout says that the answer to a request of an epoch did not begin in time. It counts as a failed check, also
// where checks only connect, which a stopped process still accepts.
func (b *Backend) ReportFirstByteTimeout(epoch uint64) {
	b.countTimeout(epoch, "first byte timed out")
}

// ReportAnswer says that an answer began: time-outs before it no longer count.
func (b *Backend) ReportAnswer() {
	if b.shared.timeouts.Load() != 0 {
		b.shared.timeouts.Store(0)
	}
}

func (b *Backend) countTimeout(epoch uint64, reason string) {
	s := b.shared
	if s.epoch.Load() != epoch || !s.up.Load() {
		return
	}
	n := int(s.timeouts.Add(1))
	s.mu.Lock()
	n += s.failed
	s.mu.Unlock()
	if n >= b.pool.cfg.Health.Fall {
		b.goOut(epoch, reason, nil, true)
	}
}

// goOut takes the backend out, unless it is out already or in another epoch (0: any). look: check it at once, since it was
// not a check that found out.
func (b *Backend) goOut(epoch uint64, reason string, cause error, look bool) {
	s := b.shared
	s.mu.Lock()
	if !s.up.Load() || (epoch != 0 && s.epoch.Load() != epoch) {
		s.mu.Unlock()
		return
	}
	if cause != nil {
		reason = fmt.Sprintf("%s: %v", reason, cause)
	}
	s.up.Store(false)
	s.epoch.Store(s.epochs.Add(1))
	s.outs++
	s.failed, s.good = 0, 0
	s.timedOut = s.timeouts.Load() > 0
	s.reason, s.since = reason, time.Now()
	newest := s.announce(b, look)
	s.mu.Unlock()
	s.idle.flush()
	newest.log.Warn().Str("reason", reason).Msg("backend out")
}

// checked takes the result of a check that began in an epoch; nil is good. A check of an epoch that is over changes nothing.
func (b *Backend) checked(epoch uint64, err error) {
	s, health := b.shared, &b.pool.cfg.Health
	s.mu.Lock()
	if s.epoch.Load() != epoch {
		s.mu.Unlock()
		return
	}
	if err != nil {
		s.failed++
		s.good = 0
		out := s.up.Load() && s.failed+int(s.timeouts.Load()) >= health.Fall
		s.mu.Unlock()
		if out {
			b.goOut(epoch, "check failed", err, false)
		}
		return
	}
	s.failed = 0
	if health.Path != "" {
		s.timeouts.Store(0) // it answered; a connect alone proves nothing about answers
	}
	if s.up.Load() {
		s.mu.Unlock()
		return
	}
	if s.good++; s.good < health.Rise {
		s.mu.Unlock()
		return
	}
	b.comeBack()
}

// comeBack puts the backend up; s.mu is held and let go.
func (b *Backend) comeBack() {
	s, health := b.shared, &b.pool.cfg.Health
	s.timeouts.Store(0)
	if s.timedOut && health.Path == "" {
		// Only its connects are known to be good, and they were before: the next time-out takes it out again.
		s.timeouts.Store(int32(health.Fall - 1))
	}
	s.good, s.timedOut = 0, false
	s.reason = ""
	was := time.Since(s.since)
	s.since = time.Now()
	for _, v := range s.views {
		v.pool.level(v)
	}
	s.up.Store(true)
	newest := s.announce(b, false)
	s.mu.Unlock()
	newest.log.Info().Str("reason", "checks are good").Dur("out_for", was).Msg("backend up")
}

// announce rebuilds the pools' snapshots, wakes the checkers if they are to look, and returns the newest view (b where there is
// none); s.mu is held.
func (s *shared) announce(b *Backend, look bool) *Backend {
	for _, v := range s.views {
		v.pool.rebuild()
		if look {
			select {
			case v.wake <- struct{}{}:
			default: // it is told already
			}
		}
		b = v
	}
	return b
}
