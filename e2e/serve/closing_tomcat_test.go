package serve

import (
	"fmt"
	"math/rand/v2"
	"strings"
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
	posts := p.postAgainAndAgain(func(client, n int) (path, body string) {
		return fmt.Sprintf("%s/session?op=count&request=%d.%d", tomcat.Form, client, n), ""
	}, func() time.Duration { return time.Duration(rand.Int64N(int64(3 * keepAlive))) }) // at the next one its connection is as old as chance has it
	times := map[string]int{}
	for _, line := range one.Executed() {
		times[strings.TrimSpace(line)]++
	}
	for line, n := range times {
		if n != 1 {
			t.Errorf("%s was executed %d times", line, n)
		}
	}
	if len(times) != posts {
		t.Errorf("%d POSTs were executed, wanted %d", len(times), posts)
	}
	stale := p.metric(`rehydra_backend_connections_stale_total{backend="node1",pool="shop"}`)
	t.Logf("%d POSTs, each executed once; Tomcat closed %s kept connections", posts, stale)
	if stale == "0" {
		t.Error("Tomcat closed none")
	}
}
