package eventloop

import (
	"errors"
	"syscall"

	"golang.org/x/sys/unix"
)

// poller waits for what happens on many descriptors (epoll(7), edge-triggered).
type poller struct {
	epoll  int
	bell   int // an eventfd
	events [batch]unix.EpollEvent
}

// batch is how many events are taken at once.
const batch = 64

// open makes the poller.
func (p *poller) open() (err error) {
	if p.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return err
	}
	if p.bell, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err == nil {
		if err = p.control(unix.EPOLL_CTL_ADD, p.bell, unix.EPOLLIN); err != nil {
			_ = unix.Close(p.bell) // of no use without the other
		}
	}
	if err != nil {
		_ = unix.Close(p.epoll) // nothing is in it
	}
	return err
}

// close ends it. Nobody may wait.
func (p *poller) close() {
	_ = unix.Close(p.epoll) // nothing is lost by it
	_ = unix.Close(p.bell)
}

// ring ends a wait, the present one or the next, with an event of no connection.
func (p *poller) ring() {
	if _, err := unix.Write(p.bell, []byte{1, 0, 0, 0, 0, 0, 0, 0}); err != nil {
		panic(err) // a counter that nobody has counted up
	}
}

const (
	forReading = unix.EPOLLIN | unix.EPOLLRDHUP | unix.EPOLLET&0xffffffff
	forBoth    = forReading | unix.EPOLLOUT
)

// add makes the poller tell what happens on fd, but for room to write.
func (p *poller) add(fd int) error { return p.control(unix.EPOLL_CTL_ADD, fd, forReading) }

// addRoom makes it tell of room to write too, also of what there is already.
func (p *poller) addRoom(fd int) error { return p.control(unix.EPOLL_CTL_MOD, fd, forBoth) }

// remove makes it tell no more.
func (p *poller) remove(fd int) error { return p.control(unix.EPOLL_CTL_DEL, fd, 0) }

func (p *poller) control(op, fd int, events uint32) error {
	return unix.EpollCtl(p.epoll, op, fd, &unix.EpollEvent{Events: events, Fd: int32(fd)})
}

// wait waits for events and returns how many have come.
func (p *poller) wait() int {
	n, err := unix.EpollWait(p.epoll, p.events[:], -1)
	if err != nil && !errors.Is(err, unix.EINTR) {
		panic(err) // the instance is ours, and closed when nobody waits any more
	}
	return max(n, 0)
}

// event returns one of them: reads and writes say which side is to be looked at, ended that the other side has ended its stream, or all of it.
func (p *poller) event(i int) (fd int, reads, writes, ended bool) {
	e := &p.events[i]
	over := e.Events&(unix.EPOLLHUP|unix.EPOLLERR) != 0
	return int(e.Fd), e.Events&^uint32(unix.EPOLLOUT) != 0, over || e.Events&unix.EPOLLOUT != 0, over || e.Events&unix.EPOLLRDHUP != 0
}

// accept takes a connection from a socket that listens. That of package unix also asks for its protocol, by a call of its own.
func accept(fd int) (took int, from syscall.Sockaddr, err error) {
	return syscall.Accept4(fd, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
}
