package main

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"rehydra/proxy/session"
)

// timings are the measurements that are taken where the work is done. Everything else is counted by the parts and read when
// somebody asks.
type timings struct {
	saves    prometheus.Histogram
	restores prometheus.Histogram
}

// newTimings returns histograms from half a millisecond, a save on the next machine, to five seconds, where a hand-over gives up.
func newTimings() timings {
	buckets := []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5}
	histogram := func(name, help string) prometheus.Histogram {
		return prometheus.NewHistogram(prometheus.HistogramOpts{Name: metricPrefix + name, Help: help, Buckets: buckets})
	}
	return timings{
		saves:    histogram("session_save_seconds", "Time until a session state was stored or given up; with save = async from its place in the queue on."),
		restores: histogram("session_restore_seconds", "Time to look a session up, claim it and bring it to another backend."),
	}
}

// timedStore is a session.Store whose saves are timed.
type timedStore struct {
	session.Store
	saves session.Observer
}

// Save implements session.Keeper.
func (s timedStore) Save(ctx context.Context, key session.Key, r session.Record) error {
	begun := time.Now()
	err := s.Store.Save(ctx, key, r)
	s.saves.Observe(time.Since(begun).Seconds())
	return err
}

// SaveAsync implements session.Queue.
func (s timedStore) SaveAsync(key session.Key, r session.Record, done func(error)) {
	begun := time.Now()
	s.Store.SaveAsync(key, r, func(err error) {
		s.saves.Observe(time.Since(begun).Seconds())
		done(err)
	})
}
