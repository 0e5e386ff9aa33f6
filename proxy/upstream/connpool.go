package upstream

import (
	"bufio"
	"net"
	"slices"
	"sync"
	"time"

	"rehydra/proxy/eventloop"
)

// readers lends the buffers of connections in use.
type readers struct{ pool sync.Pool }

func (r *readers) get(c *Conn) *bufio.Reader {
	br, ok := r.pool.Get().(*bufio.Reader)
	if !ok {
		return bufio.NewReaderSize(c, readBuffer)
	}
	br.Reset(c)
	return br
}

func (r *readers) put(br *bufio.Reader) {
	br.Reset(nil)
	r.pool.Put(br)
}

// idleList holds a backend's unused connections: the one used last is taken first, so that the others grow old and go.
type idleList struct {
	readers readers
	mu      sync.Mutex
	conns   []*Conn
	keeping keeping
	closed  bool
}

func (l *idleList) len() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.conns)
}

// push keeps c and returns the connection that is to be closed for it, if any: c itself where the list keeps no more.
func (l *idleList) push(c *Conn, most int) (out *Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch n := len(l.conns); {
	case c.ended.Load():
		l.keeping.close(0, c.usedAt) // it answered, promised to go on, and closed
		return c
	case l.closed || n >= most && n < 2:
		return c
	case n >= most:
		// The young ones are of more use, and the oldest shows how long they are kept: the next to it goes.
		out = l.conns[1]
		l.conns = slices.Delete(l.conns, 1, 2)
	}
	l.conns = append(l.conns, c)
	return out
}

// pop returns the connection that was used last, or nil.
func (l *idleList) pop() *Conn {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.take()
}

// popYoung returns the connection that was used last if the backend surely keeps it open at its age, or nil. The oldest one shows how long that is, once it was
// looked at: the watch may be about to say that it has ended. Where it has, it is returned as dead, to be closed, and the list is to be asked again.
func (l *idleList) popYoung(now time.Time) (c, dead *Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := len(l.conns)
	if n == 0 {
		return nil, nil
	}
	if oldest := l.conns[0]; oldest.watched {
		age := now.Sub(oldest.usedAt)
		if !oldest.usable() {
			l.keeping.close(age, now)
			l.conns = slices.Delete(l.conns, 0, 1)
			return nil, oldest
		}
		l.keeping.open(age)
	}
	// A negative age is that of one that was given back after now: by how much now has passed since, nobody knows.
	if age := now.Sub(l.conns[n-1].usedAt); age < 0 || age >= l.keeping.safe(now) {
		return nil, nil
	}
	return l.take(), nil
}

// take takes the last connection, or nil; l.mu is held.
func (l *idleList) take() *Conn {
	n := len(l.conns)
	if n == 0 {
		return nil
	}
	c := l.conns[n-1]
	l.conns[n-1] = nil
	l.conns = l.conns[:n-1]
	return c
}

// ended notes that the backend ended c, and reports whether it was idle: then it is in the list no more.
func (l *idleList) ended(c *Conn, now time.Time) (idle bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	c.ended.Store(true)
	i := slices.Index(l.conns, c)
	if i < 0 {
		return false
	}
	l.keeping.close(now.Sub(c.usedAt), now)
	l.conns = slices.Delete(l.conns, i, i+1)
	return true
}

// foundClosed notes that the backend closed a connection that had been idle for age.
func (l *idleList) foundClosed(age time.Duration, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.keeping.close(age, now)
}

// reap closes the connections that became idle before a time and returns how many there were.
func (l *idleList) reap(before time.Time) int {
	l.mu.Lock()
	n := 0
	for n < len(l.conns) && l.conns[n].usedAt.Before(before) {
		n++
	}
	old := append([]*Conn(nil), l.conns[:n]...)
	rest := copy(l.conns, l.conns[n:])
	clear(l.conns[rest:])
	l.conns = l.conns[:rest]
	l.mu.Unlock()
	closeAll(old)
	return n
}

// flush closes all connections.
func (l *idleList) flush() {
	l.mu.Lock()
	old := l.conns
	l.conns = nil
	l.keeping = keeping{} // what comes back may be set up in another way
	l.mu.Unlock()
	closeAll(old)
}

// open lets connections be kept.
func (l *idleList) open() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = false
}

// close closes all connections and keeps no more.
func (l *idleList) close() {
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	l.flush()
}

func closeAll(conns []*Conn) {
	for _, c := range conns {
		_ = c.Close() // nobody waits for what an idle connection has to say
	}
}

// Look says when a kept connection is found open and silent, as it must be to be used: the backend may have closed it, or have said something
// that nobody asked for.
type Look bool

const (
	// LookNow is before the connection is lent.
	LookNow Look = true
	// LookAsking leaves it to Conn.Ask, which is all that may be done first with such a connection.
	LookAsking Look = false
)

