// Package sockettest makes sockets do in tests what they do on bad networks.
package sockettest

import (
	"net"
	"testing"

	"golang.org/x/sys/unix"
)

// Vanish makes a connection's own side get nothing any more, and acknowledge nothing, as one behind a network that has gone.
func Vanish(t testing.TB, conn net.Conn) {
	t.Helper()
	raw, err := conn.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	drop := unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K} // 0 bytes of every segment are let through
	var failed error
	err = raw.Control(func(fd uintptr) {
		failed = unix.SetsockoptSockFprog(int(fd), unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: 1, Filter: &drop})
	})
	if err != nil || failed != nil {
		t.Fatal(err, failed)
	}
}
