package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// runForwarder moves bytes until ctx ends: what a client sends goes to the backend that its first request names, what that sends goes back. There is a
// thread with an epoll instance of its own for each core, a read and a write for each message, and splice(2) where a read fills its buffer.
func runForwarder(ctx context.Context, args []string, _ io.Writer) error {
	flags := flag.NewFlagSet("bench forwarder", flag.ContinueOnError)
	listen := flags.String("listen", "", "where to listen")
	if err := flags.Parse(args); err != nil {
		return err
	}
	var nodes []forwardNode
	for _, arg := range flags.Args() {
		route, address, _ := strings.Cut(arg, "=")
		to, err := net.ResolveTCPAddr("tcp4", address)
		if err != nil {
			return fmt.Errorf("cannot find the backend %q: %w", arg, err)
		}
		nodes = append(nodes, forwardNode{suffix: []byte("." + route), to: unix.SockaddrInet4{Port: to.Port, Addr: to.AddrPort().Addr().As4()}})
	}
	if len(nodes) == 0 {
		return errors.New("no backends: wanted route=host:port")
	}
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp4", *listen)
	if err != nil {
		return fmt.Errorf("cannot listen: %w", err)
	}
	defer listener.Close()
	file, err := listener.(*net.TCPListener).File()
	if err != nil {
		return fmt.Errorf("cannot use the listening socket: %w", err)
	}
	defer file.Close()
	waiting := int(file.Fd())
	if err := unix.SetNonblock(waiting, true); err != nil { // File and Fd make it one that blocks: a thread that comes second must not wait for the next client
		return fmt.Errorf("cannot use the listening socket: %w", err)
	}
	threads := runtime.GOMAXPROCS(0)
	runtime.GOMAXPROCS(threads + 1) // the threads keep theirs while they wait
	defer runtime.GOMAXPROCS(threads)
	failed := make([]error, threads)
	var running sync.WaitGroup
	for i := range threads {
		running.Go(func() {
			runtime.LockOSThread()
			f := &forwardThread{nodes: nodes, listener: waiting, sides: make(map[int32]*forwardSide), buffer: make([]byte, forwardBuffer)}
			failed[i] = f.run(ctx)
		})
	}
	running.Wait()
	return errors.Join(failed...)
}

const (
	forwardBuffer = 64 << 10
	forwardPipe   = 1 << 20
)

// forwardNode is a backend.
type forwardNode struct {
	suffix []byte // of its session ids
	to     unix.SockaddrInet4
}

// forwardSide is one of the two connections of a client.
type forwardSide struct {
	fd     int
	peer   *forwardSide // nil: no request has come
	splice bool         // what it sends is large
}

// forwardThread is a thread and the connections that it moves bytes between.
type forwardThread struct {
	nodes    []forwardNode
	listener int
	epoll    int
	pipe     [2]int
	sides    map[int32]*forwardSide
	buffer   []byte
}

func (f *forwardThread) run(ctx context.Context) error {
	var err error
	if f.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return os.NewSyscallError("epoll_create1", err)
	}
	defer closeDescriptors(f.epoll)
	if err := unix.Pipe2(f.pipe[:], unix.O_NONBLOCK|unix.O_CLOEXEC); err != nil {
		return os.NewSyscallError("pipe2", err)
	}
	defer closeDescriptors(f.pipe[0], f.pipe[1])
	_, _ = unix.FcntlInt(uintptr(f.pipe[1]), unix.F_SETPIPE_SZ, forwardPipe) // a smaller one does too
	err = unix.EpollCtl(f.epoll, unix.EPOLL_CTL_ADD, f.listener, &unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLEXCLUSIVE, Fd: int32(f.listener)})
	if err != nil {
		return os.NewSyscallError("epoll_ctl", err)
	}
	var events [128]unix.EpollEvent
	for ctx.Err() == nil {
		// The scheduler is not told of the wait: it would look at this thread every few microseconds.
		n, _, errno := syscall.RawSyscall6(syscall.SYS_EPOLL_PWAIT, uintptr(f.epoll), uintptr(unsafe.Pointer(&events[0])), uintptr(len(events)), 100, 0, 0)
		if errno != 0 && errno != syscall.EINTR {
			return os.NewSyscallError("epoll_wait", errno)
		}
		for i := range events[:max(0, int(n))] {
			fd := events[i].Fd
			if fd == int32(f.listener) {
				f.accept()
			} else if s := f.sides[fd]; s != nil && !f.move(s) {
				f.end(s)
			}
		}
	}
	return nil
}

