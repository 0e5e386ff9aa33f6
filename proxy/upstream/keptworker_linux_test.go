package upstream

import (
	"crypto/tls"
	"fmt"
	"io"
	"syscall"
	"testing"
	"time"

	"rehydra/e2e/harness"
	"rehydra/proxy/eventloop"
)

// TestKeptConnectionHasNoWorker: a look at a kept TLS connection may have to write an alert, and wait for room. Whoever looks does, not the worker that used it last: that
// may be at work elsewhere.
func TestKeptConnectionHasNoWorker(t *testing.T) {
	g, err := eventloop.New(1)
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	authority := harness.NewAuthority(t)
	stop := make(chan struct{})
	s := serve(t, "127.0.0.1:0", overTLS(serverConfig(t, authority, "shop.test", tls.VersionTLS13), func(c *tls.Conn, below *held) {
		below.keep()
		_, _ = io.WriteString(c, "answer1")
		below.mu.Lock()
		below.kept = append(below.kept, 23, 3, 3, 0, 20, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20) // a record that cannot be decrypted
		below.mu.Unlock()
		below.send(0)
		<-stop
	}))
	config := &tls.Config{RootCAs: authority.Pool(), ServerName: "shop.test"}
	tab := table(t, io.Discard, nil, Config{Name: "p", Backends: []BackendConfig{{Route: "node1", Address: s.addr, TLS: config}}})
	tab.UseLoops(g)
	b := tab.Pools()[0].Backends()[0]
	done := make(chan struct{})
	g.Go(func(w *eventloop.Worker) {
		defer close(done)
		c, err := b.Acquire(w, time.Now(), LookNow)
		if err != nil {
			t.Error(err)
			return
		}
		w.Leave()
		eventually(t, "it has arrived", func() bool { return !c.looped.Silent() })
		got := make([]byte, 7)
		if _, err := io.ReadFull(c.R, got); err != nil {
			t.Error(err)
		}
		// The backend reads nothing: what the kernel takes is full.
		_ = c.raw.Control(func(fd uintptr) {
			junk := make([]byte, 64<<10)
			for {
				if _, err := syscall.Write(int(fd), junk); err != nil {
					return
				}
			}
		})
		b.Release(c, time.Now())
	})
	<-done
	looked := make(chan error, 1)
	go func() {
		defer func() {
			if fault := recover(); fault != nil {
				looked <- fmt.Errorf("%v", fault)
			}
		}()
		c, err := b.Acquire(nil, time.Now(), LookNow) // as a session operation or a stream of HTTP/2 does
		if err == nil {
			_ = c.Close() // it was to be looked at only
		}
		looked <- err
	}()
	eventually(t, "the look is over, or waits", func() bool { return len(looked) > 0 || b.shared.idle.len() == 0 })
	close(stop)
	if err := <-looked; err != nil {
		t.Errorf("%v", err)
	}
}
