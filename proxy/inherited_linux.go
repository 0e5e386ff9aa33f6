package proxy

import (
	"errors"
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// Probes of a connection on which nothing happens, as Go sets them: a client that is gone without a word is noticed in two and a half minutes.
const (
	probeIdle  = 15 // seconds without a byte, before the first
	probeEvery = 15 // seconds
	probeCount = 9  // without an answer: it is gone
)

// ListenConfig is how addresses are opened for clients. What a connection inherits from its listener need not be set on each: that saves four
// system calls for each.
func ListenConfig() net.ListenConfig {
	return net.ListenConfig{
		KeepAlive: -1, // Go sets nothing on what is accepted
		Control:   func(_, _ string, raw syscall.RawConn) error { return bequeath(raw) },
	}
}

// bequeath sets what the connections of a listener are to have: probes, and TCP_NODELAY.
func bequeath(raw syscall.RawConn) error {
	var failed error
	err := raw.Control(func(fd uintptr) {
		failed = errors.Join(
			unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1),
			unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, probeIdle),
			unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, probeEvery),
			unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_KEEPCNT, probeCount),
			unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_NODELAY, 1))
	})
	return errors.Join(err, failed)
}
