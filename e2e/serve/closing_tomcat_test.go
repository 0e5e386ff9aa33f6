package serve

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"rehydra/e2e/tomcat"
)

// TestTomcatEndsKeepAliveAtEachPOST: a Tomcat whose keep-alive is as short as the pauses of its clients. It looks for connections that are too
// old now and then, so that they end at any age above that. No POST is lost and none is executed twice.
func TestTomcatEndsKeepAliveAtEachPOST(t *testing.T) {
	const keepAlive = 50 * time.Millisecond
	one := tomcat.Start(t, tomcat.Config{
		Release: tomcat.Tomcat10, Route: "node1", NoAdapter: true,
		ConnectorAttributes: fmt.Sprintf(`keepAliveTimeout="%d" maxKeepAliveRequests="-1"`, keepAlive.Milliseconds()),
	})
	p := serve(t, settings{"pool.health": {`interval = "1h"`}}, &backend{route: "node1", address: fmt.Sprintf("127.0.0.1:%d", one.Port)})
	const clients = 4
	var posts atomic.Int64
	var running sync.WaitGroup
	for n := range clients {
		c := dial(t, p.address)
		running.Go(func() {
			end := time.Now().Add(closingFor)
			for i := 0; time.Now().Before(end); i++ {
				if err := c.conn.SetDeadline(time.Now().Add(patience)); err != nil {
					t.Error(err)
					return
				}
				c.send("%s", head("POST", fmt.Sprintf("%s/session?op=count&request=%d.%d", tomcat.Form, n, i), "Content-Length: 0"))
				a, err := c.receive("POST")
				if err != nil {
					t.Errorf("POST %d of client %d: no answer: %v", i, n, err)
					return
				}
				posts.Add(1)
				if a.status != 200 {
					t.Errorf("POST %d of client %d: got %d %q", i, n, a.status, a.body)
				}
				// The client's pause: its connection is as old at the next POST as chance has it.
				time.Sleep(time.Duration(rand.Int64N(int64(3 * keepAlive))))
			}
		})
	}
	running.Wait()
	times := map[string]int{}
	for _, line := range one.Executed() {
		times[strings.TrimSpace(line)]++
	}
	for line, n := range times {
		if n != 1 {
			t.Errorf("%s was executed %d times", line, n)
		}
	}
	if int64(len(times)) != posts.Load() {
		t.Errorf("%d POSTs were executed, wanted %d", len(times), posts.Load())
	}
	stale := p.metric(`rehydra_backend_connections_stale_total{backend="node1",pool="shop"}`)
	t.Logf("%d POSTs, each executed once; Tomcat closed %s kept connections", posts.Load(), stale)
	if stale == "0" {
		t.Error("Tomcat closed none")
	}
}
