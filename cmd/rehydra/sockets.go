package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"

	"github.com/coreos/go-systemd/v22/activation"
	"golang.org/x/sys/unix"

	"rehydra/proxy"
)

// systemdPrefix begins an address of server.listen or admin.listen that stands for sockets which systemd opened: those whose
// FileDescriptorName= follows it (systemd.socket(5)).
const systemdPrefix = "systemd:"

// sockets are the listening sockets of this process: those that it opened itself, and those that it was started with, by systemd or by the
// process that it takes the place of. Each socket that it was started with goes to the first who asks for its address.
type sockets struct {
	mu     sync.Mutex
	given  []*socket // that nobody has asked for yet
	inUse  []*socket // in the order in which they were asked for
	handed bool      // given by the process before, not by systemd
}

// socket is a listening TCP socket. Close closes the descriptor of this process: the kernel goes on to queue connections for as long as another
// process has the socket.
type socket struct {
	*net.TCPListener
	name string // who asked for it and how, see socketName; for one that systemd opened, its FileDescriptorName=
	kept bool   // systemd opened it, and keeps it open
	from *sockets
}

// Close stops listening.
func (l *socket) Close() error {
	l.from.forget(l)
	return l.TCPListener.Close()
}

// socketName is the name of a socket that is in use: its user (server or admin) and the address of the configuration, in which port 0 is no port yet.
func socketName(user, address string) string { return user + "=" + address }

// keptMark begins the name under which a socket of systemd is handed over.
const keptMark = "kept/"

// givenSockets takes the sockets that this process was started with (sd_listen_fds(3)). They must be TCP sockets that listen. handed says that it is the
// process before that gives them. The variables of the environment that tell of them are removed: they are not meant for a process that this one starts.
func givenSockets(handed bool) (*sockets, error) {
	s := &sockets{handed: handed}
	for _, file := range activation.Files(true) {
		l, err := s.adopt(file)
		if err != nil {
			s.Close()
			return nil, fmt.Errorf("cannot use the socket %q that the process was started with: %w", file.Name(), err)
		}
		s.given = append(s.given, l)
	}
	return s, nil
}

// adopt makes a socket of a descriptor, and closes the descriptor.
func (s *sockets) adopt(file *os.File) (*socket, error) {
	defer file.Close() // FileListener has its own
	listens, err := unix.GetsockoptInt(int(file.Fd()), unix.SOL_SOCKET, unix.SO_ACCEPTCONN)
	if err != nil {
		return nil, err
	}
	if listens == 0 {
		return nil, errors.New("given one that does not listen, wanted a listening TCP socket (Accept=no)")
	}
	ln, err := net.FileListener(file)
	if err != nil {
		return nil, err
	}
	tcp, ok := ln.(*net.TCPListener)
	if !ok {
		return nil, errors.Join(fmt.Errorf("given a socket of the network %q, wanted tcp", ln.Addr().Network()), ln.Close())
	}
	name, err := url.QueryUnescape(file.Name())
	if err != nil {
		name = file.Name() // systemd's own, with a percent sign in it
	}
	kept := !s.handed
	if s.handed {
		name, kept = strings.CutPrefix(name, keptMark)
	}
	return &socket{TCPListener: tcp, name: name, kept: kept, from: s}, nil
}

// Open returns a listener for an address, host:port or "systemd:NAME", of a user, "server" or "admin": one that the process was started with,
// or else a new one. It may be asked for an address with port 0 several times.
func (s *sockets) Open(user, address string) (net.Listener, error) {
	if l := s.take(user, address); l != nil {
		return l, nil
	}
	if name, ok := strings.CutPrefix(address, systemdPrefix); ok {
		return nil, fmt.Errorf("given no socket of this name by systemd, wanted FileDescriptorName=%s in a socket unit of this service", name)
	}
	config := proxy.ListenConfig()
	config.SetMultipathTCP(false) // Go's default for listeners; Refuse needs a filter, which Linux does not offer on those
	ln, err := config.Listen(context.Background(), "tcp", address)
	if err != nil {
		return nil, err
	}
	l := &socket{TCPListener: ln.(*net.TCPListener), name: socketName(user, address), from: s}
	s.mu.Lock()
	s.inUse = append(s.inUse, l)
	s.mu.Unlock()
	return l, nil
}

// take returns the given socket for an address, or nil: the one that was handed over for it, else one that systemd opened under its name, else one that is
// bound to it.
func (s *sockets) take(user, address string) *socket {
	s.mu.Lock()
	defer s.mu.Unlock()
	name, bound := strings.CutPrefix(address, systemdPrefix)
	for _, fits := range []func(*socket) bool{
		func(l *socket) bool { return s.handed && l.name == socketName(user, address) },
		func(l *socket) bool { return bound && !s.handed && l.name == name },
		func(l *socket) bool { return !bound && boundTo(l.Addr(), address) },
	} {
		for i, l := range s.given {
			if fits(l) {
				s.given = append(s.given[:i:i], s.given[i+1:]...)
				s.inUse = append(s.inUse, l)
				l.name = socketName(user, address)
				return l
			}
		}
	}
	return nil
}

// boundTo reports whether a socket's address is the one of a configuration: the same port, and the same host or all hosts in both.
func boundTo(at net.Addr, address string) bool {
	tcp, ok := at.(*net.TCPAddr)
	if !ok {
		return false
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil || port == "0" || port != strconv.Itoa(tcp.Port) {
		return false
	}
	if ip := net.ParseIP(host); ip != nil {
		return ip.Equal(tcp.IP) || ip.IsUnspecified() && tcp.IP.IsUnspecified()
	}
	return host == "" && tcp.IP.IsUnspecified()
}

// Unclaimed returns the sockets that the process was started with and that nobody asked for. They are the caller's to close.
func (s *sockets) Unclaimed() []*socket {
	s.mu.Lock()
	defer s.mu.Unlock()
	left := s.given
	s.given = nil
	return left
}

// Files returns a copy of each descriptor in use, under its name, for another process. The caller closes them.
func (s *sockets) Files() (files []*os.File, names []string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.inUse {
		file, err := l.copy()
		if err != nil {
			closeAll(files)
			return nil, nil, fmt.Errorf("cannot hand over the socket of %s: %w", l.Addr(), err)
		}
		files = append(files, file)
		name := l.name
		if l.kept {
			name = keptMark + name
		}
		names = append(names, url.QueryEscape(name)) // a colon separates names
	}
	return files, names, nil
}

// copy returns another descriptor of the socket. TCPListener.File does not do: the descriptor that it gives to a process blocks, and with it the socket itself,
// so that the accept of this process would never return.
func (l *socket) copy() (*os.File, error) {
	raw, err := l.SyscallConn()
	if err != nil {
		return nil, err
	}
	var fd int
	var failed error
	if err := raw.Control(func(own uintptr) { fd, failed = unix.FcntlInt(own, unix.F_DUPFD_CLOEXEC, 3) }); err != nil {
		return nil, err
	}
	if failed != nil {
		return nil, os.NewSyscallError("fcntl", failed)
	}
	return os.NewFile(uintptr(fd), l.name), nil
}

func (s *sockets) forget(l *socket) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, other := range s.inUse {
		if other == l {
			s.inUse = append(s.inUse[:i:i], s.inUse[i+1:]...)
			return
		}
	}
}

// Close closes what nobody asked for; what is in use belongs to who has it.
func (s *sockets) Close() {
	for _, l := range s.Unclaimed() {
		_ = l.Close() // nothing was accepted on it
	}
}

func closeAll(files []*os.File) {
	for _, f := range files {
		_ = f.Close() // a copy
	}
}
