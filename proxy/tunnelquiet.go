package proxy

import (
	"net"
	"sync"
	"time"

	"rehydra/proxy/upstream"
)

// quietLooks is how often a tunnel is looked at during the time in which something must move. It ends that much too late at most.
const quietLooks = 8

// quiet ends a tunnel on which nothing has moved, either way, for too long. The tunnel's bytes do not come by here,
// and a write that waits for a slow reader is no silence: so the kernel's own counts are asked.
type quiet struct {
	limit time.Duration
	conns [2]net.Conn

	mu    sync.Mutex
	timer *time.Timer
	moved [2]uint64
	since time.Time
	over  bool
}

// watchQuiet begins to watch the two ends of a tunnel. A limit of 0 is none.
func watchQuiet(limit time.Duration, client, backend net.Conn) *quiet {
	q := &quiet{limit: limit, conns: [2]net.Conn{client, backend}}
	if limit <= 0 {
		return q
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.since = time.Now()
	q.timer = time.AfterFunc(limit/quietLooks, q.look)
	return q
}

func (q *quiet) look() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.timer == nil {
		return // stopped
	}
	now := time.Now()
	for i, conn := range q.conns {
		moved, ok := upstream.Moved(conn)
		if !ok || moved != q.moved[i] {
			q.since = now
		}
		q.moved[i] = moved
	}
	if now.Sub(q.since) < q.limit {
		q.timer.Reset(q.limit / quietLooks)
		return
	}
	q.over = true
	for _, conn := range q.conns {
		_ = conn.Close() // this wakes both directions
	}
}

// stop ends the watching and reports whether it was the silence that ended the tunnel.
func (q *quiet) stop() (over bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.timer != nil {
		q.timer.Stop()
		q.timer = nil
	}
	return q.over
}
