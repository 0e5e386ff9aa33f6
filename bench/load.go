package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// A LoadSpec tells a load generator what to do.
type LoadSpec struct {
	Address     string
	Routes      []string // session i belongs to Routes[i mod len]
	Connections int
	Workers     int           // how many ask at the same time, each over its share of connections and sessions; 0: one for each connection
	Sessions    int           // 0: one for each connection
	Head        string        // the request; "{cookie}" becomes "; JSESSIONID=..." and "{count}" a number that never comes twice
	Body        int           // bytes that every answer must have; -1: any number
	Follow      bool          // sessions are the backends' own: each begins without an id and goes on with the one that it is given
	Fresh       bool          // a connection for each request
	CA          string        // PEM of the certificate to trust; "": no TLS
	Rate        float64       // requests a second, whatever the answers do; 0: the next request when the answer is there
	Hold        []int         // open that many connections, step by step, use each once, and wait for a line from the caller at each step
	WarmUp      int           // requests that come before the measured time, an equal share from each worker; warming up then takes longer than Warm
	Warm, Time  time.Duration // load before the measured time, and that itself
}

// workers returns how many ask at the same time.
func (s *LoadSpec) workers() int {
	if s.Workers > 0 {
		return min(s.Workers, s.Connections)
	}
	return s.Connections
}

// sessions returns how many sessions there are.
func (s *LoadSpec) sessions() int {
	if s.Sessions > 0 {
		return s.Sessions
	}
	return s.Connections
}

// A LoadResult is what came of it.
type LoadResult struct {
	Requests       int           // answered within the measured time
	Warm           int           // answered before and after it
	Late           int           // of a constant rate: due within the measured time, and not even sent two seconds after it
	Elapsed        time.Duration // the measured time as it was
	P50, P99, P999 time.Duration // at a constant rate from when a request was due, not from when it could be sent
	Max            time.Duration
}

// The lines by which a load generator tells that its measured time begins and ends; the result follows as JSON. One that holds
// connections says how many. It waits for a line each time: however busy the machine is, what the caller reads of the proxy then belongs to that time.
const (
	loadStarts = "start"
	loadEnds   = "end"
	loadHolds  = "holding "
)

// runLoad reads a LoadSpec, one line, from standard input and works it off.
func runLoad(ctx context.Context, _ []string, out io.Writer) error {
	in := bufio.NewReader(os.Stdin)
	line, err := in.ReadBytes('\n')
	if err != nil {
		return fmt.Errorf("cannot read what load is wanted: %w", err)
	}
	var spec LoadSpec
	if err := json.Unmarshal(line, &spec); err != nil {
		return fmt.Errorf("cannot read what load is wanted: %w", err)
	}
	if len(spec.Hold) > 0 {
		return hold(ctx, spec, func(n int) error {
			fmt.Fprintf(out, "%s%d\n", loadHolds, n)
			_, err := in.ReadString('\n')
			return err
		})
	}
	var deaf error
	result, err := generate(ctx, spec, func(event string) {
		fmt.Fprintln(out, event)
		_, err := in.ReadString('\n')
		deaf = errors.Join(deaf, err)
	})
	if err = errors.Join(err, deaf); err != nil {
		return err
	}
	return json.NewEncoder(out).Encode(result)
}

// Phases of a load generator.
const (
	warming int32 = iota
	measuring
	ending
)

