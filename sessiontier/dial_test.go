package sessiontier

import (
	"context"
	"net"
	"sync/atomic"
	"testing"
)

// Each connection that sessions go over is made by the Dialer of the configuration.
func TestDial(t *testing.T) {
	servers := startServers(t, 2)
	var dialled atomic.Int32
	p := openTier(t, servers, func(c *Config) {
		c.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
			if network != "tcp" || address != servers[0].address() && address != servers[1].address() {
				t.Errorf("dialled %s %s", network, address)
			}
			dialled.Add(1)
			return new(net.Dialer).DialContext(ctx, network, address)
		}
	})
	k := key("DIALLED")
	p.mustSave(t, k, rec("1.1", "node1", "state"))
	p.wantRecord(t, k, "1.1", "node1", "state")
	for i, n := range p.nodes {
		ls := &n.store.(*memcachedStore).current.Load().conns.lanes
		var used int32
		for which := range ls.used {
			if ls.used[which].Load() != nil {
				used++
			}
		}
		if used == 0 {
			t.Errorf("node %d has no connection", i)
		}
		dialled.Add(-used)
	}
	if n := dialled.Load(); n != 0 {
		t.Errorf("%d more connections were dialled than are used", n)
	}
}
