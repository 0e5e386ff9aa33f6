package upgrade

import (
	"fmt"
	"testing"
	"time"

	"rehydra/e2e/harness"
)

// loadRate is how many requests a second are due: more than 500, since clients of slow answers cannot keep the rate. A machine that is too slow for
// it sends fewer: only losses are judged.
const loadRate = 540

// TestNothingIsLost: reloads, one after the other, and another process that takes over, while clients are served: nothing is refused, reset or answered with an
// error. Each reload changes backends, some addresses; an answer takes up to half a second.
func TestNothingIsLost(t *testing.T) {
	one, two, three := startBackend(t, "node1"), startBackend(t, "node2"), startBackend(t, "node3")
	main, other := fixed(t), fixed(t)
	configs := []config{
		{listen: []string{main}, backends: []*backend{one, two}},
		{listen: []string{main, other}, backends: []*backend{one, two, three}},
		{listen: []string{other, main}, backends: []*backend{two, three}},
		{listen: []string{main}, backends: []*backend{three, one}},
	}
	s := start(t, configs[0].toml(), options{})
	l := startLoad(t, main, loadRate)
	every := time.NewTicker(lossTime / (lossReloads + 1))
	defer every.Stop()
	for i := range lossReloads {
		<-every.C
		before := l.answered()
		next := configs[(i+1)%len(configs)]
		s.configure(next.toml())
		s.reload(reloaded)
		served := make([]int64, len(next.backends))
		for n, b := range next.backends {
			served[n] = b.served.Load()
		}
		for n, b := range next.backends {
			harness.Eventually(t, b.route+" serves after a reload", func() bool { return b.served.Load() > served[n] })
		}
		if i == lossReloads/2 {
			s.handOver()
		}
		harness.Eventually(t, "requests are answered after a reload", func() bool { return l.answered() > before+20 })
	}
	<-every.C
	l.judge(t, fmt.Sprintf("%d reloads and one hand-over", lossReloads))
	s.exit(0)
	s.stop()
	for _, b := range []*backend{one, two, three} {
		if b.served.Load() == 0 {
			t.Errorf("%s got no request", b.route)
		}
	}
}
