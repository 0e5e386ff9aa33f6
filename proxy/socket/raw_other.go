//go:build unix && (!linux || 386 || race)

package socket

// Where there is no recv(2) by a number of its own, and for the race detector, which does not see what RawSyscall does to a buffer.

import (
	"errors"
	"syscall"

	"golang.org/x/sys/unix"
)

func read(fd uintptr, p []byte) (int, syscall.Errno) {
	for {
		n, err := syscall.Read(int(fd), p)
		if errno := numberOf(err); errno != syscall.EINTR {
			return n, errno
		}
	}
}

func write(fd uintptr, p []byte) (int, syscall.Errno) {
	for {
		n, err := syscall.Write(int(fd), p)
		if errno := numberOf(err); errno != syscall.EINTR {
			return n, errno
		}
	}
}

// silent reports whether a socket is open and has nothing to read. poll and not recv with MSG_PEEK, because the latter's wrapper allocates the
// sender's address.
func silent(fd uintptr) bool {
	poll := [1]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	for {
		n, err := unix.Poll(poll[:], 0)
		if !errors.Is(err, unix.EINTR) {
			return n == 0 && err == nil
		}
	}
}

func numberOf(err error) (errno syscall.Errno) {
	if err != nil && !errors.As(err, &errno) {
		return syscall.EIO
	}
	return errno
}
