package eventloop

import (
	"errors"
	"io"
	"net"
	"sync"
	"syscall"
	"testing"
)

// TestCloseEndsWaits: who waits for a connection that is closed is told so.
func TestCloseEndsWaits(t *testing.T) {
	g := newGroup(t, 2)
	eachWait(t, g, func(t *testing.T, w *wait, way string, c *Conn, _ *net.TCPConn) {
		var got error
		over := by(g, way, c, func() { got = w.call(c) })
		waiting(t, w.side(c))
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		within(t, "it waits on", over)
		if !errors.Is(got, net.ErrClosed) {
			t.Errorf("%v, wanted ErrClosed", got)
		}
	})
}

// TestUseAfterClose: each call fails.
func TestUseAfterClose(t *testing.T) {
	c, _ := pair(t, newGroup(t, 1))
	raw, err := c.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	_ = c.Close()
	never := func(uintptr) bool {
		t.Error("a descriptor of nothing")
		return true
	}
	p := make([]byte, 1)
	for name, call := range map[string]func() error{
		"Read":       func() error { _, err := c.Read(p); return err },
		"TryRead":    func() error { _, err := c.TryRead(p); return err },
		"WriteTo":    func() error { _, err := c.WriteTo(io.Discard); return err },
		"Write":      func() error { _, err := c.Write(p); return err },
		"Ask":        func() error { _, _, err := c.Ask(p); return err },
		"Watch":      c.Watch,
		"CloseWrite": c.CloseWrite,
		"SetLinger":  func() error { return c.SetLinger(0) },
		"Close":      c.Close,
		"RawRead":    func() error { return raw.Read(never) },
		"RawWrite":   func() error { return raw.Write(never) },
		"Control":    func() error { return raw.Control(func(fd uintptr) { never(fd) }) },
	} {
		if err := call(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("%s: %v, wanted ErrClosed", name, err)
		}
	}
	if c.Silent() {
		t.Error("a closed connection is open and silent")
	}
	if c.Rest(task(func(*Worker) { t.Error("the job is begun") })) {
		t.Error("a job rests on a closed connection")
	}
	if at := c.LocalAddr().(*net.TCPAddr); at.IP != nil {
		t.Errorf("it is at %v", at)
	}
}

// TestCloseBeginsJob: a job that rests is begun once, and finds the connection closed.
func TestCloseBeginsJob(t *testing.T) {
	g := newGroup(t, 1)
	c, _ := pair(t, g)
	begun := make(chan error, 2)
	rest(t, c, task(func(w *Worker) {
		c.Use(w)
		_, err := c.Read(make([]byte, 1))
		begun <- err
	}))
	_ = c.Close()
	if err := within(t, "the job is not begun", begun); !errors.Is(err, net.ErrClosed) {
		t.Errorf("%v, wanted ErrClosed", err)
	}
	g.Close() // when it returns nothing runs
	if len(begun) > 0 {
		t.Error("the job is begun twice")
	}
}

// counted counts how often it is begun.
type counted struct {
	mu    sync.Mutex
	begun int
}

func (j *counted) Run(*Worker) {
	j.mu.Lock()
	j.begun++
	j.mu.Unlock()
}

// TestCloseBesideRest: of closing, bytes, a deadline and resting at the same time each job is begun once where it rests, and not where it does not.
func TestCloseBesideRest(t *testing.T) {
	g := newGroup(t, 2)
	ln, from := open(t, g, "127.0.0.1:0")
	for i := range 1000 {
		far, err := net.DialTimeout("tcp", ln.Addr().String(), patience)
		if err != nil {
			t.Fatal(err)
		}
		c, err := from.Accept()
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Watch(); err != nil {
			t.Fatal(err)
		}
		var j counted
		var rests bool
		var all sync.WaitGroup
		all.Go(func() { rests = c.Rest(&j) })
		if i%2 == 0 {
			all.Go(func() { _, _ = far.Write([]byte("x")) })
			all.Go(func() { c.in.rouse(g) })
		}
		all.Go(func() { _ = c.Close() })
		all.Wait()
		far.Close()
		soon(t, "the job is not begun", func() bool {
			j.mu.Lock()
			defer j.mu.Unlock()
			return !rests || j.begun > 0
		})
		if want := map[bool]int{true: 1}[rests]; j.begun != want {
			t.Fatalf("begun %d times, rests is %v", j.begun, rests)
		}
	}
}

