package proxy

import (
	"io"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"rehydra/proxy/eventloop"
)

// crowd bounds how many clients are connected, in all and from one address.
type crowd struct {
	most  int           // in all; 0: any number
	each  int           // from one address; 0: any number
	slots chan struct{} // holds one for each connection; nil: most is 0
	// refusing counts the refused clients that are still told so: each costs a goroutine or a worker for a while.
	refusing atomic.Int64

	leaving int // HTTP/2 connections that were told to go, gave their place back then, and have not gone; guarded by the server's mu

	mu   sync.Mutex
	from map[netip.Addr]int
}

func (w *crowd) init(most, each int) {
	w.most, w.each, w.from = most, each, make(map[netip.Addr]int)
	if most > 0 {
		w.slots = make(chan struct{}, most)
	}
}

const (
	// roomPause is how often a listener that waits for room looks for idle connections again.
	roomPause = 100 * time.Millisecond
	// reclaimable is how long a connection must have been idle to be closed for a new one's sake: one that was made or
	// used a moment ago is likely to be used, and a client may be sending on it.
	reclaimable = time.Second
	// mostLeaving bounds the HTTP/2 connections that were told to go, and hold no place until they have gone: for a second or a few, or as long as a
	// request that was on its way, until its client has the answer.
	mostLeaving = 64
	// leavingTime is how long one that was told to go, and has no request, takes for it, and a little more.
	leavingTime = 2 * time.Second
	// mostLooks bounds the connections that one search for room asks the kernel about.
	mostLooks = 64
	// mostRefusing bounds the refused clients that are told so at one time.
	mostRefusing = 64
)

// await waits until there is room for one more connection and takes it. When there is none, the connection that has waited for a
// request for longest is closed for it; the clients that come meanwhile wait in the system's queue. It returns false when stop comes first.
func (s *Server) await(stop <-chan struct{}, by *eventloop.Worker) bool {
	w := &s.crowd
	if w.slots == nil {
		return true
	}
	select {
	case w.slots <- struct{}{}:
		return true
	default:
	}
	by.Leave()
	s.counts.waited.Add(1)
	for {
		pause := roomPause
		if s.reclaim() {
			pause = leavingTime // its place is free as soon as it has gone: no second one need go for it
		}
		select {
		case w.slots <- struct{}{}:
			return true
		case <-stop:
			return false
		case <-time.After(pause):
		}
	}
}

// vacate gives back what await took.
func (w *crowd) vacate() {
	if w.slots != nil {
		<-w.slots
	}
}

// reclaim closes the connection that has waited for a request for longest, if one has for a while, and reports whether it did. Those that never
// sent one, or are still being greeted, wait since they were accepted, and have no place of their own before or behind the others: a flood of silent
// clients must not keep everybody else out, nor may a slow client's handshake be ended while others do nothing for longer.
//
// One that speaks HTTP/2 is told to go, since its client may have sent a request by now, and must know whether that was looked at. Its place is another's at once:
// waiting until it has gone would let in one new client a second beside many that do not listen. Where mostLeaving are on their way out, it is waited for. One whose client
// has not taken all of its last answer is as good as in use: it goes when the client has it.
func (s *Server) reclaim() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.end(s.oldest(stateIdle, stateQuiet))
}

// reclaimDescriptor is reclaim where descriptors are short, which a place that is given back does not help: one that is told to go has its own for another second. So
// one that can be closed goes first, and while one that was told is about to go, no other is told.
func (s *Server) reclaimDescriptor() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.oldest(stateIdle); c != nil {
		return s.end(c)
	}
	before := time.Now().Add(-leavingTime).UnixNano()
	for c := range s.clients {
		if c.state.Load() == stateLeaving && c.used.Load() > before {
			return false
		}
	}
	return s.end(s.oldest(stateQuiet))
}

// end dismisses c, if there is one, and reports whether it did. It is called with mu held.
func (s *Server) end(c *client) bool {
	if c == nil || !s.dismiss(c) {
		return false
	}
	s.counts.reclaimed.Add(1)
	return true
}

// dismiss ends an idle connection, unless it has a request by now. It is called with mu held.
func (s *Server) dismiss(c *client) bool {
	if state := c.state.Load(); (state == stateIdle || state == stateQuiet && !c.frames.Spoken()) && unread(c.raw) {
		c.used.Store(time.Now().UnixNano()) // it has a request in a moment, and closing it would be a reset
		return false
	}
	if c.state.CompareAndSwap(stateIdle, stateClosed) {
		_ = c.raw.Close() // idle: nothing is lost
		return true
	}
	if !c.state.CompareAndSwap(stateQuiet, stateLeaving) {
		return false
	}
	if !c.frames.Leave() {
		c.state.Store(stateClosed)
		_ = c.raw.Close() // it has not begun to speak HTTP/2: as above
		return true
	}
	c.used.Store(time.Now().UnixNano()) // for reclaimDescriptor
	if s.crowd.leaving >= mostLeaving {
		return true
	}
	s.crowd.leaving++
	c.early = true
	s.crowd.leave(c) // its client is about to come again
	c.entered = netip.Addr{}
	if c.room {
		c.room = false
		s.crowd.vacate()
	}
	return true
}

// enter counts c as a connection of its address, unless that has as many as it may. The connections of proxies that are
// believed are those of many clients, and not counted.
func (s *Server) enter(c *client) bool {
	w := &s.crowd
	if w.each == 0 || within(s.front.Load().Trusted, c.peer) {
		return true
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.from[c.peer] >= w.each {
		return false
	}
	w.from[c.peer]++
	c.entered = c.peer
	return true
}

// leave is the end of what enter began.
func (w *crowd) leave(c *client) {
	if !c.entered.IsValid() {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.from[c.entered]--; w.from[c.entered] <= 0 {
		delete(w.from, c.entered)
	}
}

// admit greets a client and reports whether there is HTTP to be served. A client whose address has too many connections is turned
// away: before it has said anything, unless it is a proxy's to say whose connection it is.
func (s *Server) admit(c *client, kind Kind) bool {
	known := !within(s.front.Load().ProxyProtocol, c.peer)
	if known && !s.enter(c) {
		s.turnAway(c, kind)
		return false
	}
	if !c.greet(s, kind) {
		return false
	}
	if !known && !s.enter(c) {
		s.turnAway(c, kind)
		return false
	}
	return true
}

const crowdedAnswer = "HTTP/1.1 429 Too Many Requests\r\nContent-Type: text/plain; charset=utf-8\r\nCache-Control: no-store\r\n" +
	"Retry-After: 1\r\nConnection: close\r\nContent-Length: 42\r\n\r\nthis client has too many connections open\n"

// turnAway answers 429 to a client that speaks plain HTTP, and closes on one that would have to be greeted first.
func (s *Server) turnAway(c *client, kind Kind) {
	s.counts.turnedAway.Add(1)
	defer s.crowd.refusing.Add(-1)
	if s.crowd.refusing.Add(1) > mostRefusing || kind != Plain && c.tls == nil {
		if tcp, ok := c.raw.(interface{ SetLinger(sec int) error }); ok {
			_ = tcp.SetLinger(0) // nothing to be kept for it by the system either
		}
		return
	}
	c.write.limit = lingerTime
	if _, err := io.WriteString(c, crowdedAnswer); err == nil {
		c.linger()
	}
}
