package serve

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"rehydra/e2e/harness"
)

// TestKeepAliveEndsAtEachPOST: the backend closes its idle connections at the very moment at which the next POST comes. No client gets
// anything but its answer, and nothing is executed twice.
func TestKeepAliveEndsAtEachPOST(t *testing.T) {
	t.Parallel()
	for _, keepAlive := range []time.Duration{5 * time.Millisecond, 40 * time.Millisecond} {
		t.Run(keepAlive.String(), func(t *testing.T) {
			t.Parallel()
			var executed sync.Map // id of a POST: how often
			var closed atomic.Int64
			server := &http.Server{
				IdleTimeout: keepAlive,
				Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if r.Method == "POST" {
						n, _ := executed.LoadOrStore(r.URL.Path, new(atomic.Int64))
						n.(*atomic.Int64).Add(1)
					}
					_, _ = io.Copy(w, r.Body)
				}),
				ConnState: func(_ net.Conn, s http.ConnState) {
					if s == http.StateClosed {
						closed.Add(1)
					}
				},
			}
			address := harness.FreeAddress(t)
			var lc net.ListenConfig
			l, err := lc.Listen(t.Context(), "tcp", address)
			if err != nil {
				t.Fatal(err)
			}
			done := make(chan struct{})
			go func() { defer close(done); _ = server.Serve(l) }()
			t.Cleanup(func() { server.Close(); <-done })
			p := serve(t, settings{"pool.health": {`interval = "1h"`}}, &backend{route: "node1", address: address})

			posts := p.postAgainAndAgain(func(client, n int) (path, body string) {
				path = fmt.Sprintf("/%d/%d", client, n)
				return path, path
			}, func() time.Duration { // the connection that served the last one is as old then as it gets, give or take
				return keepAlive + time.Duration(rand.Int64N(int64(keepAlive/5))) - keepAlive/10
			})
			once := 0
			executed.Range(func(path, n any) bool {
				if n := n.(*atomic.Int64).Load(); n != 1 {
					t.Errorf("%s was executed %d times", path, n)
				}
				once++
				return true
			})
			if once != posts {
				t.Errorf("%d POSTs were executed, wanted %d", once, posts)
			}
			if closed.Load() < 10 {
				t.Errorf("the backend closed %d connections, wanted many", closed.Load())
			}
			t.Logf("keep-alive %v: %d POSTs, the backend closed %d connections", keepAlive, posts, closed.Load())
		})
	}
}

// postAgainAndAgain lets four clients send POSTs for closingFor, each on one connection with a pause between two. It wants each answered with 200,
// and with its own body where it has one, and returns how many there were.
func (p *program) postAgainAndAgain(post func(client, n int) (path, body string), pause func() time.Duration) (posts int) {
	p.t.Helper()
	var answered atomic.Int64
	var running sync.WaitGroup
	for client := range 4 {
		c := dial(p.t, p.address)
		running.Go(func() {
			end := time.Now().Add(closingFor)
			for n := 0; time.Now().Before(end); n++ {
				if err := c.conn.SetDeadline(time.Now().Add(patience)); err != nil {
					p.t.Error(err)
					return
				}
				path, body := post(client, n)
				c.send("%s%s", head("POST", path, fmt.Sprintf("Content-Length: %d", len(body))), body)
				a, err := c.receive("POST")
				if err != nil {
					p.t.Errorf("%s: no answer: %v", path, err)
					return
				}
				answered.Add(1)
				if a.status != 200 || body != "" && a.body != body {
					p.t.Errorf("%s: got %d %q", path, a.status, a.body)
				}
				time.Sleep(pause())
			}
		})
	}
	running.Wait()
	return int(answered.Load())
}
