package main

import (
	"context"
	"embed"
	"encoding/json"
	"fmt"
	"io/fs"
	stdlog "log"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/rs/zerolog"
)

//go:embed admin
var adminFiles embed.FS

// adminServer serves operators: a page, the JSON API and GET /metrics. It changes nothing, and has no password: whoever reaches it
// may read everything in it, which is never the contents of a session.
type adminServer struct {
	p        *program
	store    StoreConfig // which a reload cannot change
	started  time.Time
	listener net.Listener
	server   *http.Server
	log      zerolog.Logger
	running  sync.WaitGroup
}

// adminHeaderBytes bounds the head of a request to the admin listener.
const adminHeaderBytes = 16 << 10

// listenAdmin opens the admin listener of p.
func listenAdmin(cfg *Config, p *program, log zerolog.Logger) (*adminServer, error) {
	a := &adminServer{p: p, store: cfg.Store, log: log, started: time.Now()}
	handler, err := a.handler()
	if err != nil {
		return nil, err
	}
	if a.listener, err = p.sockets.Open("admin", cfg.Admin.Listen); err != nil {
		return nil, fmt.Errorf("cannot listen on %q for the admin pages: %w", cfg.Admin.Listen, err)
	}
	if isLoopback(a.listener.Addr().String()) {
		handler = localOnly(handler)
	}
	a.server = &http.Server{
		Handler: handler, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, WriteTimeout: 30 * time.Second,
		IdleTimeout: time.Minute, MaxHeaderBytes: adminHeaderBytes, ErrorLog: stdlog.New(adminFaults{log}, "", 0),
	}
	return a, nil
}

func (a *adminServer) handler() (http.Handler, error) {
	registry, err := newRegistry(a.p)
	if err != nil {
		return nil, err
	}
	files, err := fs.Sub(adminFiles, "admin")
	if err != nil {
		return nil, fmt.Errorf("cannot open the admin page: %w", err)
	}
	static := secured(http.FileServerFS(files))
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{ErrorLog: stdlog.New(adminFaults{a.log}, "", 0)}))
	mux.HandleFunc("GET /api/status", a.status)
	mux.HandleFunc("GET /api/backends", a.backends)
	mux.HandleFunc("GET /api/store", a.storeNodes)
	mux.HandleFunc("GET /api/sessions/{id}", a.session)
	mux.HandleFunc("GET /api/", func(w http.ResponseWriter, r *http.Request) {
		writeProblem(w, http.StatusNotFound, "no such resource: wanted /api/status, /api/backends, /api/store or /api/sessions/{id}")
	})
	mux.Handle("GET /{$}", static)
	mux.Handle("GET /admin.js", static)
	mux.Handle("GET /style.css", static)
	return mux, nil
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

// adminFinishTime is how long requests may go on when the admin listener moves or another process has it.
const adminFinishTime = 5 * time.Second

// Finish closes the listener, and its connections when what runs on them has ended.
func (a *adminServer) Finish() {
	ctx, cancel := context.WithTimeout(context.Background(), adminFinishTime)
	defer cancel()
	_ = a.server.Shutdown(ctx) // what is left then, Close cuts
	a.Close()
}

// Close closes the listener and its connections.
func (a *adminServer) Close() {
	_ = a.server.Close()   // what clients of the admin pages do not get now they can ask again
	_ = a.listener.Close() // where it was never served
	a.running.Wait()
}

// adminFaults writes what net/http has to say into the log.
type adminFaults struct{ log zerolog.Logger }

func (f adminFaults) Write(line []byte) (int, error) {
	f.log.Warn().Str("error", strings.TrimSpace(string(line))).Msg("a request to the admin listener failed")
	return len(line), nil
}

// localOnly answers only those who ask for this machine by a name or address that can be nothing else. A web page that an operator
// has open elsewhere could otherwise let its own host name lead to 127.0.0.1 and read the answers (DNS rebinding).
func localOnly(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !isLoopback(r.Host) {
			writeProblem(w, http.StatusMisdirectedRequest, "the admin listener is bound to the loopback interface: ask for it as localhost or 127.0.0.1")
			return
		}
		h.ServeHTTP(w, r)
	})
}

// isLoopback reports whether a host, with or without a port, can only be this machine.
func isLoopback(hostPort string) bool {
	host, _, err := net.SplitHostPort(hostPort)
	if err != nil {
		host = strings.TrimSuffix(strings.TrimPrefix(hostPort, "["), "]")
	}
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback()
}

// problem is the body of every answer of the API that is not what was asked for.
type problem struct {
	Error string `json:"error"`
}

// writeProblem answers with a status and a sentence.
func writeProblem(w http.ResponseWriter, status int, sentence string) {
	writeStatusJSON(w, status, problem{sentence})
}

// writeStatusJSON answers with v, indented for those who read it in a terminal. A client that is gone does not read it.
func writeStatusJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	_ = encoder.Encode(v)
}
