// Command backend is a counter in a session, for tests that kill and pause it. It speaks the session protocol through the
// Go adapter.
//
//	backend -listen 127.0.0.1:8081 -route node1 -token secret
//
//	GET  /value            the session's counter
//	POST /increment        adds one and answers the new value
//	     ?take=20ms        ... and takes that long between reading and writing
//	     ?size=1000        ... and stores as many bytes beside it
//	GET  /health           200
//
// An answer is JSON: {"value":3,"route":"node1"}. A client without a session gets one whose counter is 0.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"hash/maphash"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	rehydra "rehydra/adapters/go"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run() error {
	listen := flag.String("listen", "127.0.0.1:0", "host:port to listen on")
	route := flag.String("route", "node1", "this backend's route")
	token := flag.String("token", "", "the proxy's token")
	flag.Parse()
	sessions, err := rehydra.New(rehydra.Options{Token: *token, Route: *route})
	if err != nil {
		return err
	}
	c := &counter{route: *route, seed: maphash.MakeSeed()}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /health", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("GET /value", c.value)
	mux.HandleFunc("POST /increment", c.increment)
	mux.HandleFunc("POST /logout", c.logout)
	var lc net.ListenConfig
	l, err := lc.Listen(context.Background(), "tcp", *listen)
	if err != nil {
		return fmt.Errorf("cannot listen on %q: %w", *listen, err)
	}
	return (&http.Server{Handler: sessions.Middleware(mux), ReadHeaderTimeout: time.Minute}).Serve(l)
}

// counter is the application. The locks are its own: a session's Get and the Set after it are not one step.
type counter struct {
	route string
	seed  maphash.Seed
	locks [256]sync.Mutex // by base id
}

// lock locks the session and returns what unlocks it.
func (c *counter) lock(s *rehydra.Session) (unlock func()) {
	base, _, _ := strings.Cut(s.ID(), ".")
	mu := &c.locks[maphash.String(c.seed, base)%uint64(len(c.locks))]
	mu.Lock()
	return mu.Unlock
}

// locked calls use with the request's session, locked, which it makes where there is none.
func (c *counter) locked(w http.ResponseWriter, r *http.Request, use func(*rehydra.Session)) {
	s, err := rehydra.FromRequest(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	defer c.lock(s)()
	use(s)
}

func (c *counter) value(w http.ResponseWriter, r *http.Request) {
	c.locked(w, r, func(s *rehydra.Session) { c.answer(w, s, 0, 0, nil) })
}

// logout ends the session; without one there is nothing to end.
func (c *counter) logout(w http.ResponseWriter, r *http.Request) {
	if s, ok := rehydra.Existing(r); ok {
		defer c.lock(s)()
		s.Invalidate()
	}
	fmt.Fprintln(w, `{"value": 0}`)
}

func (c *counter) increment(w http.ResponseWriter, r *http.Request) {
	take, err := time.ParseDuration(orDefault(r.FormValue("take"), "0s"))
	size, err2 := strconv.Atoi(orDefault(r.FormValue("size"), "0"))
	if err != nil || err2 != nil {
		http.Error(w, "cannot read take or size, wanted 20ms and 1000", http.StatusBadRequest)
		return
	}
	c.locked(w, r, func(s *rehydra.Session) {
		var err error
		if size > 0 {
			err = s.Set("ballast", strings.Repeat("x", size))
		}
		c.answer(w, s, 1, take, err)
	})
}

// answer adds to the counter and writes what it is then.
func (c *counter) answer(w http.ResponseWriter, s *rehydra.Session, add int, take time.Duration, err error) {
	var n int
	if err == nil {
		_, err = s.Get("count", &n)
	}
	if err == nil && add != 0 {
		time.Sleep(take) // an application that works
		n += add
		err = s.Set("count", n)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(map[string]any{"value": n, "route": c.route}); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
}

func orDefault(s, d string) string {
	if s == "" {
		return d
	}
	return s
}
