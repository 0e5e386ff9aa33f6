package main

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// flagsAt is where a TCP header has its flags (RFC 9293, section 3.1).
const (
	flagsAt = 13
	synFlag = 0x02
	ackFlag = 0x10
)

// Refuse lets the kernel make no new connections for the socket, while those that it has made or is making can still be accepted: a packet filter drops each SYN.
// Closing the socket at once would reset connections that nobody has accepted yet. Off, new connections are made again. A socket that systemd opened is left as it
// is, and done is false: systemd keeps it, and what waits there is for the next who accepts.
func (l *socket) Refuse(on bool) (done bool, err error) {
	if l.kept {
		return false, nil
	}
	filter := []unix.SockFilter{ // of a TCP socket, it sees the packet from the TCP header on
		{Code: unix.BPF_LD | unix.BPF_B | unix.BPF_ABS, K: flagsAt},
		{Code: unix.BPF_JMP | unix.BPF_JSET | unix.BPF_K, K: ackFlag, Jt: 1},
		{Code: unix.BPF_JMP | unix.BPF_JSET | unix.BPF_K, K: synFlag, Jt: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: 1 << 18}, // all of it
		{Code: unix.BPF_RET | unix.BPF_K, K: 0},       // dropped
	}
	raw, err := l.SyscallConn()
	if err != nil {
		return false, err
	}
	var failed error
	err = raw.Control(func(fd uintptr) {
		if on {
			failed = unix.SetsockoptSockFprog(int(fd), unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]})
		} else {
			failed = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_DETACH_FILTER, 0)
		}
	})
	if err == nil && failed != nil {
		err = fmt.Errorf("cannot have %s refuse new connections (%v): %w", l.Addr(), on, os.NewSyscallError("setsockopt", failed))
	}
	return err == nil, err
}