// generate keeps every worker busy with one request at a time, first for spec.Warm, then for spec.Time, and calls
// event at the edges of the latter. The first wrong or missing answer ends it: figures with errors among them say nothing.
func generate(ctx context.Context, spec LoadSpec, event func(string)) (LoadResult, error) {
	if spec.Connections < 1 || len(spec.Routes) < 1 {
		return LoadResult{}, fmt.Errorf("%d connections to %d routes: wanted at least one of each", spec.Connections, len(spec.Routes))
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	g := &generator{spec: &spec, begin: time.Now()}
	if err := g.prepare(); err != nil {
		return LoadResult{}, err
	}
	var running sync.WaitGroup
	for _, w := range g.workers {
		running.Go(func() {
			defer w.close()
			if err := w.work(ctx); err != nil {
				cancel(err)
			}
		})
	}
	if g.pacer != nil {
		running.Go(func() {
			if err := g.pacer.run(ctx); err != nil {
				cancel(err)
			}
		})
	}
	g.warmUp(ctx)
	event(loadStarts)
	g.measureFrom(time.Now())
	g.phase.Store(measuring)
	pause(ctx, spec.Time)
	event(loadEnds)
	elapsed := time.Since(g.start())
	g.phase.Store(ending)
	running.Wait()
	if err := context.Cause(ctx); err != nil {
		return LoadResult{}, err
	}
	return g.summarise(elapsed), nil
}

// A generator is a load at work.
type generator struct {
	spec    *LoadSpec
	begin   time.Time
	from    atomic.Int64 // when the measured time began, since begin; 0: not yet
	phase   atomic.Int32
	count   atomic.Int64 // what {count} becomes
	workers []*worker
	pacer   *pacer // nil: no constant rate
}

func (g *generator) measureFrom(t time.Time) { g.from.Store(int64(t.Sub(g.begin))) }

func (g *generator) start() time.Time { return g.begin.Add(time.Duration(g.from.Load())) }

// mostWarm bounds warming up by requests.
const mostWarm = time.Minute

// warmUp lets the load go on for as long as it is not to be measured.
func (g *generator) warmUp(ctx context.Context) {
	pause(ctx, g.spec.Warm)
	share := int64(g.spec.WarmUp/len(g.workers) + 1)
	for limit := g.begin.Add(mostWarm); g.spec.WarmUp > 0 && ctx.Err() == nil && time.Now().Before(limit); pause(ctx, 20*time.Millisecond) {
		if !slices.ContainsFunc(g.workers, func(w *worker) bool { return w.answered.Load() < share }) {
			return
		}
	}
}

// prepare makes the workers and, for a constant rate, the pacer.
func (g *generator) prepare() error {
	head, err := parseHead(g.spec.Head)
	if err != nil {
		return err
	}
	security, err := clientTLS(g.spec.CA)
	if err != nil {
		return err
	}
	if g.spec.Rate > 0 {
		g.pacer = newPacer(g)
	}
	n := g.spec.workers()
	for i := range n {
		w := &worker{g: g, head: head, security: security, buffer: 16 << 10}
		if g.spec.Body > 16<<10 {
			w.buffer = 64 << 10
		}
		if g.spec.Connections > 1000 {
			w.buffer = 2 << 10
		}
		if g.spec.Fresh {
			w.source = sourceAddress(i)
		}
		for c := i; c < g.spec.Connections; c += n {
			w.links = append(w.links, nil)
		}
		for s := i; s < g.spec.sessions(); s += n {
			w.sessions = append(w.sessions, newUser(s, g.spec))
		}
		if len(w.sessions) == 0 { // fewer sessions than workers: some have the same
			w.sessions = append(w.sessions, newUser(i%g.spec.sessions(), g.spec))
		}
		g.workers = append(g.workers, w)
	}
	return nil
}

// pause waits for d, or until ctx ends.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

func (g *generator) summarise(elapsed time.Duration) LoadResult {
	result := LoadResult{Elapsed: elapsed}
	var all []uint32
	for _, w := range g.workers {
		result.Warm += w.outside
		result.Requests += w.inside
		all = append(all, w.micros...)
	}
	if g.pacer != nil {
		left := g.pacer.unsent(time.Now())
		result.Late = len(left)
		all = append(all, left...)
	}
	slices.Sort(all)
	result.P50, result.P99, result.P999 = quantile(all, 0.50), quantile(all, 0.99), quantile(all, 0.999)
	result.Max = quantile(all, 1)
	return result
}

// The parts of a request that differ from one to the next.
const (
	cookieMark = "{cookie}"
	countMark  = "{count}"
)

// A requestHead is a request with room for what differs.
type requestHead struct {
	beforeCount, beforeCookie, rest string
	counts                          bool
}

// parseHead cuts a LoadSpec's Head. The count, if there is one, is in the target, before the cookie.
func parseHead(text string) (h requestHead, err error) {
	before, rest, ok := strings.Cut(text, cookieMark)
	if !ok {
		return h, fmt.Errorf("cannot make requests of %q: wanted %s where the session's cookie goes", text, cookieMark)
	}
	h.rest = rest
	h.beforeCount, h.beforeCookie, h.counts = strings.Cut(before, countMark)
	return h, nil
}
