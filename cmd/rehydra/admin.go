package main

import (
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/rs/zerolog"
	"net/http"
)

// adminServer serves operators: GET /metrics.
type adminServer struct {
	listener net.Listener
	server   *http.Server
	log      zerolog.Logger
	running  sync.WaitGroup
}

// listenAdmin opens the admin listener of p.
func listenAdmin(address string, p *program, log zerolog.Logger) (*adminServer, error) {
	registry := prometheus.NewRegistry()
	if err := registry.Register(newCollector(p)); err != nil {
		return nil, fmt.Errorf("cannot register metrics: %w", err)
	}
	ln, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("cannot listen on %q for the admin pages: %w", address, err)
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	return &adminServer{listener: ln, log: log, server: &http.Server{
		Handler: mux, ReadHeaderTimeout: 5 * time.Second, WriteTimeout: 30 * time.Second, IdleTimeout: time.Minute,
	}}, nil
}

// Start serves until Close.
func (a *adminServer) Start() {
	a.running.Go(func() {
		if err := a.server.Serve(a.listener); err != http.ErrServerClosed {
			a.log.Error().Err(err).Msg("the admin listener failed")
		}
	})
}

// Address returns the address that is open.
func (a *adminServer) Address() string { return a.listener.Addr().String() }

// Close closes the listener and its connections.
func (a *adminServer) Close() {
	_ = a.server.Close()   // what clients of the admin pages do not get now they can ask again
	_ = a.listener.Close() // where it was never served
	a.running.Wait()
}
