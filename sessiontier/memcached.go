package sessiontier

import (
	"errors"
	"fmt"
	"io"
	"net"
	"reflect"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/rainycape/memcache"
)

// memcachedStore is one memcached server, through a client of its own. The client library knows nothing of a server that restarts,
// of limits, or of replies that are wrong; this type does. Only Get, Set-by-id (compare-and-swap) and Add of it are used.
type memcachedStore struct {
	address      string
	timeout      time.Duration // of connecting, and of each exchange
	idle         int           // exchanges at once
	maxValueSize int           // bytes of the largest state that is kept
	now          func() time.Time
	dial         Dialer

	links    atomic.Uint64  // made so far
	restarts atomic.Uint64  // of the server, as far as they were noticed: it came back empty
	running  sync.WaitGroup // goroutines of connections
	current  atomic.Pointer[link]
	mu       sync.Mutex // held while a link is made, so that a server that is down is not dialled by all at once
	closed   bool       // guarded by mu, as what follows
	tried    time.Time  // when the last attempt to make a link ended
	lastErr  error      // what came of it
	server   serverRun  // that the last link reached
}

// link is a client and what is known of the server it reaches. Any failed exchange ends it: after a server's restart each
// pooled connection would fail once, and its compare-and-swap ids begin anew, so tokens are good for one link only.
type link struct {
	conns  *connPool
	limits memcachedLimits
}

// heldItem is what a memcached token holds. It is not changed once the token is there.
type heldItem struct {
	link *link
	item memcache.Item // without its value
}

// newMemcached returns the store at address (host:port, or the path of a socket). It connects on first use.
func newMemcached(address string, timeout time.Duration, idle int, now func() time.Time) *memcachedStore {
	return &memcachedStore{address: address, dial: new(net.Dialer).DialContext, timeout: timeout, idle: idle, now: now}
}

func (s *memcachedStore) get(key string) ([]byte, token, error) {
	var value []byte
	var tok token
	err := s.do(func(l *link) error {
		item, err := l.get(key)
		if err != nil {
			return err
		}
		value, item.Value = item.Value, nil
		tok, err = l.tokenOf(&heldItem{link: l, item: *item})
		return err
	})
	return value, tok, err
}

func (s *memcachedStore) put(key string, value []byte, life time.Duration, old token) (token, error) {
	return s.write(key, value, expiration(life, s.now()), old)
}

// longPast is an expiry time, 31 January 1970, that memcached reads as absolute and as over: a compare-and-swap with it removes the
// value. The client library has no delete that takes an id.
const longPast = 30*24*60*60 + 1

func (s *memcachedStore) remove(key string, old token) error {
	if old.isZero() {
		return errConflict
	}
	_, err := s.write(key, nil, longPast, old)
	return err
}

func (s *memcachedStore) write(key string, value []byte, expires int32, old token) (token, error) {
	var tok token
	err := s.do(func(l *link) error {
		// memcached deletes the old value when a new one is over its limit: it must never get there.
		if room := l.limits.maxValue(key); len(value) > room {
			return fmt.Errorf("%w: %d bytes, at most %d", errTooLarge, len(value), room)
		}
		held, write := &heldItem{link: l}, l.conns.client.Add
		if !old.isZero() {
			before := old.held.(*heldItem)
			if before.link != l {
				return errConflict // the server may be another by now: read again
			}
			held.item, write = before.item, l.conns.client.CompareAndSwap
		}
		held.item.Key, held.item.Value, held.item.Expiration = key, value, expires
		if err := l.conns.use(func() error { return write(&held.item) }); err != nil {
			return err
		}
		held.item.Value = nil
		var err error
		tok, err = l.tokenOf(held)
		return err
	})
	if errors.Is(err, errMiss) {
		err = errConflict // compare-and-swap of a value that is gone
	}
	return tok, err
}

func (s *memcachedStore) maxValue(key string) int {
	if l := s.current.Load(); l != nil {
		return l.limits.maxValue(key)
	}
	return assumedLimits.maxValue(key)
}

func (s *memcachedStore) ping() error {
	return s.do((*link).probe)
}

func (s *memcachedStore) close() {
	s.mu.Lock()
	s.closed = true
	s.drop(s.current.Load())
	s.mu.Unlock()
	s.running.Wait()
}

// do runs one exchange and repeats it once, on a fresh connection, if the one it used turned out to be broken. An exchange that
// timed out is not repeated: the server had its time. A write whose answer was lost may be repeated too: the second meets
// what the first wrote, and comes back as a conflict.
func (s *memcachedStore) do(exchange func(*link) error) error {
	for attempt := 1; ; attempt++ {
		l, err := s.link()
		if err != nil {
			return err
		}
		if err = classify(guard(l, exchange)); !errors.Is(err, errDown) {
			return err
		}
		s.drop(l)
		if attempt == 2 || isTimeout(err) {
			return err
		}
	}
}

