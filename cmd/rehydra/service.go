package main

import (
	"context"
	"errors"
	"os"
	"syscall"
)

// service is one `rehydra serve`: the program, and what signals make of it.
type service struct {
	path       string
	own        self
	cfg        Config // the one in use
	log        *Log
	program    *program
	supervisor *supervisor
	signals    chan os.Signal

	next        *successor // being started; nil: none
	reloadsNext bool       // a SIGHUP came meanwhile
}

// run does what signals say until the process is to end, and ends it.
func (r *service) run() {
	ticks, stop := r.supervisor.Every()
	defer stop()
	for {
		var started chan error // nil while no other process is being started
		if r.next != nil {
			started = r.next.done
		}
		select {
		case <-ticks:
			r.supervisor.Alive()
		case err := <-started:
			next := r.next
			r.next = nil
			if err == nil {
				r.replaced(next)
				return
			}
			r.log.Logger.Error().Err(err).Msg("no hand-over: this process goes on")
			r.log.Flush()
			if r.reloadsNext {
				r.reloadsNext = false
				r.reload()
			}
		case sig := <-r.signals:
			switch sig {
			case syscall.SIGHUP:
				r.reloadOnce()
			case syscall.SIGUSR2:
				r.handOver()
			default:
				r.terminate(sig)
				return
			}
		}
	}
}

// reloadOnce reloads, or has the next process do so: that one may have read the file before.
func (r *service) reloadOnce() {
	if r.next != nil {
		r.reloadsNext = true
		return
	}
	r.reload()
}

// handOver starts the process that is to take this one's place.
func (r *service) handOver() {
	if r.next != nil {
		r.log.Logger.Warn().Int("next_pid", r.next.pid).Msg("a hand-over is under way")
		return
	}
	next, err := r.own.handOver(r.program.sockets, handoverNote{Out: r.program.Out(), TLS: r.cfg.Server.TLS.Listen})
	if err != nil {
		r.log.Logger.Error().Err(err).Msg("no hand-over: this process goes on")
		return
	}
	r.next = next
	r.log.Logger.Info().Int("next_pid", next.pid).Msg("handing over")
	r.log.Flush()
}

// replaced ends this process after another one took over, once its clients have gone there.
func (r *service) replaced(next *successor) {
	r.supervisor.Replaced(next.pid)
	if r.reloadsNext {
		next.signal(syscall.SIGHUP)
	}
	r.log.Logger.Info().Int("next_pid", next.pid).Stringer("drain_timeout", r.cfg.Server.DrainTimeout).Msg("handed over: draining")
	r.log.Flush()
	ctx, enough := context.WithTimeout(context.Background(), r.cfg.Server.DrainTimeout)
	defer enough()
	go func() { // ends with ctx
		for {
			select {
			case sig := <-r.signals:
				if sig == syscall.SIGTERM || sig == syscall.SIGINT {
					enough()
				}
			case <-ctx.Done():
				return
			}
		}
	}()
	r.program.Finish(ctx)
	// Idle clients are left, and requests that took all the time: those are cut. After a signal what is under way gets the time that a drain has.
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		r.end(ctx)
		return
	}
	r.drain()
}

// terminate ends this process and nobody takes its place.
func (r *service) terminate(sig os.Signal) {
	if r.next != nil && !r.next.GiveUp() {
		r.next.signal(syscall.SIGTERM) // it took over a moment ago: whoever sent the signal meant that one too
	}
	r.supervisor.Stopping()
	r.log.Logger.Info().Stringer("signal", sig).Stringer("drain_timeout", r.cfg.Server.DrainTimeout).Msg("draining")
	r.drain()
	if r.cfg.Server.PIDFile != "" {
		if err := removePIDFile(r.cfg.Server.PIDFile); err != nil {
			r.log.Logger.Warn().Err(err).Msg("PID file")
		}
	}
}
