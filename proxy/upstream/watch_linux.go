package upstream

import (
	"errors"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// watch learns at once that a backend has ended a connection, whoever has it. An ended one that is idle is closed then and there, and tells
// how long the backend keeps them (keeping).
//
// It is an epoll instance of its own with every connection of one backend in it for as long as it lives, asked for ends alone: that
// costs a system call for each connection and none for a request.
type watch struct {
	mu    sync.Mutex
	file  *os.File // the epoll instance; nil: nothing is watched
	conns map[int32]*Conn
	wg    sync.WaitGroup
}

// start begins to watch. Where the system cannot, nothing is watched, and no connection's age is trusted.
func (w *watch) start() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.file != nil {
		return
	}
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return
	}
	if unix.SetNonblock(fd, true) != nil {
		_ = unix.Close(fd) // it was never used
		return
	}
	file := os.NewFile(uintptr(fd), "ends of connections")
	w.file, w.conns = file, make(map[int32]*Conn)
	w.wg.Go(func() { w.run(file) })
}

// stop ends the watching and waits for it.
func (w *watch) stop() {
	w.mu.Lock()
	if w.file != nil {
		_ = w.file.Close() // it holds nothing
		w.file, w.conns = nil, nil
	}
	w.mu.Unlock()
	w.wg.Wait()
}

// add watches c until it is closed.
func (w *watch) add(c *Conn) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.file == nil {
		return
	}
	epoll, err := w.file.SyscallConn()
	if err != nil {
		return
	}
	_ = c.raw.Control(func(fd uintptr) {
		event := unix.EpollEvent{Events: unix.EPOLLRDHUP | unix.EPOLLET&0xffffffff, Fd: int32(fd)}
		_ = epoll.Control(func(epfd uintptr) {
			if unix.EpollCtl(int(epfd), unix.EPOLL_CTL_ADD, int(fd), &event) == nil {
				c.fd, c.watched = int32(fd), true
				w.conns[c.fd] = c
			}
		})
	})
}

// remove forgets c, which is about to be closed.
func (w *watch) remove(c *Conn) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if c.watched && w.conns[c.fd] == c {
		delete(w.conns, c.fd)
	}
}

func (w *watch) run(file *os.File) {
	epoll, err := file.SyscallConn()
	if err != nil {
		return
	}
	var events [32]unix.EpollEvent
	for {
		n := 0
		var failed error
		err := epoll.Read(func(fd uintptr) bool {
			n, failed = unix.EpollWait(int(fd), events[:], 0)
			return n > 0 || failed != nil && !errors.Is(failed, unix.EINTR)
		})
		if err != nil || failed != nil && !errors.Is(failed, unix.EINTR) {
			return // it was stopped
		}
		for i := range max(n, 0) {
			w.ended(events[i].Fd)
		}
	}
}

func (w *watch) ended(fd int32) {
	w.mu.Lock()
	c := w.conns[fd]
	w.mu.Unlock()
	// The descriptor may be another connection's by now: look before it is believed.
	if c != nil && c.hungUp() && c.backend.idle.ended(c, time.Now()) {
		c.backend.stale.Add(1)
		_ = c.Close() // the backend closed it, and nobody waits for it
	}
}

// hungUp reports whether the other side has ended its half of the connection, or all of it.
func (c *Conn) hungUp() (ended bool) {
	err := c.raw.Control(func(fd uintptr) {
		poll := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLRDHUP}}
		n, err := unix.Poll(poll, 0)
		ended = err == nil && n > 0
	})
	return err == nil && ended
}
