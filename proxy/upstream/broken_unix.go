//go:build unix

package upstream

import (
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// Broken reports whether the other side has broken a TCP connection off (RST), or it is closed in both directions, without taking a byte from it.
// One whose other side has only ended its own stream is not broken: whoever did that may still wait for an answer.
func Broken(conn net.Conn) bool {
	sc, ok := conn.(syscall.Conn)
	if !ok {
		return false
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return false
	}
	var poll [1]unix.PollFd
	err = raw.Control(func(fd uintptr) {
		poll[0] = unix.PollFd{Fd: int32(fd)} // these two are told unasked
		if _, err := unix.Poll(poll[:], 0); err != nil {
			poll[0].Revents = 0 // disturbed: next time
		}
	})
	return err == nil && poll[0].Revents&(unix.POLLERR|unix.POLLHUP) != 0
}
