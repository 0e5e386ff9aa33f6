package proxy

import (
	"context"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"golang.org/x/net/http2"
)

// slowly makes g a client whose kernel takes little, and that lets the server send all it has.
func (g *guest) slowly() {
	g.t.Helper()
	if err := g.NetConn().(*net.TCPConn).SetReadBuffer(32 << 10); err != nil {
		g.t.Fatal(err)
	}
	const window = 1 << 30
	if err := g.framer.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: window}); err != nil {
		g.t.Fatal(err)
	}
	if err := g.framer.WriteWindowUpdate(0, window); err != nil {
		g.t.Fatal(err)
	}
}

// askLarge asks for /large, and returns when the server's kernel has all of it.
func (g *guest) askLarge(stream uint32) {
	g.t.Helper()
	g.slowly()
	g.send(stream, "/large")
	g.until(http2.FrameHeaders)
	eventually(g.t, "the kernel has all of the answer", func() bool { return g.at.state.Load() == stateQuiet })
}

// takeLarge reads the answer to /large, and takes that time for it, as a client that gives the server a window for what it has read.
func (g *guest) takeLarge(d time.Duration) {
	g.t.Helper()
	begun := time.Now()
	for got := 0; got < largeBody; {
		data := g.until(http2.FrameData).Header().Length
		got += int(data)
		if err := g.framer.WriteWindowUpdate(0, data); err != nil {
			g.t.Fatalf("after %d bytes: %v", got, err)
		}
		if pace := d * time.Duration(got) / largeBody; pace > time.Since(begun) { // x/net closes one that was told after a second
			time.Sleep(pace - time.Since(begun))
		}
	}
}

// over wants the server to have ended its side, and ends the client's.
func (g *guest) over() {
	g.t.Helper()
	for {
		if _, err := g.framer.ReadFrame(); err != nil {
			if !errors.Is(err, io.EOF) {
				g.t.Errorf("the connection ended with %v", err)
			}
			break
		}
	}
	g.NetConn().Close()
}

// TestSlowReaderOfOneThatGoes: a client gets all of an answer that the kernel has, however slowly it reads, whatever its connection goes for meanwhile.
func TestSlowReaderOfOneThatGoes(t *testing.T) {
	for name, c := range map[string]struct {
		limits func(*Limits)
		goes   func(w *crowded, slow *guest)
	}{
		"the drain": {func(*Limits) {}, func(w *crowded, slow *guest) {
			slow.askLarge(1)
			ctx, cancel := context.WithTimeout(context.Background(), patience) // the test's own ends before its cleanups
			cut := make(chan int)
			go func() { cut <- w.Shutdown(ctx) }()
			w.t.Cleanup(func() {
				if w.t.Failed() {
					cancel()
				}
				if n := <-cut; n != 0 {
					w.t.Errorf("%d were cut", n)
				}
				cancel()
			})
		}},
		"the last request":  {func(l *Limits) { l.Requests = 1 }, func(_ *crowded, slow *guest) { slow.askLarge(1) }},
		"idle for too long": {func(l *Limits) { l.KeepAliveTimeout = time.Second / 10 }, func(_ *crowded, slow *guest) { slow.askLarge(1) }},
		"room for another": {func(l *Limits) { l.Connections = 1 }, func(w *crowded, slow *guest) {
			slow.slowly()
			slow.send(1, "/late")
			eventually(w.t, "the request has come", func() bool { return slow.at.state.Load() == stateStreams })
			slow.at.state.Store(stateQuiet) // as it was when it was chosen
			w.mu.Lock()
			told := w.dismiss(slow.at)
			w.mu.Unlock()
			if !told {
				w.t.Error("it was not told to go")
			}
			slow.until(http2.FrameGoAway)
			w.come("http/1.1").ask(0)
			close(w.goOn)
			slow.until(http2.FrameHeaders)
		}},
	} {
		for way, loops := range map[string]bool{"loops": true, "goroutines": false} {
			t.Run(name+", "+way, func(t *testing.T) {
				t.Parallel()
				w := newCrowdedWith(t, loops, c.limits)
				slow := w.come("h2")
				c.goes(w, slow)
				slow.takeLarge(3 * time.Second / 2)
				slow.over()
				eventually(t, "it has gone", func() bool {
					w.mu.Lock()
					defer w.mu.Unlock()
					_, there := w.clients[slow.at]
					return !there && w.crowd.leaving == 0 && len(w.crowd.slots) == len(w.clients)*min(1, cap(w.crowd.slots))
				})
			})
		}
	}
}

// TestDrainCutsWhoTakesNothing: a drain waits for a client that has not taken its answer, for as long as it waits for anybody.
func TestDrainCutsWhoTakesNothing(t *testing.T) {
	for way, loops := range map[string]bool{"loops": true, "goroutines": false} {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			w := newCrowded(t, 1, loops)
			slow := w.come("h2")
			slow.askLarge(1)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			cut := make(chan int, 1)
			go func() { cut <- w.Shutdown(ctx) }()
			select {
			case <-cut:
				t.Fatal("the drain did not wait")
			case <-time.After(2 * time.Second): // x/net closes one that was told after a second
			}
			if n := w.Connections(); n != 1 {
				t.Errorf("%d connections are said to be open, wanted 1", n)
			}
			cancel()
			if n := <-cut; n != 1 {
				t.Errorf("%d were cut, wanted 1", n)
			}
			if n := w.Connections(); n != 0 {
				t.Errorf("%d connections are said to be open, wanted none", n)
			}
		})
	}
}
