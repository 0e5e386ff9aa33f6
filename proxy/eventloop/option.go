package eventloop

import (
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// CloseWrite ends our stream.
func (c *Conn) CloseWrite() error {
	if !c.hold() {
		return net.ErrClosed
	}
	defer c.let()
	return os.NewSyscallError("shutdown", unix.Shutdown(c.fd, unix.SHUT_WR))
}

// SetLinger is that of [net.TCPConn].
func (c *Conn) SetLinger(sec int) error {
	if !c.hold() {
		return net.ErrClosed
	}
	defer c.let()
	linger := unix.Linger{Linger: int32(max(sec, 0))}
	if sec >= 0 {
		linger.Onoff = 1
	}
	return os.NewSyscallError("setsockopt", unix.SetsockoptLinger(c.fd, unix.SOL_SOCKET, unix.SO_LINGER, &linger))
}
