//go:build unix

package upstream

import (
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// Stall judges waits whose time is over: whether the other side takes anything at all. The zero value is ready; it is for one write, or for
// one wait for an answer.
//
// A write that moved no byte does not mean that: the kernel wakes a writer only when a good part of a send buffer of up to some
// megabytes is free, for which a slow reader may need longer than any time-out. Nor has a request arrived when it was written.
// What the kernel still holds tells.
type Stall struct {
	looked bool
	held   int // bytes that the kernel held when looked at last
}

// Over reports whether a wait on conn that just timed out, after n bytes were written, is to be given up: the kernel holds nothing for
// the other side, or as much as at the time-out before. Where it holds something the first time-out is not the last, so that a
// wait is given up after one to two times its limit.
func (s *Stall) Over(conn net.Conn, n int) bool {
	held, ok := Unsent(conn)
	over := n == 0 && (!ok || held == 0 || s.looked && held >= s.held)
	s.looked, s.held = true, held
	return over
}

// Unsent returns how many bytes the kernel holds that the other side has not acknowledged. ok is false where it cannot be asked.
func Unsent(conn net.Conn) (held int, ok bool) {
	raw, ok := belowTLS(conn)
	if !ok {
		return 0, false
	}
	var failed error
	err := raw.Control(func(fd uintptr) { held, failed = unix.IoctlGetInt(int(fd), unix.TIOCOUTQ) })
	return held, err == nil && failed == nil
}

// belowTLS returns the way to the socket of a connection, below TLS if it speaks that. ok is false where there is none.
func belowTLS(conn net.Conn) (raw syscall.RawConn, ok bool) {
	if over, ok := conn.(interface{ NetConn() net.Conn }); ok {
		conn = over.NetConn()
	}
	sc, ok := conn.(syscall.Conn)
	if !ok {
		return nil, false
	}
	raw, err := sc.SyscallConn()
	return raw, err == nil
}
