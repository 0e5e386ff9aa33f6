package eventloop

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// Listener accepts the connections of a listening socket for a group. It is used by one goroutine or worker at a time, and closed by any.
type Listener struct {
	socket *Conn
	took   int
	from   syscall.Sockaddr
	failed error
	step   func(fd uintptr) bool
}

// Listen returns a listener on a socket that listens. It has a descriptor of its own: the socket is closed when both are.
func (g *Group) Listen(raw syscall.RawConn) (*Listener, error) {
	fd, err := duplicate(raw)
	if err != nil {
		return nil, err
	}
	l := &Listener{socket: newConn(g, fd, netip.AddrPort{})}
	l.step = l.accept
	if err := l.socket.Watch(); err != nil {
		_ = l.socket.Close() // the first error is the one to tell
		return nil, err
	}
	return l, nil
}

// Use says who accepts from now on, see [Conn.Use].
func (l *Listener) Use(w *Worker) { l.socket.Use(w) }

// Accept waits for the next connection and returns it. Its loop does not know of it yet: see [Conn.Watch].
func (l *Listener) Accept() (*Conn, error) {
	if err := l.socket.each(&l.socket.in, l.step); err != nil {
		return nil, err
	}
	if l.failed != nil {
		return nil, os.NewSyscallError("accept4", l.failed)
	}
	return newConn(l.socket.group, l.took, addrPort(l.from)), nil
}

// TryAccept is Accept, without waiting: syscall.EAGAIN where no connection is to be had. Anyone may call it, beside who waits in Accept too.
func (l *Listener) TryAccept() (*Conn, error) {
	c := l.socket
	if !c.hold() {
		return nil, net.ErrClosed
	}
	defer c.let()
	took, from, err := acceptNext(c.fd)
	if err != nil {
		return nil, os.NewSyscallError("accept4", err)
	}
	return newConn(c.group, took, addrPort(from)), nil
}

func (l *Listener) accept(fd uintptr) (done bool) {
	l.took, l.from, l.failed = acceptNext(int(fd))
	return !errors.Is(l.failed, unix.EAGAIN)
}

// acceptNext takes the next connection that is still there.
func acceptNext(fd int) (took int, from syscall.Sockaddr, err error) {
	for {
		took, from, err = accept(fd)
		if !errors.Is(err, unix.EINTR) && !errors.Is(err, unix.ECONNABORTED) { // that one has left already
			return took, from, err
		}
	}
}

// Close ends the accepting: who waits for a connection gets net.ErrClosed. Calling it again does nothing.
func (l *Listener) Close() {
	c := l.socket
	if c.hold() {
		_ = c.loop.remove(c.fd) // another process may have the socket, and it goes on to tell
		c.let()
	}
	_ = c.Close() // again: nothing
}
