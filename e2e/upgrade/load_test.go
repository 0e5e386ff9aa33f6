package upgrade

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// load is clients that send requests at a steady rate and count what goes wrong. Nothing is sent twice: whatever a client does not get is lost.
type load struct {
	address string
	stop    context.CancelFunc
	running sync.WaitGroup
	began   time.Time
	took    time.Duration

	mu     sync.Mutex
	times  []time.Duration // of requests that were answered as they should be
	lost   []string        // what became of the others
	by     map[string]int  // answers by backend
	closed int             // answers with Connection: close
}

// kinds of requests; each client sends one kind.
var loadKinds = [...]struct {
	method, target string
	length         int
	fresh          bool // a connection for each request
}{
	{"GET", "/", 0, false},
	{"GET", "/", 0, true},
	{"POST", "/", 10_000, false},
	{"GET", "/slow", 0, false},
	{"POST", "/", 200_000, true},
}

// loadClients is how many clients there are of each kind. Those of slow answers cannot keep the rate, and the others make up for it.
const loadClients = 8

// startLoad begins to send rate requests a second.
func startLoad(t *testing.T, address string, rate int) *load {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	l := &load{address: address, stop: stop, began: time.Now(), by: make(map[string]int)}
	t.Cleanup(l.end)
	var sent atomic.Int64
	// A client takes the next request when it is due, so that one that waits for an answer does not hold the others up.
	next := func() bool {
		n := sent.Add(1) - 1
		due := time.NewTimer(time.Until(l.began.Add(time.Duration(n) * time.Second / time.Duration(rate))))
		defer due.Stop()
		select {
		case <-due.C:
			return true
		case <-ctx.Done():
			return false
		}
	}
	for kind := range loadKinds {
		for range loadClients {
			l.running.Go(func() { l.client(kind, next) })
		}
	}
	return l
}

// client sends requests of one kind until there are no more.
func (l *load) client(kind int, next func() bool) {
	k := &loadKinds[kind]
	var c *client
	defer func() {
		if c != nil {
			c.conn.Close()
		}
	}()
	for next() {
		began := time.Now()
		used := c != nil
		a, err := answer{}, error(nil)
		if c == nil {
			c, err = connect(context.Background(), l.address)
		}
		if err == nil {
			a, err = c.do(k.method, k.target, k.length)
		}
		if k.target == "/slow" && err == nil && len(a.body) != 100 {
			err = fmt.Errorf("%d bytes of 100", len(a.body))
		}
		l.count(k.method+" "+k.target, used, a, err, time.Since(began))
		if c != nil && (err != nil || a.close || k.fresh) {
			c.conn.Close()
			c = nil
		}
	}
}

func (l *load) count(request string, used bool, a answer, err error, took time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil || a.status != 200 {
		l.lost = append(l.lost, fmt.Sprintf("%v: %s (connection used before: %v): %d %v", time.Since(l.began).Round(time.Millisecond), request, used, a.status, err))
		return
	}
	l.times = append(l.times, took)
	l.by[a.header.Get("X-Route")]++
	if a.close {
		l.closed++
	}
}

// end ends the load.
func (l *load) end() {
	l.stop()
	l.running.Wait()
	if l.took == 0 {
		l.took = time.Since(l.began)
	}
}

// answered is how many requests have been answered as they should be.
func (l *load) answered() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.times)
}

// judge ends the load, prints its figures, and wants that nothing was lost.
func (l *load) judge(t *testing.T, what string) {
	t.Helper()
	l.end()
	slices.Sort(l.times)
	at := func(share float64) time.Duration {
		if len(l.times) == 0 {
			return 0
		}
		return l.times[int(share*float64(len(l.times)-1))].Round(10 * time.Microsecond)
	}
	t.Logf("%s: %d requests in %v (%.0f a second), %d lost; half within %v, 99 %% within %v, all within %v; by backend %v; %d connections ended with an answer",
		what, len(l.times)+len(l.lost), l.took.Round(100*time.Millisecond), float64(len(l.times))/l.took.Seconds(), len(l.lost), at(0.5), at(0.99), at(1), l.by, l.closed)
	if len(l.lost) > 0 {
		t.Errorf("%d requests were refused, reset or failed:\n%s", len(l.lost), strings.Join(l.lost[:min(len(l.lost), 20)], "\n"))
	}
}
