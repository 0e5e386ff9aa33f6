//go:build unix

package upstream

import "golang.org/x/sys/unix"

// silent says whether a connection is open and has nothing to read, without waiting and without taking a byte. What makes it readable
// is a late or surplus answer, the end, or an error: each of them makes it unusable. poll and not recv with MSG_PEEK, because the
// latter's wrapper allocates the sender's address. poll holds one entry and belongs to the connection.
func silent(fd uintptr, poll *[1]unix.PollFd) bool {
	poll[0] = unix.PollFd{Fd: int32(fd), Events: unix.POLLIN}
	for {
		n, err := unix.Poll(poll[:], 0)
		if err != unix.EINTR {
			return n == 0 && err == nil
		}
	}
}
