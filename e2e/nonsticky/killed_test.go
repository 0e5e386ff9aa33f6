package nonsticky

import (
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"testing"

	"rehydra/e2e/harness"
)

// buyer is a user who sets one value, higher each time.
type buyer struct {
	*user
	tried, acknowledged int // the highest
	refused             int // answers that were no 200
}

// buy sets the next value.
func (b *buyer) buy(p *harness.Proxy) {
	b.tried++
	got, err := b.do(b.t.Context(), p, http.MethodPost, fmt.Sprintf("%s?op=set&k=bought&v=%d", writer, b.tried))
	switch {
	case err != nil:
		b.t.Errorf("value %d: %v", b.tried, err)
	case got.status == http.StatusOK:
		b.acknowledged = b.tried
	default:
		b.refused++
	}
}

// wantLast checks that no acknowledged value is lost. What was not acknowledged may be there.
func (b *buyer) wantLast(got page, after string) {
	b.t.Helper()
	have, err := strconv.Atoi(got.line("value bought"))
	if got.status != http.StatusOK || err != nil || have < b.acknowledged || have > b.tried {
		b.t.Errorf("%s: status %d, value %q, wanted 200 and %d to %d", after, got.status, got.line("value bought"), b.acknowledged, b.tried)
	}
}

// killed kills a Tomcat while users change their sessions through two proxies, and starts it again: nothing acknowledged is lost, the
// next request of each session is right, and no lock of a request that died keeps anybody waiting.
func (c *cluster) killed(t *testing.T) {
	const users = 12
	lock := []string{`lock = "all"`, `lock_timeout = "60s"`, `lock_expiry = "10m"`}
	proxies := []*harness.Proxy{c.proxy(t, lock), c.proxy(t, lock)}
	stop := make(chan struct{})
	end := sync.OnceFunc(func() { close(stop) })
	defer end()
	var running sync.WaitGroup
	var all []*buyer
	for i := range users {
		b := &buyer{user: begin(t, proxies[i%2], "begun")}
		b.buy(proxies[i%2])
		all = append(all, b)
		running.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					b.buy(proxies[i%2])
				}
			}
		})
	}
	waitSaves(t, proxies, 40)
	c.nodes["node1"].Kill9()
	waitSaves(t, proxies, 40) // at the other one
	end()
	running.Wait()
	acknowledged, refused := 0, 0
	for i, b := range all {
		got, err := b.do(t.Context(), proxies[i%2], http.MethodGet, reader)
		if err != nil {
			t.Fatal(err)
		}
		b.wantLast(got, "the next request")
		acknowledged += b.tried - b.refused
		refused += b.refused
	}
	c.nodes["node1"].Start()
	for _, p := range proxies {
		p.WaitEvent(t, "node1 is back", harness.Message("backend up"))
		for _, b := range all {
			seen := map[string]bool{}
			for range 4 {
				got := b.read(p)
				seen[got.line("node")] = true
				b.wantLast(got, "node1 is back")
			}
			if len(seen) != 2 {
				t.Errorf("four pages came from %v, wanted both nodes", seen)
			}
		}
		wantCounter(t, p, "lost", 0)
	}
	t.Logf("%d sessions, %d changes acknowledged, %d refused: the requests that were under way at the Tomcat that was killed", users, acknowledged, refused)
}

// waitSaves waits until as many sessions more were stored by the proxies.
func waitSaves(t *testing.T, proxies []*harness.Proxy, more float64) {
	t.Helper()
	saves := func() (n float64) {
		for _, p := range proxies {
			n += counter(t, p, "saves")
		}
		return n
	}
	from := saves()
	harness.Eventually(t, "sessions are stored", func() bool { return saves() >= from+more })
}