// Acquire returns a connection for one request: an idle one that is younger than the keep-alive time, and looked at, otherwise a new one. w uses it, or, nil, a goroutine that waits by itself; now is the current time. Its reads wait for the pool's FirstByte, its writes for Idle, until its user
// sets other time-outs. The error is a *ConnectError.
func (b *Backend) Acquire(w *eventloop.Worker, now time.Time, look Look) (*Conn, error) {
	for {
		if c := b.shared.idle.pop(); c == nil {
			return b.AcquireFresh(w)
		} else if b.reuse(w, c, now, look) {
			return c, nil
		}
	}
}

// AcquireSure is Acquire for a request that cannot be sent twice: an idle connection is used only as long as the backend, by all that was
// seen of it, does not come to close it meanwhile.
func (b *Backend) AcquireSure(w *eventloop.Worker, now time.Time, look Look) (*Conn, error) {
	for {
		c, dead := b.shared.idle.popYoung(now)
		switch {
		case dead != nil:
			b.shared.stale.Add(1)
			_ = dead.Close() // the backend closed it, and nobody waits for it
		case c == nil:
			return b.AcquireFresh(w)
		case b.reuse(w, c, now, look):
			return c, nil
		}
	}
}

// reuse lends an idle connection, or closes one that is of no use any more.
func (b *Backend) reuse(w *eventloop.Worker, c *Conn, now time.Time, look Look) bool {
	s := b.shared
	c.idleFor = now.Sub(c.usedAt)
	old := c.epoch != s.epoch.Load() || !b.made(c) || c.idleFor > b.pool.cfg.Timeouts.KeepAlive
	c.unseen = look == LookAsking && c.secured == nil // Ask can do no more than write in TLS
	if old || !c.unseen && !c.usable() {
		if !old {
			s.idle.foundClosed(c.idleFor, now)
		}
		s.stale.Add(1)
		_ = c.Close() // it is broken or too old: nothing can be done about an error
		return false
	}
	if !c.unseen {
		s.reused.Add(1)
	}
	c.Reused = true
	b.lend(w, c)
	return true
}

// FoundClosed says that the backend closed a kept connection as it was used: the ones that are as old may not be relied on.
func (b *Backend) FoundClosed(c *Conn) { b.shared.idle.foundClosed(c.idleFor, time.Now()) }

// AcquireFresh returns a new connection, for a request that a kept one has failed. The error is a *ConnectError.
func (b *Backend) AcquireFresh(w *eventloop.Worker) (*Conn, error) {
	s := b.shared
	epoch := s.epoch.Load() // before connecting: what happens to the backend meanwhile voids the connection
	dialer := net.Dialer{Timeout: b.pool.cfg.Timeouts.Connect, KeepAlive: 30 * time.Second}
	end := time.Now().Add(dialer.Timeout)
	w.Leave()
	nc, err := dial(s.loops.Load(), &dialer, b.cfg.Address)
	if err != nil {
		return nil, newConnectError(b.cfg.Address, err)
	}
	c, err := newConn(nc, s, epoch)
	if err == nil {
		err = b.dialTLS(c, end)
	}
	if err != nil {
		_ = nc.Close() // the first error is the one to tell
		return nil, newConnectError(b.cfg.Address, err)
	}
	s.dialed.Add(1)
	s.open.Add(1)
	s.watch.add(c)
	b.lend(w, c)
	return c, nil
}

// dial connects, for a group if there is one.
func dial(g *eventloop.Group, dialer *net.Dialer, address string) (net.Conn, error) {
	nc, err := dialer.Dial("tcp", address) // with TCP_NODELAY, as Go sets it
	if err != nil || g == nil {
		return nc, err
	}
	tcp, ok := nc.(*net.TCPConn)
	if !ok {
		return nc, nil
	}
	return g.Adopt(tcp)
}

// lend prepares c for its user: a reader, and the pool's time-outs (armed by the first read and write).
func (b *Backend) lend(w *eventloop.Worker, c *Conn) {
	if c.looped != nil {
		c.looped.Use(w)
	}
	if !c.unseen {
		c.R = b.shared.idle.readers.get(c)
	}
	c.before = c.written
	c.read.preset(b.pool.cfg.Timeouts.FirstByte)
	c.write.preset(b.pool.cfg.Timeouts.Idle)
}

// Release gives back a connection whose answer was read to its end and that may serve another request. Nobody may use it any more. It
// is closed instead where its reader holds anything (a surplus that must not reach the next client), a read or write has
// failed, the backend was out meanwhile, or enough are idle. now is the current time.
func (b *Backend) Release(c *Conn, now time.Time) {
	s := b.shared
	surplus := c.R.Buffered() > 0
	r := c.R
	c.R = nil
	s.idle.readers.put(r)
	c.usedAt = now
	out := c
	if !surplus && !c.failed.Load() && !c.closed.Load() && c.epoch == s.epoch.Load() {
		c.UseFreely() // whoever looks at it next is another: a look at TLS may have to write
		out = s.idle.push(c, b.pool.cfg.MaxIdle)
	}
	if out != nil {
		_ = out.Close() // an answer was complete; an error on closing matters to nobody
	}
}
