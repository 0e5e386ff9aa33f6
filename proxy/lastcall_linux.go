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
	var took int
	var failed error
	err = raw.Control(func(fd uintptr) {
		for {
			took, _, failed = syscall.Accept4(int(fd), syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC)
			if !errors.Is(failed, syscall.EINTR) && !errors.Is(failed, syscall.ECONNABORTED) { // that one has left already
				return
			}
		}
	})
	if err != nil {
		return nil, err
	}
	if failed != nil {
		return nil, os.NewSyscallError("accept4", failed)
	}
	file := os.NewFile(uintptr(took), "")
	defer file.Close() // FileConn has its own
	return net.FileConn(file)
}

// unread reports whether a connection holds bytes that nobody has read.
func unread(conn net.Conn) bool {
	sc, ok := conn.(syscall.Conn)
	if !ok {
		return false
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return false
	}
	n := 0
	if raw.Control(func(fd uintptr) { n, err = unix.IoctlGetInt(int(fd), unix.SIOCINQ) }) != nil || err != nil {
		return false
	}
	return n > 0
}
