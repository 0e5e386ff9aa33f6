package upstream

import (
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/rs/zerolog"
)

// Requests, failures, a backend that dies and returns, and reloads at the same time: no answer reaches another request, and
// everything is counted back to zero. Run it with -race.
func TestConcurrentUse(t *testing.T) {
	servers := []*server{serve(t, "127.0.0.1:0", echo), serve(t, "127.0.0.1:0", echo)}
	cfg := Config{Name: "p", Balance: BalanceBusyness, MaxIdle: 4, Health: quick(""), Timeouts: Timeouts{FirstByte: 5 * time.Second, KeepAlive: 50 * time.Millisecond},
		Backends: []BackendConfig{{Route: "n1", Address: servers[0].addr}, {Route: "n2", Address: servers[1].addr}}}
	start := func(old *Table) *Table {
		tab, err := NewTable([]Config{cfg}, old, zerolog.Nop())
		if err != nil {
			t.Fatal(err)
		}
		tab.Start()
		return tab
	}
	var current atomic.Pointer[Table]
	current.Store(start(nil))

	const workers, each = 8, 100
	var wg sync.WaitGroup
	var served atomic.Int64
	for w := range workers {
		wg.Go(func() {
			for range each {
				if request(t, current.Load(), []byte{byte('a' + w), '\n'}) {
					served.Add(1)
				}
			}
		})
	}
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }()
	for running := true; running; {
		select {
		case <-done:
			running = false
		default:
			servers[0].kill()
			servers[0] = serve(t, servers[0].addr, echo)
			old := current.Load()
			current.Store(start(old))
			old.Close()
		}
	}
	tab := current.Load()
	tab.Close()
	for _, b := range tab.Pools()[0].Backends() {
		if st := b.Stats(); st.InFlight != 0 || st.Open != 0 || st.Idle != 0 {
			t.Errorf("%s at the end: %+v, want nothing in flight, open or idle", b.Route(), st)
		}
	}
	if served.Load() < workers*each*9/10 {
		t.Errorf("%d of %d requests were served though n2 was there all the time", served.Load(), workers*each)
	}
}

// request does what the proxy does with one request, and says whether it was served.
func request(t *testing.T, tab *Table, line []byte) bool {
	pool := tab.Match(nil, []byte("/"))
	var tried []*Backend
	for {
		b, _, err := pool.Choose(nil, tried)
		if err != nil {
			return false
		}
		tried = append(tried, b)
		c, err := b.Acquire(nil, time.Now(), LookNow)
		var ce *ConnectError
		if errors.As(err, &ce) {
			b.ReportConnect(ce)
			continue
		}
		b.Begin()
		_, err = c.Write(line)
		var got []byte
		if err == nil {
			got, err = c.R.ReadSlice('\n')
		}
		b.End()
		if err == nil && string(got) != string(line) {
			t.Errorf("got %q, want %q", got, line)
		}
		if err == nil {
			b.ReportAnswer()
			b.Release(c, time.Now())
			return true
		}
		if errors.Is(err, syscall.ECONNRESET) || errors.Is(err, io.EOF) {
			b.ReportReset(c.Epoch(), err)
		}
		c.Close()
	}
}
