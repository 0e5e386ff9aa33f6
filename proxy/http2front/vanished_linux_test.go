package http2front

import (
	"net"
	"testing"

	"golang.org/x/sys/unix"

	"rehydra/proxy/upstream"
)

// vanish makes conn's side get nothing any more, and acknowledge nothing.
func vanish(t *testing.T, conn *net.TCPConn) {
	t.Helper()
	raw, err := conn.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	drop := unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K}
	var failed error
	err = raw.Control(func(fd uintptr) {
		failed = unix.SetsockoptSockFprog(int(fd), unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: 1, Filter: &drop})
	})
	if err != nil || failed != nil {
		t.Fatal(err, failed)
	}
}

// TestNoLingerForAFarewell: that a client does not acknowledge the GOAWAY is no reason to wait for it, if it has all of its answers.
func TestNoLingerForAFarewell(t *testing.T) {
	t.Parallel()
	s := newSlowOne(t, lingerPatience)
	for got := 0; got < slowBody; {
		n, err := s.read()
		if err != nil {
			t.Fatal(err)
		}
		got += n
	}
	s.eventually("all is acknowledged", func() bool { held, _ := upstream.Unsent(s.near); return held == 0 })
	vanish(t, s.client)
	s.front.Drain()
	s.eventually("the kernel holds the GOAWAY", func() bool { held, _ := upstream.Unsent(s.near); return held > 0 || s.isOver() })
	if s.isOver() {
		t.Error("it is over at once: nothing is tested")
	}
	if took := s.ends(); took > lingerPatience/2 {
		t.Errorf("it took %v", took)
	}
	if s.guard.lingers {
		t.Error("it lingered")
	}
}
