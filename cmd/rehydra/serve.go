package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

// newServeCommand returns "rehydra serve --config FILE".
func newServeCommand() *cobra.Command {
	var path string
	cmd := &cobra.Command{
		Use:   "serve --config FILE",
		Short: "Run the proxy",
		Args:  cobra.NoArgs,
		RunE:  func(*cobra.Command, []string) error { return serve(path) },
	}
	addConfigFlag(cmd, &path)
	return cmd
}

// serve runs the proxy until SIGTERM or SIGINT, or until another process took its place. Its error is one of starting; once it is ready it returns nil, also
// when the drain had to cut requests.
func serve(path string) (err error) {
	own, err := startedAs()
	if err != nil {
		return err
	}
	before, err := findPredecessor()
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, before.Tell(err))
		}
	}()
	cfg, warnings, err := LoadConfig(path)
	if err != nil {
		return err
	}
	log, err := OpenLog(cfg.Log)
	if err != nil {
		return err
	}
	defer func() {
		if err := log.Close(); err != nil {
			// Lines are lost, and nothing else: that is no reason to have failed.
			fmt.Fprintln(os.Stderr, "cannot write the end of the log:", err)
		}
	}()
	for _, w := range warnings {
		log.Logger.Warn().Str("problem", w.String()).Msg("configuration")
	}
	// Before ready: whoever waits for that event may send a signal at once.
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGHUP, syscall.SIGUSR2, syscall.SIGTERM, syscall.SIGINT)
	defer signal.Stop(signals)
	r := &service{path: path, own: own, cfg: cfg, log: log, signals: signals, supervisor: newSupervisor(log.Logger)}
	if err := r.start(before); err != nil {
		return err
	}
	r.run()
	return nil
}

// start opens everything and serves. After an error nothing is left open.
func (r *service) start(before *predecessor) error {
	given, err := givenSockets(before != nil)
	if err != nil {
		return err
	}
	defer given.Close()
	if r.program, err = openProgram(&r.cfg, r.log.Logger, given); err != nil {
		return err
	}
	if before == nil {
		err = unclaimedError(given.Unclaimed())
	}
	if err == nil && r.cfg.Server.PIDFile != "" {
		err = writePIDFile(r.cfg.Server.PIDFile)
	}
	if err != nil {
		r.program.close()
		return err
	}
	r.program.logLost = r.log.Dropped
	r.program.knowOut(before.Note().Out)
	r.program.Start()
	r.program.useGiven(before.Note().TLS)
	ready := r.log.Logger.Info().Strs("listen", r.program.Addresses()).Str("admin", r.program.AdminAddress()).Str("version", version).Int("pid", os.Getpid())
	if before == nil {
		r.supervisor.Ready("serving")
	} else {
		ready = ready.Int("replaces", before.pid)
		if err := before.Tell(nil); err != nil {
			r.log.Logger.Warn().Err(err).Msg("hand-over") // that process is gone: this one serves all the same
		}
	}
	ready.Msg("ready")
	r.log.Flush() // somebody waits for it
	return nil
}

// reload reads the file again, and the log's file under its name.
func (r *service) reload() {
	r.supervisor.Reloading()
	defer r.supervisor.Ready("serving")
	defer r.log.Flush() // somebody waits for it
	if err := r.log.Reopen(); err != nil {
		r.log.Logger.Error().Err(err).Msg("log not reopened")
	}
	cfg, warnings, err := LoadConfig(r.path)
	if err == nil {
		err = r.program.Reload(&cfg)
	}
	if err != nil {
		r.log.Logger.Error().Err(err).Msg("configuration not reloaded: the old one stays")
		return
	}
	r.cfg = cfg
	for _, w := range warnings {
		r.log.Logger.Warn().Str("problem", w.String()).Msg("configuration")
	}
	r.log.Logger.Info().Strs("listen", r.program.Addresses()).Str("admin", r.program.AdminAddress()).Msg("configuration reloaded")
}

// drain lets the requests under way end, for drain_timeout or until another signal to end.
func (r *service) drain() {
	ctx, cancel := context.WithTimeout(context.Background(), r.cfg.Server.DrainTimeout)
	over := make(chan struct{})
	go func() { // ends with over
		for {
			select {
			case sig := <-r.signals:
				if sig == syscall.SIGTERM || sig == syscall.SIGINT {
					r.log.Logger.Info().Stringer("signal", sig).Msg("draining no longer")
					cancel()
				}
			case <-over:
				return
			}
		}
	}()
	defer cancel()
	defer close(over)
	r.end(ctx)
}

// end ends everything; what is still under way when ctx is over is cut.
func (r *service) end(ctx context.Context) {
	cut, err := r.program.Shutdown(ctx)
	if err != nil {
		r.log.Logger.Warn().Err(err).Msg("queued session saves lost")
	}
	if cut > 0 {
		r.log.Logger.Warn().Int("cut", cut).Msg("stopped: requests were cut")
		return
	}
	r.log.Logger.Info().Msg("stopped")
}
