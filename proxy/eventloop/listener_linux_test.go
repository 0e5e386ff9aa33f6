package eventloop

import (
	"errors"
	"net"
	"testing"
)

// TestListenerClose: who waits for a connection is told, and another call after it too.
func TestListenerClose(t *testing.T) {
	g := newGroup(t, 1)
	for _, way := range ways {
		_, from := open(t, g, "127.0.0.1:0")
		var got error
		over := by(g, way, from.socket, func() { _, got = from.Accept() })
		waiting(t, &from.socket.in)
		from.Close()
		from.Close()
		within(t, "it accepts on", over)
		if !errors.Is(got, net.ErrClosed) {
			t.Errorf("%s: %v, wanted ErrClosed", way, got)
		}
		if _, err := from.Accept(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("%s: %v, wanted ErrClosed", way, err)
		}
	}
}

// TestListenerOfOthers: the socket goes on where another has it, and the loop is told nothing of it once the listener is closed.
func TestListenerOfOthers(t *testing.T) {
	g := newGroup(t, 1)
	ln, from := open(t, g, "127.0.0.1:0")
	fd := from.socket.fd
	first := dial(t, ln)
	c, err := from.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	if err := c.Watch(); err != nil {
		t.Fatal(err)
	}
	from.Close()
	next := &Conn{group: g, fd: fd} // as one that has the number next
	g.table.put(fd, next)
	defer g.table.put(fd, nil)
	second := dial(t, ln)
	other, err := ln.Accept() // as another process does
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	say(t, other, "there")
	hear(t, second, "there")
	say(t, first, "here")
	hear(t, c, "here")
	if !next.in.quiet() {
		t.Error("what happens to the listening socket is told to another")
	}
}

// TestAcceptMany: none is lost of many that come at once, by a worker and by a goroutine.
func TestAcceptMany(t *testing.T) {
	g := newGroup(t, 2)
	const many = 100
	for _, way := range ways {
		ln, from := open(t, g, "127.0.0.1:0")
		over := by(g, way, from.socket, func() {
			for range many {
				c, err := from.Accept()
				if err != nil {
					t.Error(err)
					return
				}
				_ = c.Close()
			}
		})
		for range many {
			dial(t, ln)
		}
		within(t, "a connection is not accepted", over)
		from.Close()
	}
}
