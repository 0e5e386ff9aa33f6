package eventloop

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"
)

// child is set in the environment of this program where it is to be one of the helpers below.
const child = "EVENTLOOP_TEST_CHILD"

// fewDescriptors runs the test of that name again, in a process of its own, which reports whether it is that process: it may do harm to itself.
func fewDescriptors(t *testing.T) (here bool) {
	t.Helper()
	if os.Getenv(child) != "" {
		return true
	}
	again := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v", "-test.timeout=2m")
	again.Env = append(os.Environ(), child+"=1")
	if said, err := again.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, said)
	}
	return false
}

// limit lets the process have no more than n descriptors more than now, and returns what ends that.
func limit(t *testing.T, n int) (end func()) {
	t.Helper()
	var was syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &was); err != nil {
		t.Fatal(err)
	}
	now := was
	now.Cur = uint64(lowest(t) + n)
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &now); err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &was); err != nil {
			t.Fatal(err)
		}
	}
}

// lowest is the least descriptor that is free.
func lowest(t *testing.T) int {
	t.Helper()
	fd, err := syscall.Dup(2)
	if err != nil {
		t.Fatal(err)
	}
	syscall.Close(fd)
	return fd
}

// TestNewWithoutDescriptors: a group for which the descriptors do not suffice is not made, and has none.
func TestNewWithoutDescriptors(t *testing.T) {
	if !fewDescriptors(t) {
		return
	}
	before := lowest(t)
	for n := range 4 {
		end := limit(t, n)
		g, err := New(2) // of four
		end()
		if !errors.Is(err, syscall.EMFILE) || g != nil {
			t.Errorf("with %d descriptors: %v, wanted EMFILE", n, err)
		}
		if now := lowest(t); now != before {
			t.Errorf("with %d descriptors: some are open", n)
		}
	}
	g, err := New(2)
	if err != nil {
		t.Fatal(err)
	}
	g.Close()
	if lowest(t) != before {
		t.Error("descriptors are open after Close")
	}
}

// TestAcceptWithoutDescriptors: accepting fails while there are none, and goes on when there are.
func TestAcceptWithoutDescriptors(t *testing.T) {
	if !fewDescriptors(t) {
		return
	}
	g := newGroup(t, 1)
	ln, from := open(t, g, "127.0.0.1:0")
	far := dial(t, ln)
	end := limit(t, 0)
	for range 3 {
		if c, err := from.Accept(); !errors.Is(err, syscall.EMFILE) || c != nil {
			t.Errorf("%v, wanted EMFILE", err)
		}
	}
	end()
	c, err := from.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	if err := c.Watch(); err != nil {
		t.Fatal(err)
	}
	say(t, far, "hello")
	hear(t, c, "hello")
}

// TestCloseEndsAll opens and closes groups with work of every kind. TestMain sees whether a goroutine is left.
func TestCloseEndsAll(t *testing.T) {
	for range 20 {
		g, err := New(2)
		if err != nil {
			t.Fatal(err)
		}
		var conns []*Conn
		for i := range 10 {
			c, _ := pair(t, g)
			conns = append(conns, c)
			switch i % 5 {
			case 0:
				rest(t, c, &echo{c: c})
			case 1:
				by(g, "worker", c, func() { _, _ = c.Read(make([]byte, 1)) })
			case 2:
				by(g, "goroutine", c, func() { _, _ = c.Read(make([]byte, 1)) })
			case 3:
				_ = c.SetDeadline(time.Now().Add(time.Millisecond)) // which may come while the group is closed
				rest(t, c, task(func(*Worker) {}))
			case 4:
				by(g, "worker", c, func() {
					_ = c.SetReadDeadline(time.Now().Add(time.Hour))
					_, _, _ = c.Ask([]byte("question"))
				})
			}
		}
		for _, c := range conns {
			_ = c.Close()
		}
		over := make(chan struct{})
		go func() {
			defer close(over)
			g.Close()
		}()
		within(t, "it is not closed", over)
	}
}

// TestAddresses: both sides of a connection say the same of it.
func TestAddresses(t *testing.T) {
	g := newGroup(t, 1)
	for _, address := range []string{"127.0.0.1:0", "[::1]:0", "[::]:0"} {
		ln, from := open(t, g, address)
		far := dial(t, ln)
		c, err := from.Accept()
		if err != nil {
			t.Fatal(err)
		}
		sameAddresses(t, c, far)
		if err := c.Watch(); err != nil {
			t.Error(err)
		}
		_ = c.Close()
		sameAddresses(t, nil, far)
	}
}

func sameAddresses(t *testing.T, c *Conn, far *net.TCPConn) {
	t.Helper()
	if c == nil {
		return
	}
	here, there := c.LocalAddr().(*net.TCPAddr), c.RemoteAddr().(*net.TCPAddr)
	farHere, farThere := far.RemoteAddr().(*net.TCPAddr), far.LocalAddr().(*net.TCPAddr)
	if !here.IP.Equal(farHere.IP) || here.Port != farHere.Port || here.Network() != "tcp" {
		t.Errorf("it is at %v, seen from there at %v", here, farHere)
	}
	if !there.IP.Equal(farThere.IP) || there.Port != farThere.Port {
		t.Errorf("the other is at %v, seen from there at %v", there, farThere)
	}
	if got := c.Remote(); fmt.Sprint(got.Port()) != fmt.Sprint(there.Port) || !there.IP.Equal(net.IP(got.Addr().AsSlice())) {
		t.Errorf("Remote is %v, RemoteAddr %v", got, there)
	}
}

// TestAdopt: a connection of package net goes on as one of the group's, with what has come already.
func TestAdopt(t *testing.T) {
	g := newGroup(t, 1)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	for _, way := range ways {
		far := dial(t, ln)
		near, err := ln.Accept()
		if err != nil {
			t.Fatal(err)
		}
		say(t, far, "hello")
		conn, err := g.Adopt(near.(*net.TCPConn))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := near.Write([]byte("x")); !errors.Is(err, net.ErrClosed) {
			t.Errorf("%v: package net has it too", err)
		}
		c := conn.(*Conn)
		sameAddresses(t, c, far)
		got := make([]byte, 5)
		within(t, "what has come is not read", by(g, way, c, func() {
			_ = c.SetReadDeadline(time.Now().Add(patience))
			if n, err := c.Read(got); err != nil || string(got[:n]) != "hello" {
				t.Errorf("%q, %v", got[:n], err)
			}
		}))
		_ = c.Close()
	}
	gone := dial(t, ln)
	gone.Close()
	if _, err := g.Adopt(gone); err == nil {
		t.Error("a closed connection is adopted")
	}
}
