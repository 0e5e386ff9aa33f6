package main

import (
	"context"
	"fmt"
	"io"
	"testing"
	"time"
)

// The forwarder gives every client the answers of its own backend, whole, small and large ones; otherwise its figures would be worth nothing.
func TestForwarderForwards(t *testing.T) {
	for _, body := range []int{1 << 10, 16 << 10, 1 << 20} {
		t.Run(fmt.Sprint(body), func(t *testing.T) {
			address, err := freeAddress(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			ctx, stop := context.WithCancel(t.Context())
			done := make(chan error, 1)
			args := []string{"-listen", address, "node1=" + listen(t, "node1", body), "node2=" + listen(t, "node2", body)}
			go func() { done <- runForwarder(ctx, args, io.Discard) }()
			defer func() {
				stop()
				if err := <-done; err != nil {
					t.Error(err)
				}
			}()
			for end := time.Now().Add(20 * time.Second); !accepts(t.Context(), address); {
				if time.Now().After(end) {
					t.Fatal("it does not accept connections")
				}
			}
			w := ofSize("", "", body, 16)
			g := &generator{spec: &LoadSpec{Address: address, Routes: []string{"node1", "node2"}, Connections: 16, Head: w.Head, Body: body}}
			if err := g.prepare(); err != nil {
				t.Fatal(err)
			}
			for _, worker := range g.workers {
				defer worker.close()
				for range 10 {
					if err := worker.ask(t.Context()); err != nil {
						t.Fatal(err)
					}
				}
			}
		})
	}
}