func closeDescriptors(fds ...int) {
	for _, fd := range fds {
		_ = unix.Close(fd) // nothing is written to it
	}
}

func (f *forwardThread) accept() {
	fd, _, err := unix.Accept4(f.listener, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
	if err == nil { // another thread may have been faster
		f.add(&forwardSide{fd: fd})
	}
}

func (f *forwardThread) add(s *forwardSide) {
	_ = unix.SetsockoptInt(s.fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1) // as every peer does; without it a request is late, and the figures tell
	f.sides[int32(s.fd)] = s
	if unix.EpollCtl(f.epoll, unix.EPOLL_CTL_ADD, s.fd, &unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLET&0xffffffff, Fd: int32(s.fd)}) != nil {
		f.end(s)
	}
}

// end closes both connections.
func (f *forwardThread) end(s *forwardSide) {
	for _, each := range []*forwardSide{s, s.peer} {
		if each != nil {
			delete(f.sides, int32(each.fd))
			_ = unix.Close(each.fd) // its bytes were moved
		}
	}
}

// connect connects s to the backend that its first request names.
func (f *forwardThread) connect(s *forwardSide, request []byte) bool {
	node := &f.nodes[0]
	for i := range f.nodes {
		if bytes.Contains(request, f.nodes[i].suffix) {
			node = &f.nodes[i]
		}
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return false
	}
	if unix.Connect(fd, &node.to) != nil || unix.SetNonblock(fd, true) != nil {
		_ = unix.Close(fd) // it was never used
		return false
	}
	s.peer = &forwardSide{fd: fd, peer: s}
	f.add(s.peer)
	return true
}

// move moves what has come on s to the other side. It returns false when nothing more can come.
func (f *forwardThread) move(s *forwardSide) bool {
	for !s.splice {
		n, errno := rawCall(syscall.SYS_READ, s.fd, f.buffer)
		switch {
		case errno == syscall.EAGAIN:
			return true
		case errno != 0 || n == 0:
			return false
		case s.peer == nil && !f.connect(s, f.buffer[:n]):
			return false
		}
		for p := f.buffer[:n]; len(p) > 0; {
			n, errno := rawCall(syscall.SYS_WRITE, s.peer.fd, p)
			switch {
			case errno == syscall.EAGAIN:
				waitForRoom(s.peer.fd)
			case errno != 0:
				return false
			default:
				p = p[n:]
			}
		}
		if n < len(f.buffer) {
			return true // what comes now is told
		}
		s.splice = true
	}
	return f.moveLarge(s)
}

func (f *forwardThread) moveLarge(s *forwardSide) bool {
	for {
		n, err := unix.Splice(s.fd, nil, f.pipe[1], nil, forwardPipe, unix.SPLICE_F_MOVE|unix.SPLICE_F_NONBLOCK)
		switch {
		case errors.Is(err, unix.EAGAIN):
			return true
		case err != nil || n == 0:
			return false
		}
		for n > 0 {
			moved, err := unix.Splice(f.pipe[0], nil, s.peer.fd, nil, int(n), unix.SPLICE_F_MOVE|unix.SPLICE_F_NONBLOCK)
			switch {
			case errors.Is(err, unix.EAGAIN):
				waitForRoom(s.peer.fd)
			case err != nil:
				return false
			default:
				n -= moved
			}
		}
	}
}

// waitForRoom keeps the whole thread: a load generator reads what it has asked for.
func waitForRoom(fd int) {
	_, _ = unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}, 100) // the next write tells
}

func rawCall(call uintptr, fd int, p []byte) (n int, errno syscall.Errno) {
	r, _, errno := syscall.RawSyscall(call, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)))
	return int(r), errno
}
