package upstream

import (
	"net"
	"time"

	"golang.org/x/sys/unix"
)

// resetWait is how long Unread waits for the other kernel's word, in milliseconds: a round trip.
const resetWait = 200

// Unread reports whether what was written since c was acquired was provably taken by no application. It is for a connection that
// ended without an answer, before it is closed.
//
// The proof is the order of what the backend's kernel said. It had sent the end of the stream in which an answer would have come before
// it had any byte of the request, since its end acknowledges none; and it refused the request with a reset. So the server had closed
// the connection (or was throwing away what still came), and no longer served it, when the request arrived. A process that took the
// request and died afterwards leaves an acknowledged one. A reset without that end proves nothing: it may come from a process
// that read, worked, and closed with something left.
func (c *Conn) Unread() (unread bool) {
	// Whoever is told of a reset first takes the word away from the others, so the end of stream must be all that anybody was told.
	_, plain := c.net.(*net.TCPConn)
	if plain = plain || c.looped != nil; !plain || !c.eof.Load() || c.reset.Load() {
		return false
	}
	end := time.Now().Add(resetWait * time.Millisecond)
	err := c.raw.Control(func(fd uintptr) {
		for {
			info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
			// What is acknowledged includes one for our SYN, see RFC 4898, tcpEStatsAppHCThruOctetsAcked.
			if err != nil || info.Bytes_acked > c.before+1 {
				return
			}
			const tcpClose = 7
			if info.State == tcpClose {
				unread = true
				return
			}
			left := time.Until(end)
			if left <= 0 {
				return
			}
			poll := []unix.PollFd{{Fd: int32(fd)}} // for the reset alone
			if _, err := unix.Poll(poll, int(left.Milliseconds())+1); err != nil && err != unix.EINTR {
				return
			}
		}
	})
	return err == nil && unread
}
