package sessiontier

import (
	"errors"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/rainycape/memcache"
)

// The client library makes room for as many bytes as a reply says it has, up to 4 GiB, before it reads them, and gives each exchange a connection of its
// own. So its connections are made here: streams, which share few real ones, the lanes. They are put into its list of idle ones, which it cannot be told
// to fill otherwise. The library has not changed since 2015; TestLibraryIsAsExpected says so if it ever does.

// minMaxReply is the least of a store's limits: above memcached's usual limit of an item, so that a node holding values of a proxy with
// another max_state is not taken for broken.
const minMaxReply = 2 << 20

// connPool is a client and the connections that were made for it.
type connPool struct {
	client *memcache.Client
	addr   *memcache.Addr
	lanes  lanes
	list   reflect.Value // the client's idle connections: a channel of pointers to its own type
	idle   atomic.Int64  // connections in the list that no exchange is about to take
	idAt   uintptr       // where an item has its compare-and-swap id
}

// newConnPool returns a pool of at most idle streams, for replies of at most limit bytes after their heads; it connects on first use. running ends when
// its goroutines have, which is soon after close.
func newConnPool(address string, dial Dialer, timeout time.Duration, idle int, limit int64, running *sync.WaitGroup) *connPool {
	p := &connPool{lanes: lanes{place: placeOf(address), dial: dial, timeout: timeout, limit: limit, running: running}}
	p.addr = memcache.NewAddr(p.lanes.place)
	p.client = memcache.NewFromServers(oneServer{p.addr})
	p.client.SetTimeout(timeout)
	p.client.SetMaxIdleConnsPerAddr(idle)
	id, ok := reflect.TypeFor[memcache.Item]().FieldByName("casid")
	if !ok || id.Type.Kind() != reflect.Uint64 {
		panic("the memcache library is not the one that this was written for")
	}
	p.idAt = id.Offset
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

// idOf is the compare-and-swap id of an item that was just read or written.
func (p *connPool) idOf(item *memcache.Item) uint64 {
	return *(*uint64)(unsafe.Add(unsafe.Pointer(item), p.idAt))
}

// use runs one exchange of the library with a connection of ours: as many are in the list as there are exchanges about to take one.
func (p *connPool) use(exchange func() error) error {
	if err := p.take(); err != nil {
		return err
	}
	err := exchange()
	if err == nil || errors.Is(err, memcache.ErrCacheMiss) || errors.Is(err, memcache.ErrCASConflict) || errors.Is(err, memcache.ErrNotStored) {
		p.idle.Add(1) // the library has put it back; after any other error it has let go of it
	}
	return err
}

// take sees to it that there is a connection in the list for one more exchange.
func (p *connPool) take() error {
	if p.takeIdle() {
		return nil
	}
	made := reflect.New(p.list.Type().Elem().Elem())
	open(made.Elem(), "nc").Set(reflect.ValueOf(newStream(&p.lanes)))
	open(made.Elem(), "addr").Set(reflect.ValueOf(p.addr))
	if !p.list.TrySend(made) {
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

// close gives the real connections up: exchanges that run come to their ends.
func (p *connPool) close() { p.lanes.retire() }
