package sessiontier

import (
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/rainycape/memcache"

	"rehydra/e2e/harness"
)

// door stands before a memcached. While it is shut the server is cut off: it keeps what it has, and whoever wants to reach it is told so at once, so
// that no test has to wait for time-outs, nor to hope that a loaded machine keeps within short ones.
type door struct {
	t      *testing.T
	at, to string
	mu     sync.Mutex
	listen net.Listener // nil while it is shut
	conns  map[net.Conn]bool
	held   chan struct{} // nil: what is asked gets through
	all    sync.WaitGroup
}

func openDoor(t *testing.T, to string) *door {
	d := &door{t: t, at: harness.FreeAddress(t), to: to, conns: map[net.Conn]bool{}}
	d.open()
	t.Cleanup(func() { d.let(); d.shut() })
	return d
}

func (d *door) open() {
	d.t.Helper()
	l, err := net.Listen("tcp", d.at)
	if err != nil {
		d.t.Fatal(err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.listen = l
	d.all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			d.all.Go(func() { d.pass(c) })
		}
	})
}

// shut breaks every connection and lets none in.
func (d *door) shut() {
	d.mu.Lock()
	if d.listen != nil {
		d.listen.Close()
		d.listen = nil
	}
	for c := range d.conns {
		c.Close()
	}
	d.mu.Unlock()
	d.all.Wait()
}

// pass connects c with the server until one of them is gone.
func (d *door) pass(c net.Conn) {
	defer c.Close()
	s, err := net.DialTimeout("tcp", d.to, 10*time.Second)
	if err != nil {
		return
	}
	defer s.Close()
	d.mu.Lock()
	if d.listen == nil {
		d.mu.Unlock()
		return
	}
	d.conns[c], d.conns[s] = true, true
	d.mu.Unlock()
	var there sync.WaitGroup
	there.Go(func() {
		_, _ = io.Copy(s, &heldReader{d, c}) // ends with either of them
		s.Close()
	})
	_, _ = io.Copy(c, s)
	c.Close()
	there.Wait()
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.conns, c)
	delete(d.conns, s)
}

// hold keeps back what servers are asked, from now on; connections stay.
func (d *door) hold() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.held = make(chan struct{})
}

// let ends hold.
func (d *door) let() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.held != nil {
		close(d.held)
		d.held = nil
	}
}

// heldReader reads from a connection when nothing is held back.
type heldReader struct {
	d *door
	c net.Conn
}

func (r *heldReader) Read(p []byte) (int, error) {
	n, err := r.c.Read(p)
	r.d.mu.Lock()
	held := r.d.held
	r.d.mu.Unlock()
	if held != nil {
		<-held
	}
	return n, err
}

// startBehindDoors is startServers with a door before each.
func startBehindDoors(t *testing.T, n int) []*memcachedServer {
	servers := startServers(t, n)
	for _, s := range servers {
		s.door = openDoor(t, s.own())
	}
	return servers
}

// cutOff makes a server unreachable; it keeps what it has.
func (s *memcachedServer) cutOff() { s.door.shut() }

// rejoin ends cutOff.
func (s *memcachedServer) rejoin() { s.door.open() }

// raw is a client of the server itself, past the door.
func (s *memcachedServer) raw(t *testing.T) *memcache.Client {
	t.Helper()
	c, err := memcache.New(s.own())
	if err != nil {
		t.Fatal(err)
	}
	c.SetTimeout(10 * time.Second)
	t.Cleanup(func() { c.Close() })
	return c
}

// age shortens the life that the server gives to its copy of a session, as if the time had passed.
func (s *memcachedServer) age(t *testing.T, k Key, left time.Duration) {
	t.Helper()
	c := s.raw(t)
	item, err := c.Get(k.storeKey())
	if err != nil {
		t.Fatal(err)
	}
	item.Expiration = expiration(left, time.Now())
	if err := c.Set(item); err != nil {
		t.Fatal(err)
	}
}

// left is how long the server still keeps its copy of a session, by its own listing; 0: it does not expire.
func (s *memcachedServer) left(t *testing.T, k Key) time.Duration {
	t.Helper()
	l, err := openLister(t.Context(), s.own(), 10*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer l.close()
	left := time.Duration(-1)
	err = l.each(t.Context(), storeKeyPrefix, func([]byte) bool { return true }, func(item listed) {
		if item.key == k.storeKey() {
			left = item.left
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if left < 0 {
		t.Fatalf("%s: the server lists no copy of it", k.BaseID)
	}
	return left
}

// wantLeft checks that a server keeps its copy of a session for about as long: no longer, and at most two minutes less, for the machine to take.
func (s *memcachedServer) wantLeft(t *testing.T, k Key, want time.Duration) {
	t.Helper()
	const whole = 3 * time.Second // memcached counts in whole ones, and so do we
	if got := s.left(t, k); got > want+whole || got < want-2*time.Minute || (got == 0) != (want == 0) {
		t.Errorf("%s: the server keeps it for %v, want about %v", k.BaseID, got, want)
	}
}
