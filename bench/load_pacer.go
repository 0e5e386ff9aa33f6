package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// pacerTick is how often a constant rate hands out requests, as many as are due. A finer one costs processor time that the proxies lack.
	pacerTick = 250 * time.Microsecond
	// pacerPatience is how long after the measured time requests that were due in it may still be sent.
	pacerPatience = 2 * time.Second
)

// A pacer says when requests are due, at a constant rate that no slow answer changes. Workers take what is due, the oldest first. A
// request's time begins when it was due: the wait for a free worker, in which a stalled server would otherwise hide, counts
// ("coordinated omission").
type pacer struct {
	g   *generator
	due chan time.Time // bounded: what does not fit is more than a run may have
}

func newPacer(g *generator) *pacer {
	most := g.spec.Rate * (g.spec.Warm + g.spec.Time + pacerPatience).Seconds()
	return &pacer{g: g, due: make(chan time.Time, int(most)+1)}
}

// run hands out requests until the phase is ending. The clock is the kernel's, a timerfd that Go's poller waits for: the runtime's own timers
// are as coarse as a millisecond.
func (p *pacer) run(ctx context.Context) error {
	defer close(p.due)
	fd, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC)
	if err != nil {
		return fmt.Errorf("cannot make a clock: %w", err)
	}
	clock := os.NewFile(uintptr(fd), "clock")
	defer clock.Close()
	tick := unix.NsecToTimespec(int64(pacerTick))
	if err := unix.TimerfdSettime(fd, 0, &unix.ItimerSpec{Interval: tick, Value: tick}, nil); err != nil {
		return fmt.Errorf("cannot set a clock: %w", err)
	}
	begin, sent := time.Now(), 0
	var ticks [8]byte
	for p.g.phase.Load() != ending && ctx.Err() == nil {
		if _, err := clock.Read(ticks[:]); err != nil && !errors.Is(err, io.EOF) {
			return fmt.Errorf("cannot read a clock: %w", err)
		}
		// A tick's requests are due at that tick, also when we come late to it.
		now := time.Since(begin).Truncate(pacerTick)
		for wanted := int(now.Seconds() * p.g.spec.Rate); sent < wanted; sent++ {
			exact := time.Duration(float64(sent+1) / p.g.spec.Rate * float64(time.Second))
			at := begin.Add((exact + pacerTick - 1).Truncate(pacerTick))
			select {
			case p.due <- at:
			default:
				return fmt.Errorf("cannot keep more than %d requests that are due", cap(p.due))
			}
		}
	}
	return nil
}

// next waits for a request to be due. ok is false when there is none any more, or none that may still be sent.
func (p *pacer) next(ctx context.Context) (due time.Time, ok bool) {
	if p.g.phase.Load() == ending && time.Since(p.g.start()) > p.g.spec.Time+pacerPatience {
		return due, false
	}
	select {
	case due, ok = <-p.due:
		return due, ok
	case <-ctx.Done():
		return due, false
	}
}

// unsent returns for how long the requests have been due that nobody has sent, after run has ended.
func (p *pacer) unsent(now time.Time) (micros []uint32) {
	for due := range p.due {
		if !due.Before(p.g.start()) {
			micros = append(micros, uint32(now.Sub(due).Microseconds()))
		}
	}
	return micros
}
