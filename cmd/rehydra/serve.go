package main

import (
	"context"
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

// serve runs the proxy until SIGTERM or SIGINT. Its error is one of starting;
// once it is ready it returns nil, also when the drain had to cut requests.
func serve(path string) error {
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
	signal.Notify(signals, syscall.SIGHUP, syscall.SIGTERM, syscall.SIGINT)
	defer signal.Stop(signals)
	p, err := openProgram(&cfg, log.Logger)
	if err != nil {
		return err
	}
	p.logLost = log.Dropped
	p.Start()
	log.Logger.Info().Strs("listen", p.Addresses()).Str("admin", p.AdminAddress()).Str("version", version).
		Int("pid", os.Getpid()).Msg("ready")
	log.Flush() // somebody waits for it
	for sig := range signals {
		if sig != syscall.SIGHUP {
			log.Logger.Info().Stringer("signal", sig).Stringer("drain_timeout", cfg.Server.DrainTimeout).Msg("draining")
			break
		}
		reload(p, path, log)
	}
	drain(p, cfg, log)
	return nil
}

// reload reads the file again, and the log's file under its name.
func reload(p *program, path string, log *Log) {
	if err := log.Reopen(); err != nil {
		log.Logger.Error().Err(err).Msg("log not reopened")
	}
	cfg, warnings, err := LoadConfig(path)
	if err == nil {
		err = p.Reload(&cfg)
	}
	if err != nil {
		log.Logger.Error().Err(err).Msg("configuration not reloaded: the old one stays")
		return
	}
	for _, w := range warnings {
		log.Logger.Warn().Str("problem", w.String()).Msg("configuration")
	}
	log.Logger.Info().Msg("configuration reloaded")
}

func drain(p *program, cfg Config, log *Log) {
	ctx, cancel := context.WithTimeout(context.Background(), cfg.Server.DrainTimeout)
	defer cancel()
	cut, err := p.Shutdown(ctx)
	if err != nil {
		log.Logger.Warn().Err(err).Msg("queued session saves lost")
	}
	if cut > 0 {
		log.Logger.Warn().Int("cut", cut).Msg("stopped: requests were cut")
		return
	}
	log.Logger.Info().Msg("stopped")
}
