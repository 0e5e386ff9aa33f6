//go:build unix

package upstream

import "golang.org/x/sys/unix"

// peek says whether a connection is open and has nothing to read, without waiting and without taking a byte.
func peek(fd uintptr, buf []byte) bool {
	for {
		_, _, err := unix.Recvfrom(int(fd), buf, unix.MSG_PEEK|unix.MSG_DONTWAIT)
		if err == unix.EINTR {
			continue
		}
		// A byte is a late or surplus answer, no byte and no error is the end, any other error is a broken connection.
		return err == unix.EAGAIN
	}
}
