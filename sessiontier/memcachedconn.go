package sessiontier

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"reflect"
	"strings"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/rainycape/memcache"
)

// The client library makes room for as many bytes as a reply says it has, up to 4 GiB, before it reads them. So it must not see such a reply: its
// connections are made here, look at the head of each reply, and are put into its list of idle ones, which it cannot be told to fill
// otherwise. The library has not changed since 2015; TestLibraryIsAsExpected says so if it ever does.

// replyHead is the length of the head of a reply in memcached's binary protocol; the length of the rest is a number in it.
const (
	replyHead   = 24
	replyLength = 8
)

// minMaxReply is the least of a store's limits: above memcached's usual limit of an item, so that a node holding values of a proxy with
// another max_state is not taken for broken.
const minMaxReply = 2 << 20

var errHugeReply = errors.New("a reply of more bytes than any that is kept here")

// checkedConn is a connection that fails as soon as a reply says that it is too long.
type checkedConn struct {
	net.Conn
	limit int64
	head  [replyHead]byte
	have  int    // bytes of the head
	left  int64  // bytes of the reply after its head
	held  []byte // the beginning of a request whose value is yet to come
}

// keepHeld is how much memory for requests a connection keeps between them.
const keepHeld = 64 << 10

// Write sends a request in one piece. The library writes head and key first and the value after them: two system calls, two packets and two
// wake-ups of the server for each save, which were a third of what a save costs.
func (c *checkedConn) Write(p []byte) (int, error) {
	if len(c.held) == 0 {
		if len(p) >= replyHead && replyHead+int64(binary.BigEndian.Uint32(p[replyLength:])) > int64(len(p)) {
			c.held = append(c.held, p...)
			return len(p), nil
		}
		return c.Conn.Write(p)
	}
	c.held = append(c.held, p...)
	_, err := c.Conn.Write(c.held)
	if c.held = c.held[:0]; cap(c.held) > keepHeld {
		c.held = nil
	}
	if err != nil {
		return 0, err
	}
	return len(p), nil
}

func (c *checkedConn) Read(p []byte) (int, error) {
	if c.left > 0 {
		n, err := c.Conn.Read(p[:min(int64(len(p)), c.left)])
		c.left -= int64(n)
		return n, err
	}
	n, err := c.Conn.Read(p[:min(len(p), replyHead-c.have)])
	c.have += copy(c.head[c.have:], p[:n])
	if c.have == replyHead {
		c.have, c.left = 0, int64(binary.BigEndian.Uint32(c.head[replyLength:]))
		if c.left > c.limit {
			return 0, fmt.Errorf("%w: %d, at most %d", errHugeReply, c.left, c.limit)
		}
	}
	return n, err
}

// connPool is a client and the connections that were made for it.
type connPool struct {
	client  *memcache.Client
	place   place
	addr    *memcache.Addr
	timeout time.Duration
	limit   int64
	list    reflect.Value // the client's idle connections: a channel of pointers to its own type
	idle    atomic.Int64  // connections in the list that no exchange is about to take
	closed  atomic.Bool
}

// newConnPool returns a pool that keeps at most idle connections; it connects on first use.
func newConnPool(address string, timeout time.Duration, idle int, limit int64) *connPool {
	p := &connPool{place: placeOf(address), timeout: timeout, limit: limit}
	p.addr = memcache.NewAddr(p.place)
	p.client = memcache.NewFromServers(oneServer{p.addr})
	p.client.SetTimeout(timeout)
	p.client.SetMaxIdleConnsPerAddr(idle)
	lists := open(reflect.ValueOf(p.client).Elem(), "freeconn")
	p.list = reflect.MakeChan(lists.Type().Elem(), idle)
	lists.SetMapIndex(reflect.ValueOf(p.addr.String()), p.list)
	return p
}

// place is where a server listens. As a net.Addr it is of a network that does not exist, so that the library can make no connection itself.
type place struct{ network, address string }

// placeOf tells host:port from the path of a socket.
func placeOf(address string) place {
	if strings.Contains(address, "/") {
		return place{"unix", address}
	}
	return place{"tcp", address}
}

// Network implements net.Addr.
func (p place) Network() string { return "none" }

// String implements net.Addr.
func (p place) String() string { return p.address }

// oneServer is the list of servers of a client that has one.
type oneServer struct{ addr *memcache.Addr }

// PickServer implements memcache.Servers.
func (s oneServer) PickServer(string) (*memcache.Addr, error) { return s.addr, nil }

// Servers implements memcache.Servers.
func (s oneServer) Servers() ([]*memcache.Addr, error) { return []*memcache.Addr{s.addr}, nil }

// open returns a field of the library's as if it were exported.
func open(of reflect.Value, field string) reflect.Value {
	f := of.FieldByName(field)
	return reflect.NewAt(f.Type(), unsafe.Pointer(f.UnsafeAddr())).Elem()
}

// use runs one exchange of the library with a connection of ours: as many are in the list as there are exchanges about to take one.
func (p *connPool) use(exchange func() error) error {
	if err := p.take(); err != nil {
		return err
	}
	err := exchange()
	if err == nil || errors.Is(err, memcache.ErrCacheMiss) || errors.Is(err, memcache.ErrCASConflict) || errors.Is(err, memcache.ErrNotStored) {
		p.idle.Add(1) // the library has put it back; after any other error it has closed it
		if p.closed.Load() {
			p.drain()
		}
	}
	return err
}

// take sees to it that there is a connection in the list for one more exchange.
func (p *connPool) take() error {
	if p.takeIdle() {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), p.timeout)
	defer cancel()
	c, err := new(net.Dialer).DialContext(ctx, p.place.network, p.place.address)
	if err != nil {
		return err
	}
	made := reflect.New(p.list.Type().Elem().Elem())
	open(made.Elem(), "nc").Set(reflect.ValueOf(&checkedConn{Conn: c, limit: p.limit}))
	open(made.Elem(), "addr").Set(reflect.ValueOf(p.addr))
	if !p.list.TrySend(made) {
		c.Close()
		return errBusy
	}
	return nil
}

// takeIdle takes one of the connections that nobody is about to take.
func (p *connPool) takeIdle() bool {
	for n := p.idle.Load(); n > 0; n = p.idle.Load() {
		if p.idle.CompareAndSwap(n, n-1) {
			return true
		}
	}
	return false
}

// close closes the connections that are idle; those in use are closed when their exchanges end. The client's own Close would also take
// those that an exchange is about to take.
func (p *connPool) close() {
	p.closed.Store(true)
	p.drain()
}

func (p *connPool) drain() {
	for p.takeIdle() {
		if made, ok := p.list.TryRecv(); ok {
			open(made.Elem(), "nc").Interface().(net.Conn).Close()
		}
	}
}
