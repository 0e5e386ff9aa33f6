package proxy

import (
	"context"
	"net"
	"syscall"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sys/unix"

	"rehydra/proxy/upstream"
)

// socketOptions are SO_KEEPALIVE, the times and the count of its probes, and TCP_NODELAY.
func socketOptions(t *testing.T, conn net.Conn) (got [5]int) {
	t.Helper()
	raw, err := conn.(syscall.Conn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	err = raw.Control(func(fd uintptr) {
		for i, option := range [][2]int{
			{unix.SOL_SOCKET, unix.SO_KEEPALIVE}, {unix.IPPROTO_TCP, unix.TCP_KEEPIDLE}, {unix.IPPROTO_TCP, unix.TCP_KEEPINTVL}, {unix.IPPROTO_TCP, unix.TCP_KEEPCNT},
			{unix.IPPROTO_TCP, unix.TCP_NODELAY},
		} {
			if got[i], err = unix.GetsockoptInt(int(fd), option[0], option[1]); err != nil {
				t.Error(err)
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// What is accepted is probed, and sends at once, as Go's own connections do: also on a listener that somebody else has opened.
func TestAcceptedConnectionsInherit(t *testing.T) {
	own, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer own.Close()
	near, err := net.Dial("tcp", own.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer near.Close()
	accepted, err := own.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer accepted.Close()
	want := socketOptions(t, accepted)

	for name, open := range map[string]Opener{
		"ours": openTCP,
		"another's": func(address string) (net.Listener, error) {
			return (&net.ListenConfig{KeepAlive: -1}).Listen(t.Context(), "tcp", address)
		},
	} {
		t.Run(name, func(t *testing.T) {
			table, err := upstream.NewTable(nil, nil, zerolog.Nop())
			if err != nil {
				t.Fatal(err)
			}
			defer table.Close()
			s := NewServer(Limits{HeaderTimeout: time.Minute}, &Routing{Table: table}, nil, zerolog.Nop())
			OwnLoops(t, s)
			s.OpenWith(open)
			if err := s.Listen([]string{"127.0.0.1:0"}); err != nil {
				t.Fatal(err)
			}
			s.Start()
			defer s.Shutdown(context.Background())
			client, err := net.Dial("tcp", s.Addresses()[0])
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()
			for end := time.Now().Add(5 * time.Second); s.Connections() == 0; time.Sleep(time.Millisecond) {
				if time.Now().After(end) {
					t.Fatal("nobody was accepted")
				}
			}
			s.mu.Lock()
			defer s.mu.Unlock()
			for c := range s.clients {
				if c.looped == nil {
					t.Error("no event loop has it")
				}
				if got := socketOptions(t, c.raw); got != want {
					t.Errorf("keep-alive, idle, interval, count and no delay are %v, wanted %v", got, want)
				}
			}
		})
	}
}
