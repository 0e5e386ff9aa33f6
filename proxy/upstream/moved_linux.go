package upstream

import (
	"net"

	"golang.org/x/sys/unix"
)

// Moved returns how many bytes have come and gone on a TCP connection since it was made, as the other side and the kernel count them: also
// those that pass by without being read here (splice). Only its differences mean something. ok is false where nobody can tell.
func Moved(conn net.Conn) (bytes uint64, ok bool) {
	raw, ok := belowTLS(conn)
	if !ok {
		return 0, false
	}
	var info *unix.TCPInfo
	var failed error
	err := raw.Control(func(fd uintptr) { info, failed = unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO) })
	if err != nil || failed != nil {
		return 0, false
	}
	return info.Bytes_acked + info.Bytes_received, true
}