// link returns the current link, or makes one. Those that wait while one is made share what comes of it, be it an error: waiting
// one after the other for a server that hangs would take each its own time-out.
func (s *memcachedStore) link() (*link, error) {
	if l := s.current.Load(); l != nil {
		return l, nil
	}
	begun := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	if l := s.current.Load(); l != nil {
		return l, nil
	}
	if s.closed {
		return nil, fmt.Errorf("%w: closed", errDown)
	}
	if s.lastErr != nil && s.tried.After(begun) {
		return nil, s.lastErr
	}
	l, err := s.newLink()
	s.tried, s.lastErr = time.Now(), err
	if err == nil {
		s.links.Add(1)
		s.noteRun(l.limits.run)
		s.current.Store(l)
	}
	return l, err
}

// noteRun sees whether the server is another than the one that was reached before. It is called with mu held.
func (s *memcachedStore) noteRun(run serverRun) {
	if run == (serverRun{}) {
		return
	}
	if s.server != (serverRun{}) && s.server != run {
		s.restarts.Add(1)
	}
	s.server = run
}

// spareConns are for probes beside the exchanges; maxReplyNames is more than a value has beside its state.
const (
	spareConns    = 8
	maxReplyNames = 64 << 10
)

// newLink connects, and asks the server what it is.
func (s *memcachedStore) newLink() (*link, error) {
	conns := newConnPool(s.address, s.dial, s.timeout, s.idle+spareConns, max(int64(s.maxValueSize), minMaxReply)+maxReplyNames, &s.running)
	l := &link{conns: conns}
	if err := classify(guard(l, (*link).probe)); err != nil {
		conns.close()
		return nil, err
	}
	l.limits = readLimits(s.address, s.timeout)
	if !l.limits.cas {
		conns.close()
		return nil, fmt.Errorf("%w: it runs without compare-and-swap (option -C), which would let old copies replace new ones", errRefused)
	}
	return l, nil
}

// drop forgets a link that failed. The exchanges that still use it end on their own.
func (s *memcachedStore) drop(l *link) {
	if l != nil && s.current.CompareAndSwap(l, nil) {
		l.conns.close() // what is in use ends with its exchanges
	}
}

// get reads a key.
func (l *link) get(key string) (item *memcache.Item, err error) {
	err = l.conns.use(func() error {
		item, err = l.conns.client.Get(key)
		return err
	})
	return item, err
}

// probe asks for a key that is not there.
func (l *link) probe() error {
	_, err := l.get(probeKey)
	return ignoreMiss(err)
}

func ignoreMiss(err error) error {
	if errors.Is(err, memcache.ErrCacheMiss) {
		return nil
	}
	return err
}

// tokenOf makes a token of an item that was just read or written. The library hides the id; it must be seen nevertheless, since a
// compare-and-swap with id 0 overwrites whatever is there.
func (l *link) tokenOf(held *heldItem) (token, error) {
	id := l.conns.idOf(&held.item)
	if id == 0 {
		return token{}, fmt.Errorf("%w: it answered without a compare-and-swap id", errRefused)
	}
	return token{id: id, held: held}, nil
}

// guard runs one exchange; a panic of the library, which a malformed reply can cause, becomes an error.
func guard(l *link, exchange func(*link) error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: malformed reply: %v", errDown, p)
		}
	}()
	return exchange(l)
}

// classify turns the library's errors into those of a store.
func classify(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, errConflict), errors.Is(err, errTooLarge), errors.Is(err, errRefused), errors.Is(err, errDown):
		return err
	case errors.Is(err, memcache.ErrCacheMiss):
		return errMiss
	case errors.Is(err, memcache.ErrNotStored), errors.Is(err, memcache.ErrCASConflict):
		return errConflict
	}
	if isStatus(err) {
		return fmt.Errorf("%w: status 0x%02x %w", errRefused, reflect.ValueOf(err).Uint(), err)
	}
	return fmt.Errorf("%w: %w", errDown, err)
}

// isStatus says whether err is a status that the server sent. The library's type for it is hidden and some of its texts are empty.
func isStatus(err error) bool {
	t := reflect.TypeOf(err)
	return t.Kind() == reflect.Uint16 && t.PkgPath() == reflect.TypeFor[memcache.Client]().PkgPath()
}

func isTimeout(err error) bool {
	var ne net.Error
	return errors.As(err, &ne) && ne.Timeout()
}

// isBroken says that a server is not there at all, rather than slow: nobody listens, or it closed a fresh connection.
func isBroken(err error) bool {
	return errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ENOENT)
}