// TestDescriptorIsKept: a descriptor that is used while the connection is closed is not another's meanwhile.
func TestDescriptorIsKept(t *testing.T) {
	c, far := pair(t, newGroup(t, 1))
	raw, err := c.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	if err := raw.Control(func(fd uintptr) {
		_ = c.Close()
		if _, err := syscall.Write(int(fd), []byte("last")); err != nil {
			t.Error(err)
		}
		if c.group.table.get(int(fd)) != c {
			t.Error("nobody has it")
		}
	}); err != nil {
		t.Error(err)
	}
	hear(t, far, "last")
	if _, err := far.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("%v: the descriptor is not closed", err)
	}
	if c.group.table.get(c.fd) != nil {
		t.Error("it is in the table although it is closed")
	}
}

// TestHalfClose: after the other side's end reading gives io.EOF, again and again, and writing goes on.
func TestHalfClose(t *testing.T) {
	g := newGroup(t, 1)
	for _, way := range ways {
		c, far := pair(t, g)
		over := by(g, way, c, func() {
			buffer := make([]byte, 10)
			if n, err := io.ReadFull(c, buffer[:4]); err != nil || string(buffer[:n]) != "last" {
				t.Errorf("%q, %v", buffer[:n], err)
			}
			for range 3 {
				if n, err := c.Read(buffer); n != 0 || !errors.Is(err, io.EOF) {
					t.Errorf("%d, %v, wanted EOF", n, err)
				}
			}
			if _, err := io.WriteString(c, "answer"); err != nil {
				t.Error(err)
			}
			if c.Silent() || c.Rest(task(func(*Worker) {})) {
				t.Error("something is to come after the end")
			}
			if err := c.CloseWrite(); err != nil {
				t.Error(err)
			}
		})
		say(t, far, "last")
		if err := far.CloseWrite(); err != nil {
			t.Fatal(err)
		}
		within(t, "the end is not told", over)
		hear(t, far, "answer")
		if _, err := far.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
			t.Errorf("%v after CloseWrite, wanted EOF", err)
		}
	}
}

// TestReset: who waits for what the other side has reset is told, and a job that rests is begun.
func TestReset(t *testing.T) {
	g := newGroup(t, 2)
	reset := func(far *net.TCPConn) {
		if err := far.SetLinger(0); err != nil {
			t.Error(err)
		}
		far.Close()
	}
	eachWait(t, g, func(t *testing.T, w *wait, way string, c *Conn, far *net.TCPConn) {
		var got, next error
		over := by(g, way, c, func() {
			got = w.call(c)
			_, next = c.Read(make([]byte, 1))
		})
		waiting(t, w.side(c))
		reset(far)
		within(t, "it waits on", over)
		switch w.name {
		case "Read", "WriteTo", "Write":
			if !errors.Is(got, syscall.ECONNRESET) {
				t.Errorf("%v, wanted ECONNRESET", got)
			}
		case "Ask": // what ended the wait is the read's to tell
			if got != nil || !errors.Is(next, syscall.ECONNRESET) {
				t.Errorf("%v, then %v, wanted nothing and ECONNRESET", got, next)
			}
		}
		if next == nil {
			t.Error("something is read after a reset")
		}
	})
	t.Run("Rest", func(t *testing.T) {
		c, far := pair(t, g)
		begun := make(chan error, 1)
		rest(t, c, task(func(w *Worker) {
			c.Use(w)
			_, err := c.TryRead(make([]byte, 1))
			begun <- err
		}))
		reset(far)
		if err := within(t, "the job is not begun", begun); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("%v, wanted ECONNRESET", err)
		}
	})
}

// TestSetLinger: a connection that is closed at once is reset.
func TestSetLinger(t *testing.T) {
	c, far := pair(t, newGroup(t, 1))
	if err := c.SetLinger(0); err != nil {
		t.Fatal(err)
	}
	_ = c.Close()
	if _, err := far.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("%v, wanted ECONNRESET", err)
	}
}
