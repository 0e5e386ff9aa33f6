package main

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Refuse lets the kernel make no new connections for the socket, while those that it has made or is making can still be accepted: a packet filter drops each SYN.
// Closing the socket at once would reset connections that nobody has accepted yet. A socket that systemd opened is left as it is: systemd keeps it, and what
// waits there is for the next who accepts.
func (l *socket) Refuse() error {
	if l.kept {
		return nil
	}
	const flagsAt, syn, ack = 13, 0x02, 0x10 // RFC 9293, section 3.1; a filter of a TCP socket sees the packet from the TCP header on
	filter := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_B | unix.BPF_ABS, K: flagsAt},
		{Code: unix.BPF_JMP | unix.BPF_JSET | unix.BPF_K, K: ack, Jt: 1},
		{Code: unix.BPF_JMP | unix.BPF_JSET | unix.BPF_K, K: syn, Jt: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: 1 << 18}, // all of it
		{Code: unix.BPF_RET | unix.BPF_K, K: 0},       // dropped
	}
	raw, err := l.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = raw.Control(func(fd uintptr) {
		failed = unix.SetsockoptSockFprog(int(fd), unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]})
	})
	if err != nil {
		return err
	}
	if failed != nil {
		return fmt.Errorf("cannot close %s to new connections: %w", l.Addr(), os.NewSyscallError("setsockopt", failed))
	}
	return nil
}
