package sessiontier

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// lanes are the connections to one server: one for short requests whose answers are short, saves; one for reading, where an answer may be long; one for
// what is long to send. So nothing waits behind a message that takes long by itself. Each is made when it is first used.
type lanes struct {
	place   place
	dial    Dialer
	timeout time.Duration
	limit   int64 // bytes of an answer after its head
	running *sync.WaitGroup

	used [laneCount]atomic.Pointer[lane]

	mu  sync.Mutex // held while a lane is made
	err error      // why no more are made; nil: they are
}

// Dialer makes a connection; network is tcp or unix. It is that of net.Dialer.DialContext.
type Dialer func(ctx context.Context, network, address string) (net.Conn, error)

const (
	laneOfSaves = iota
	laneOfReads
	laneOfLong
	laneCount
)

// longRequest is how many bytes make a request a long one: a millisecond of a network of 0.5 Gbit/s.
const longRequest = 64 << 10

// of returns the lane for a request of an opcode and a length, and makes it if need be.
func (ls *lanes) of(opcode byte, length int) (*lane, error) {
	which := laneOfSaves
	switch {
	case opcode == opcodeGet:
		which = laneOfReads
	case length > longRequest:
		which = laneOfLong
	}
	if l := ls.used[which].Load(); l != nil {
		return l, nil
	}
	ls.mu.Lock()
	defer ls.mu.Unlock()
	if l := ls.used[which].Load(); l != nil {
		return l, nil
	}
	// If one broke the server may be another by now, and its compare-and-swap ids be anew.
	for i := range ls.used {
		if l := ls.used[i].Load(); l != nil && ls.err == nil {
			ls.err = l.broken()
		}
	}
	if ls.err != nil {
		return nil, ls.err
	}
	ctx, cancel := context.WithTimeout(context.Background(), ls.timeout)
	defer cancel()
	conn, err := ls.dial(ctx, ls.place.network, ls.place.address)
	if err != nil {
		ls.err = err
		return nil, err
	}
	l := newLane(conn, ls.limit, ls.running)
	ls.used[which].Store(l)
	return l, nil
}

// retire has each connection closed as soon as nobody waits for an answer on it.
func (ls *lanes) retire() {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	if ls.err == nil {
		ls.err = errRetired
	}
	for i := range ls.used {
		if l := ls.used[i].Load(); l != nil {
			l.retire()
		}
	}
}
