package proxy

import (
	"errors"
	"net"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// tryAccept is a listener's Accept, without waiting: syscall.EAGAIN where no connection is to be had. Go's own does not look once its deadline is over.
func tryAccept(ln net.Listener) (net.Conn, error) {
	sc, ok := ln.(syscall.Conn)
	if !ok {
		return nil, syscall.EAGAIN // it is nothing of the kernel's
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return nil, err
	}
	for {
		conn, err := acceptNext(raw)
		if err != nil || conn.RemoteAddr() != nil {
			return conn, err
		}
		_ = conn.Close() // it was reset while it waited, and FileConn, which asks the kernel for the client's address, got none
	}
}

// acceptNext accepts one connection, which may have been reset by now.
func acceptNext(raw syscall.RawConn) (net.Conn, error) {
	took := -1
	var failed error
	err := raw.Control(func(fd uintptr) {
		// FileConn needs a descriptor more for a moment: a client that is accepted while there is no other would be lost.
		spare, err := unix.FcntlInt(fd, unix.F_DUPFD_CLOEXEC, 0)
		if err != nil {
			failed = os.NewSyscallError("fcntl", err)
			return
		}
		defer func() { _ = unix.Close(spare) }() // nothing was written to it
		for {
			took, _, err = syscall.Accept4(int(fd), syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC)
			if !errors.Is(err, syscall.EINTR) && !errors.Is(err, syscall.ECONNABORTED) { // that one has left already
				failed = os.NewSyscallError("accept4", err)
				return
			}
		}
	})
	if err = errors.Join(err, failed); err != nil {
		return nil, err
	}
	file := os.NewFile(uintptr(took), "")
	defer file.Close() // FileConn has its own
	return net.FileConn(file)
}
