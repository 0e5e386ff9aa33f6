package nonsticky

import (
	"context"
	"io"
	"net/http"
	"sync"
	"testing"
	"time"

	"rehydra/e2e/harness"
)

// held is a request that the application has, and cannot answer before it is let go: it reads the whole body first, and touches its session
// after that. So what happens meanwhile needs no clock.
type held struct {
	letGo func()
	wait  func() page // lets it go, and returns its page
}

// hold sends a request whose body does not end; the test ends it at the latest.
func (u *user) hold(p *harness.Proxy, target string) held {
	return u.holdUntil(context.WithoutCancel(u.t.Context()), p, target)
}

func (u *user) holdUntil(ctx context.Context, p *harness.Proxy, target string) held {
	body, feed := io.Pipe()
	goOn := make(chan struct{})
	var fed sync.WaitGroup
	fed.Go(func() {
		tick := time.NewTicker(time.Second) // nobody in between is to think that the client has gone
		defer tick.Stop()
		defer feed.Close()
		for {
			if _, err := feed.Write([]byte("x")); err != nil {
				return
			}
			select {
			case <-goOn:
				return
			case <-tick.C:
			}
		}
	})
	wait := u.laterWith(ctx, p, http.MethodPost, target, body)
	letGo := sync.OnceFunc(func() { close(goOn); fed.Wait() })
	u.t.Cleanup(letGo)
	return held{letGo: letGo, wait: func() page {
		u.t.Helper()
		letGo()
		return wait()
	}}
}

// waitRunning waits until a backend has as many requests of a proxy.
func waitRunning(t *testing.T, p *harness.Proxy, route string, want float64) {
	t.Helper()
	harness.Eventually(t, "requests run at "+route, func() bool {
		return p.Metric(t, `rehydra_backend_requests_in_flight{backend="`+route+`",pool="shop"}`) == want
	})
}
