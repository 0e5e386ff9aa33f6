package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// A LoadSpec tells a load generator what to do.
type LoadSpec struct {
	Address     string
	Routes      []string // connection i has a session on Routes[i mod len]
	Connections int
	Head        string // the request, with %s where the session id goes
	Body        int    // bytes that every answer must have
	Warm, Time  time.Duration
}

// A LoadResult is what came of it.
type LoadResult struct {
	Requests int           // answered within the measured time
	Warm     int           // answered before and after it
	Elapsed  time.Duration // the measured time as it was
	P50, P99 time.Duration
	Max      time.Duration
}

// The lines by which a load generator tells that its measured time begins and ends; the result follows as JSON.
const (
	loadStarts = "start"
	loadEnds   = "end"
)

// runLoad reads a LoadSpec from standard input and works it off.
func runLoad(ctx context.Context, _ []string, out io.Writer) error {
	var spec LoadSpec
	if err := json.NewDecoder(os.Stdin).Decode(&spec); err != nil {
		return fmt.Errorf("cannot read what load is wanted: %w", err)
	}
	result, err := generate(ctx, spec, func(event string) { fmt.Fprintln(out, event) })
	if err != nil {
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

// generate keeps every connection busy with one request at a time, first for spec.Warm, then for spec.Time, and calls
// event at the edges of the latter. The first wrong or missing answer ends it: figures with errors among them say nothing.
func generate(ctx context.Context, spec LoadSpec, event func(string)) (LoadResult, error) {
	if spec.Connections < 1 || len(spec.Routes) < 1 {
		return LoadResult{}, fmt.Errorf("%d connections to %d routes: wanted at least one of each", spec.Connections, len(spec.Routes))
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var phase atomic.Int32
	users := make([]*user, spec.Connections)
	var running sync.WaitGroup
	for i := range users {
		route := spec.Routes[i%len(spec.Routes)]
		users[i] = &user{
			address: spec.Address, node: []byte(route), body: spec.Body, phase: &phase,
			request: fmt.Appendf(nil, spec.Head, fmt.Sprintf("7F%030d.%s", i, route)),
		}
		running.Go(func() {
			if err := users[i].work(ctx); err != nil {
				cancel(err)
			}
		})
	}
	pause(ctx, spec.Warm)
	phase.Store(measuring)
	begin := time.Now()
	event(loadStarts)
	pause(ctx, spec.Time)
	event(loadEnds)
	elapsed := time.Since(begin)
	phase.Store(ending)
	running.Wait()
	if err := context.Cause(ctx); err != nil {
		return LoadResult{}, err
	}
	return summarise(users, elapsed), nil
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

func summarise(users []*user, elapsed time.Duration) LoadResult {
	result := LoadResult{Elapsed: elapsed}
	var all []uint32
	for _, u := range users {
		result.Warm += u.warm
		all = append(all, u.micros...)
	}
	slices.Sort(all)
	result.Requests = len(all)
	result.P50, result.P99, result.Max = quantile(all, 0.50), quantile(all, 0.99), quantile(all, 1)
	return result
}

// A user is one connection with one session.
type user struct {
	address string
	request []byte
	node    []byte // who must answer
	body    int
	phase   *atomic.Int32

	warm   int      // answers outside the measured time
	micros []uint32 // how long each measured answer took
}

// work asks and reads until the phase is ending.
func (u *user) work(ctx context.Context) error {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", u.address)
	if err != nil {
		return fmt.Errorf("cannot connect: %w", err)
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	u.micros = make([]uint32, 0, 1<<16)
	reader := bufio.NewReaderSize(conn, 16<<10)
	for {
		before := u.phase.Load()
		if before == ending {
			return nil
		}
		begin := time.Now()
		if _, err := conn.Write(u.request); err != nil {
			return fmt.Errorf("cannot send: %w", err)
		}
		if err := u.readAnswer(reader); err != nil {
			return err
		}
		if before == measuring && u.phase.Load() == measuring {
			u.micros = append(u.micros, uint32(time.Since(begin).Microseconds()))
		} else {
			u.warm++
		}
	}
}

// readAnswer reads one answer and checks its status, who made it, and that all of it is there.
func (u *user) readAnswer(reader *bufio.Reader) error {
	line, err := reader.ReadSlice('\n')
	if err != nil {
		return fmt.Errorf("cannot read the answer: %w", err)
	}
	if !bytes.HasPrefix(line, []byte("HTTP/1.1 200")) {
		return fmt.Errorf("answer %q, wanted a 200", bytes.TrimSpace(line))
	}
	length, fromOwn := -1, false
	for {
		line, err := reader.ReadSlice('\n')
		if err != nil {
			return fmt.Errorf("cannot read the answer's head: %w", err)
		}
		line = bytes.TrimRight(line, "\r\n")
		if len(line) == 0 {
			break
		}
		name, value, _ := bytes.Cut(line, []byte(":"))
		value = bytes.TrimSpace(value)
		switch {
		case len(name) == 14 && bytes.EqualFold(name, []byte("content-length")):
			if length, err = strconv.Atoi(string(value)); err != nil {
				return fmt.Errorf("cannot read the answer's length: %w", err)
			}
		case len(name) == 6 && bytes.EqualFold(name, []byte("x-node")):
			fromOwn = bytes.Equal(value, u.node)
		}
	}
	if length != u.body || !fromOwn {
		return fmt.Errorf("answer of %d bytes, from the session's own backend: %v; wanted %d bytes from %s", length, fromOwn, u.body, u.node)
	}
	start, err := reader.Peek(len(u.node))
	if err != nil {
		return fmt.Errorf("cannot read the page: %w", err)
	}
	if !bytes.Equal(start, u.node) {
		return errors.New("the page is another backend's")
	}
	if _, err := reader.Discard(length); err != nil {
		return fmt.Errorf("cannot read the page: %w", err)
	}
	return nil
}
