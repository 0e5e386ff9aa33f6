package main

import (
	"bytes"
	"encoding/json"
	"testing"
	"time"

	"github.com/rs/zerolog"
)

// TestLogClock: what it writes is what formatting writes.
func TestLogClock(t *testing.T) {
	var c logClock
	for _, zone := range []*time.Location{time.UTC, time.FixedZone("", 2*3600), time.FixedZone("", -(9*3600 + 30*60))} {
		for _, nano := range []int{0, 999_999, 1_000_000, 45_600_000, 999_999_999} {
			for _, second := range []int{0, 1, 59} {
				// Another zone in the same second is another process's.
				c.second.Store(nil)
				at := time.Date(2026, 3, 9, 7, 5, second, nano, zone)
				for range 2 {
					if got, want := string(c.appendTime(nil, at)), at.Format(logTimeFormat); got != want {
						t.Errorf("wrote %s, wanted %s", got, want)
					}
				}
				next := at.Add(time.Second)
				if got, want := string(c.appendTime(nil, next)), next.Format(logTimeFormat); got != want {
					t.Errorf("wrote %s after a second, wanted %s", got, want)
				}
			}
		}
	}
}

func TestLogClockOfAnEvent(t *testing.T) {
	var out bytes.Buffer
	log := zerolog.New(&out).Hook(new(logClock))
	before := time.Now().Truncate(time.Millisecond)
	log.Info().Msg("x")
	var event struct{ Time time.Time }
	if err := json.Unmarshal(out.Bytes(), &event); err != nil {
		t.Fatalf("%v in %s", err, out.Bytes())
	}
	if event.Time.Before(before) || event.Time.After(time.Now()) {
		t.Errorf("the event is of %v, wanted now", event.Time)
	}
	log = zerolog.New(discard{}).Hook(new(logClock))
	if n := testing.AllocsPerRun(1000, func() { log.Info().Msg("x") }); n != 0 {
		t.Errorf("%v allocations for an event, wanted none", n)
	}
}

type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }
