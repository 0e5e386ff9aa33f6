package proxy_test

import (
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"rehydra/proxy"
	"rehydra/proxy/upstream"
)

// fill writes until nothing is taken for 50 ms.
func fill(t *testing.T, conn net.Conn) {
	t.Helper()
	for data := make([]byte, 256<<10); ; {
		if err := conn.SetWriteDeadline(time.Now().Add(50 * time.Millisecond)); err != nil {
			t.Fatal(err)
		}
		if n, err := conn.Write(data); n == 0 && err != nil {
			return
		}
	}
}

func TestStallOfOneThatTakesNothing(t *testing.T) {
	near, _ := proxy.Connected(t)
	fill(t, near)
	var s upstream.Stall
	for n, want := range []bool{false, true, true} {
		if got := s.Over(near, 0); got != want {
			t.Errorf("time-out %d: over is %v, wanted %v", n+1, got, want)
		}
	}
	if s.Over(near, 1) {
		t.Error("given up although a byte was taken")
	}
}

func TestStallOfOneThatReadsSlowly(t *testing.T) {
	near, far := proxy.Connected(t)
	// Buffers of a fixed size: one that grows while it is read could take all that the writer's kernel holds.
	if err := errors.Join(near.(*net.TCPConn).SetWriteBuffer(512<<10), far.(*net.TCPConn).SetReadBuffer(64<<10)); err != nil {
		t.Fatal(err)
	}
	fill(t, near)
	var s upstream.Stall
	if s.Over(near, 0) {
		t.Fatal("given up at the first time-out")
	}
	for range 3 {
		// When the kernel tells the writer of it is the kernel's own affair, so the reader goes on, slowly.
		for end := time.Now().Add(20 * time.Second); s.Over(near, 0); {
			if time.Now().After(end) {
				t.Fatal("given up although the other side reads")
			}
			if err := far.SetReadDeadline(time.Now().Add(10 * time.Millisecond)); err != nil {
				t.Fatal(err)
			}
			_, _ = io.CopyN(io.Discard, far, 16<<10) // or less: what has arrived
		}
		fill(t, near)
		s = upstream.Stall{}
		s.Over(near, 0)
	}
}

// TestStallWithNothingOnItsWay: who waits for an answer to a request that has arrived does not wait twice.
func TestStallWithNothingOnItsWay(t *testing.T) {
	near, far := proxy.Connected(t)
	if _, err := io.WriteString(near, "request"); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(far, make([]byte, 7)); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(20 * time.Second); ; {
		var s upstream.Stall
		if s.Over(near, 0) {
			return
		}
		if time.Now().After(end) {
			t.Fatal("not given up although nothing is on its way")
		}
	}
}
