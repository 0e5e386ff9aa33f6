package proxy

import (
	"context"
	"testing"

	"rehydra/proxy/socket/sockettest"
	"rehydra/proxy/upstream"
)

// TestDrainForgetsWhoVanished: a drain does not wait for a client that has all of its answers and does not acknowledge that it is told to go.
func TestDrainForgetsWhoVanished(t *testing.T) {
	for way, loops := range map[string]bool{"loops": true, "goroutines": false} {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			w := newCrowded(t, 1, loops)
			gone := w.come("h2")
			gone.ask(1)
			held := func() int { n, _ := upstream.Unsent(gone.at.raw); return n }
			eventually(t, "all is acknowledged", func() bool { return held() == 0 })
			sockettest.Vanish(t, gone.NetConn())
			ctx, cancel := context.WithTimeout(t.Context(), patience/2)
			defer cancel()
			cut := make(chan int, 1)
			go func() { cut <- w.Shutdown(ctx) }()
			eventually(t, "the kernel holds the GOAWAY", func() bool { return held() > 0 || len(cut) > 0 })
			if len(cut) > 0 {
				t.Error("it is over at once: nothing is tested")
			}
			if n := <-cut; n != 0 {
				t.Errorf("%d were cut, wanted none: the drain waited", n)
			}
		})
	}
}
