package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// nethttp is Go's own ReverseProxy with what a balancer needs beside: this program again.
type nethttp struct{}

// Name implements Peer.
func (*nethttp) Name() string { return "nethttp" }

// Version implements Peer.
func (*nethttp) Version(context.Context) (string, error) {
	return "net/http/httputil.ReverseProxy of " + runtime.Version(), nil
}

// Start implements Peer.
func (*nethttp) Start(ctx context.Context, s Setting) (*Running, error) {
	address, err := freeAddress(ctx)
	if err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("cannot find this program: %w", err)
	}
	args := []string{"nethttp", "-listen", address, "-log", s.accessLog()}
	if s.Certificate != nil {
		args = append(args, "-cert", s.Certificate.CertFile, "-key", s.Certificate.KeyFile)
	}
	for _, node := range s.Backends {
		args = append(args, node.Route+"="+node.Address)
	}
	p, err := startProcess(ctx, s.Dir, "nethttp", self, args...)
	if err != nil {
		return nil, err
	}
	if err := p.waitFor(ctx, "accepted a connection", func() bool { return accepts(ctx, address) }); err != nil {
		p.stop()
		return nil, err
	}
	return &Running{Address: address, Process: p, AccessLog: s.accessLog()}, nil
}

// accessLog is where a peer's access log goes that is not its standard output.
func (s Setting) accessLog() string { return filepath.Join(s.Dir, "access.log") }

// asRoot tells whether this run may, and must, say as whom others run.
func asRoot() bool { return os.Getuid() == 0 }

// runNetHTTP serves until ctx ends.
func runNetHTTP(ctx context.Context, args []string, _ io.Writer) error {
	flags := flag.NewFlagSet("bench nethttp", flag.ContinueOnError)
	listen := flags.String("listen", "", "where to listen")
	path := flags.String("log", "", "file of the access log")
	cert := flags.String("cert", "", "certificate; empty: no TLS")
	key := flags.String("key", "", "its key")
	if err := flags.Parse(args); err != nil {
		return err
	}
	file, err := os.OpenFile(*path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("cannot open the access log: %w", err)
	}
	defer file.Close()
	proxy := &goProxy{log: bufio.NewWriterSize(file, 64<<10)}
	for _, arg := range flags.Args() {
		route, address, _ := strings.Cut(arg, "=")
		proxy.nodes = append(proxy.nodes, &goNode{Backend: Backend{Route: route, Address: address}})
	}
	proxy.reverse = &httputil.ReverseProxy{
		Rewrite:   proxy.rewrite,
		Transport: &http.Transport{MaxIdleConnsPerHost: 128, DisableCompression: true, DialContext: (&net.Dialer{Timeout: 2 * time.Second}).DialContext},
	}
	server := &http.Server{Addr: *listen, Handler: proxy, IdleTimeout: 75 * time.Second, ReadHeaderTimeout: 10 * time.Second}
	var running sync.WaitGroup
	running.Go(func() { proxy.watch(ctx) })
	stop := context.AfterFunc(ctx, func() { _ = server.Close() }) // it ends, whatever Close says
	defer stop()
	if *cert != "" {
		err = server.ListenAndServeTLS(*cert, *key)
	} else {
		err = server.ListenAndServe()
	}
	running.Wait()
	if errors.Is(err, http.ErrServerClosed) {
		err = nil
	}
	return errors.Join(err, proxy.flush())
}

// goNode is a backend and whether it works.
type goNode struct {
	Backend
	down atomic.Bool
}

type goProxy struct {
	nodes   []*goNode
	next    atomic.Uint64
	reverse *httputil.ReverseProxy

	mu  sync.Mutex
	log *bufio.Writer
}

// choose returns the node of the session, or the next one.
func (p *goProxy) choose(r *http.Request) *goNode {
	if c, err := r.Cookie("JSESSIONID"); err == nil {
		_, route, _ := strings.Cut(c.Value, ".")
		for _, n := range p.nodes {
			if n.Route == route && !n.down.Load() {
				return n
			}
		}
	}
	for range p.nodes {
		if n := p.nodes[p.next.Add(1)%uint64(len(p.nodes))]; !n.down.Load() {
			return n
		}
	}
	return p.nodes[0]
}

func (p *goProxy) rewrite(r *httputil.ProxyRequest) {
	r.SetXForwarded()
	r.Out.URL.Scheme, r.Out.URL.Host = "http", p.choose(r.In).Address
	r.Out.Host = r.In.Host
}

// ServeHTTP implements http.Handler.
func (p *goProxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	begin := time.Now()
	counted := &countedWriter{ResponseWriter: w, status: http.StatusOK}
	p.reverse.ServeHTTP(counted, r)
	p.mu.Lock()
	defer p.mu.Unlock()
	fmt.Fprintf(p.log, "%s - - [%s] \"%s %s %s\" %d %d %d\n", r.RemoteAddr, begin.Format("02/Jan/2006:15:04:05 -0700"),
		r.Method, r.URL.Path, r.Proto, counted.status, counted.bytes, time.Since(begin).Microseconds())
}

// watch checks the nodes every two seconds and writes the log every second, until ctx ends.
func (p *goProxy) watch(ctx context.Context) {
	client := &http.Client{Timeout: time.Second}
	defer client.CloseIdleConnections()
	for turn := 0; ctx.Err() == nil; turn++ {
		pause(ctx, time.Second)
		_ = p.flush() // what is lost is missing in the count of lines
		if turn%2 == 1 {
			continue
		}
		for _, n := range p.nodes {
			request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+n.Address+"/", nil)
			if err != nil {
				continue // the address came from our own parent
			}
			resp, err := client.Do(request)
			n.down.Store(err != nil && ctx.Err() == nil)
			if err == nil {
				resp.Body.Close()
			}
		}
	}
}

func (p *goProxy) flush() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.log.Flush()
}

// countedWriter remembers what the access log wants to know.
type countedWriter struct {
	http.ResponseWriter
	status int
	bytes  int64
}

// WriteHeader implements http.ResponseWriter.
func (w *countedWriter) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (w *countedWriter) Write(p []byte) (int, error) {
	n, err := w.ResponseWriter.Write(p)
	w.bytes += int64(n)
	return n, err
}

// Unwrap lets http.ResponseController reach the writer below.
func (w *countedWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
