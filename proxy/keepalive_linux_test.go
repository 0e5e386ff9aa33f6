package proxy_test

import (
	"net"
	"testing"

	"golang.org/x/sys/unix"

	"rehydra/proxy"
)

// What is accepted is probed as Go's own connections are.
func TestAcceptedConnectionsAreProbed(t *testing.T) {
	options := func(config net.ListenConfig) (got [4]int) {
		ln, err := config.Listen(t.Context(), "tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer ln.Close()
		client, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		conn, err := ln.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		raw, err := conn.(*net.TCPConn).SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		err = raw.Control(func(fd uintptr) {
			for i, option := range [][2]int{
				{unix.SOL_SOCKET, unix.SO_KEEPALIVE}, {unix.IPPROTO_TCP, unix.TCP_KEEPIDLE}, {unix.IPPROTO_TCP, unix.TCP_KEEPINTVL}, {unix.IPPROTO_TCP, unix.TCP_KEEPCNT},
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
	wanted, got := options(net.ListenConfig{}), options(proxy.ListenConfig())
	if got != wanted {
		t.Errorf("keep-alive, idle, interval, count are %v, wanted %v", got, wanted)
	}
}
