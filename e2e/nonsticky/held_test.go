package nonsticky

import (
	"context"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"rehydra/e2e/harness"
)

// held is a request that the application has, and cannot answer before it is let go: it reads the whole body first, and touches its session
// after that. So what happens meanwhile needs no clock.
type held struct {
	name  string // by which the application tells which it has
	letGo func()
	wait  func() page // lets it go, and returns its page
}

// holds numbers the requests that were held.
var holds atomic.Int64

// hold sends a request whose body does not end; the test ends it at the latest.
func (u *user) hold(p *harness.Proxy, target string) held {
	return u.holdUntil(context.WithoutCancel(u.t.Context()), p, target)
}

func (u *user) holdUntil(ctx context.Context, p *harness.Proxy, target string) held {
	name := "h" + strconv.FormatInt(holds.Add(1), 10)
	target += "&hold=" + name
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
	return held{name: name, letGo: letGo, wait: func() page {
		u.t.Helper()
		letGo()
		return wait()
	}}
}

// waitHeld waits until the application has the request, at one of the nodes: what the proxy told it of the session is settled then.
func (c *cluster) waitHeld(t *testing.T, h held) {
	t.Helper()
	asker := newUser(t)
	harness.Eventually(t, "the application has the request", func() bool {
		for _, s := range c.nodes {
			target := "http://" + net.JoinHostPort("127.0.0.1", strconv.Itoa(s.Port)) + reader
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, target, http.NoBody)
			if err != nil {
				t.Fatal(err)
			}
			resp, err := asker.client.Do(req)
			if err != nil {
				continue // a node may be down
			}
			text, err := io.ReadAll(resp.Body)
			resp.Body.Close()
			if err == nil && heldName(text, h.name) {
				return true
			}
		}
		return false
	})
}

// heldName reports whether a page names a request that is held: "held [h1, h2]".
func heldName(text []byte, name string) bool {
	_, list, _ := strings.Cut(string(text), "\nheld [")
	list, _, _ = strings.Cut(list, "]")
	return slices.Contains(strings.Split(list, ", "), name)
}
