package eventloop

import (
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

// wait is one of the calls that wait.
type wait struct {
	name string
	side func(c *Conn) *side
	call func(c *Conn) error
}

var waits = []wait{
	{"Read", inOf, func(c *Conn) error {
		_, err := c.Read(make([]byte, 10))
		return err
	}},
	{"WriteTo", inOf, func(c *Conn) error {
		_, err := c.WriteTo(writerFunc(func([]byte) (int, error) { return 0, errEnough }))
		return err
	}},
	{"RawRead", inOf, func(c *Conn) error {
		raw, err := c.SyscallConn()
		if err != nil {
			return err
		}
		return raw.Read(func(fd uintptr) bool {
			n, err := syscall.Read(int(fd), make([]byte, 10))
			return n >= 0 || !errors.Is(err, syscall.EAGAIN)
		})
	}},
	{"Ask", inOf, func(c *Conn) error {
		n, late, err := c.Ask([]byte("question"))
		if err == nil && late == nil && n != len("question") {
			return errors.New("the question was not asked")
		}
		return errors.Join(late, err)
	}},
	{"Write", outOf, func(c *Conn) error {
		_, err := c.Write(make([]byte, 32<<20)) // more than the kernel takes
		return err
	}},
	{"RawWrite", outOf, func(c *Conn) error {
		raw, err := c.SyscallConn()
		if err != nil {
			return err
		}
		piece := make([]byte, 1<<20)
		return raw.Write(func(fd uintptr) bool {
			for {
				if _, err := syscall.Write(int(fd), piece); err != nil {
					return !errors.Is(err, syscall.EAGAIN)
				}
			}
		})
	}},
}

func inOf(c *Conn) *side  { return &c.in }
func outOf(c *Conn) *side { return &c.out }

// setting sets the deadline of the side that a wait is for.
func (w *wait) setting(c *Conn) func(time.Time) error {
	if w.side(c) == &c.in {
		return c.SetReadDeadline
	}
	return c.SetWriteDeadline
}

// eachWait runs f for each wait in each way, with a connection of its own.
func eachWait(t *testing.T, g *Group, f func(t *testing.T, w *wait, way string, c *Conn, far *net.TCPConn)) {
	for i := range waits {
		for _, way := range ways {
			t.Run(waits[i].name+"/"+way, func(t *testing.T) {
				c, far := pair(t, g)
				f(t, &waits[i], way, c, far)
			})
		}
	}
}

// TestDeadlines: each wait ends with the deadline, whenever that was set and however it is moved.
func TestDeadlines(t *testing.T) {
	const soon = 30 * time.Millisecond
	ahead := func(d time.Duration) time.Time { return time.Now().Add(d) }
	moves := []struct {
		name   string
		before []time.Duration // that are set before the wait, from now; 0: none
		during []time.Duration // once somebody waits
	}{
		{"past", []time.Duration{-time.Second}, nil},
		{"future", []time.Duration{soon}, nil},
		{"passes before", []time.Duration{time.Nanosecond}, nil},
		{"earlier", []time.Duration{time.Hour, soon}, nil},
		{"later", []time.Duration{soon, 2 * soon}, nil},
		{"cleared and set", []time.Duration{-time.Second, 0, soon}, nil},
		{"set while it waits", nil, []time.Duration{soon}},
		{"past while it waits", nil, []time.Duration{-time.Second}},
		{"earlier while it waits", []time.Duration{time.Hour}, []time.Duration{soon}},
		{"cleared and set while it waits", []time.Duration{time.Hour}, []time.Duration{0, soon}},
	}
	g := newGroup(t, 2)
	eachWait(t, g, func(t *testing.T, w *wait, way string, _ *Conn, _ *net.TCPConn) {
		for _, m := range moves {
			c, _ := pair(t, g)
			set := func(moves []time.Duration) {
				for _, d := range moves {
					at := time.Time{}
					if d != 0 {
						at = ahead(d)
					}
					if err := w.setting(c)(at); err != nil {
						t.Error(err)
					}
				}
			}
			set(m.before)
			var got error
			over := by(g, way, c, func() { got = w.call(c) })
			if m.during != nil {
				waiting(t, w.side(c))
				set(m.during)
			}
			within(t, m.name+": the deadline is not told", over)
			if !errors.Is(got, os.ErrDeadlineExceeded) {
				t.Errorf("%s: %v, wanted the deadline", m.name, got)
			}
			var timeout net.Error
			if !errors.As(got, &timeout) || !timeout.Timeout() {
				t.Errorf("%s: %v is no time-out", m.name, got)
			}
		}
	})
}

// TestDeadlineMovedOn: a deadline that was moved on or cleared before it came ends nothing.
func TestDeadlineMovedOn(t *testing.T) {
	g := newGroup(t, 2)
	for _, way := range ways {
		for _, to := range []time.Duration{0, time.Hour} {
			c, far := pair(t, g)
			var got error
			_ = c.SetDeadline(time.Now().Add(time.Hour))
			over := by(g, way, c, func() { _, got = c.Read(make([]byte, 10)) })
			waiting(t, &c.in)
			for range 1000 { // the timer is often about to be over
				at := time.Time{}
				if to != 0 {
					at = time.Now().Add(to)
				}
				_ = c.SetReadDeadline(time.Now().Add(time.Hour))
				_ = c.SetReadDeadline(at)
			}
			c.in.late() // as a timer whose end has crossed the setting
			if c.in.state.Load() != sideWaiting {
				t.Error("it is told of a deadline that is none")
			}
			say(t, far, "x")
			within(t, "nothing is read", over)
			if got != nil {
				t.Error(got)
			}
		}
	}
}

// TestDeadlineOfRest: a job that rests is begun when its deadline is over, and does not rest where it is already.
func TestDeadlineOfRest(t *testing.T) {
	g := newGroup(t, 1)
	for _, d := range []time.Duration{time.Nanosecond, 20 * time.Millisecond} {
		c, _ := pair(t, g)
		begun := make(chan error, 1)
		j := task(func(w *Worker) {
			c.Use(w)
			_, err := c.TryRead(make([]byte, 1))
			begun <- err
		})
		rest(t, c, j)
		_ = c.SetReadDeadline(time.Now().Add(d))
		if err := within(t, "the job is not begun", begun); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%v, wanted the deadline", err)
		}
		c.in.forget()
		c.dry = true // so that nothing but the deadline is against it
		if c.Rest(j) {
			t.Error("it rests although its time is over")
		}
	}
}

// TestDeadlineMeetsWait: a deadline that is set at the moment in which somebody begins to wait ends the wait.
func TestDeadlineMeetsWait(t *testing.T) {
	g := newGroup(t, 2)
	for _, way := range ways {
		for range 500 {
			c, _ := pair(t, g)
			set := make(chan struct{})
			go func() {
				defer close(set)
				_ = c.SetReadDeadline(time.Now().Add(time.Millisecond)) // it is open
			}()
			over := by(g, way, c, func() {
				if _, err := c.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
					t.Errorf("%s: %v, wanted the deadline", way, err)
				}
			})
			within(t, way+": the deadline is not told", over)
			<-set
			_ = c.Close() // twice is no matter
		}
	}
}

// TestDeadlineWithoutWait: who does not wait needs no timer.
func TestDeadlineWithoutWait(t *testing.T) {
	g := newGroup(t, 1)
	c, far := pair(t, g)
	if err := c.SetDeadline(time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	say(t, c, "hello")
	hear(t, far, "hello")
	if c.out.timer != nil {
		t.Error("a write that did not wait has made a timer")
	}
}

// TestDeadlineByWallClock: a deadline without a reading of the monotonic clock is kept as one that has it, so that setting the clock back costs nothing.
func TestDeadlineByWallClock(t *testing.T) {
	c, _ := pair(t, newGroup(t, 1))
	at := time.Now().Add(time.Hour).Round(0)
	_ = c.SetReadDeadline(at)
	if kept := c.in.at; !strings.Contains(kept.String(), " m=") {
		t.Errorf("%v is kept as %v", at, kept)
	}
}

// TestDeadlineAfterClose: a closed connection has no timer.
func TestDeadlineAfterClose(t *testing.T) {
	g := newGroup(t, 1)
	c, _ := pair(t, g)
	_ = c.Close()
	for _, set := range []func(time.Time) error{c.SetDeadline, c.SetReadDeadline, c.SetWriteDeadline} {
		if err := set(time.Now().Add(time.Hour)); !errors.Is(err, net.ErrClosed) {
			t.Errorf("%v, wanted ErrClosed", err)
		}
	}
	c.in.setDeadline(g, time.Now().Add(time.Hour)) // as one that came to Close's look a moment before
	if c.in.timer != nil {
		t.Error("a timer keeps a connection that is closed")
	}
}

// TestWriteWithin: a write waits for room as long as it may, whatever deadline stands, and needs a timer for that alone.
func TestWriteWithin(t *testing.T) {
	g := newGroup(t, 1)
	for _, way := range ways {
		t.Run(way, func(t *testing.T) {
			c, far := pair(t, g)
			over := by(g, way, c, func() {
				if n, err := c.WriteWithin([]byte("hello"), time.Nanosecond); n != 5 || err != nil || c.out.timer != nil {
					t.Errorf("wrote %d, %v, with a timer: %v", n, err, c.out.timer != nil)
				}
				_ = c.SetWriteDeadline(time.Unix(1, 0))
				n, err := c.WriteWithin(make([]byte, 64<<20), 20*time.Millisecond) // more than the kernel takes
				if n == 0 || n == 64<<20 || !errors.Is(err, os.ErrDeadlineExceeded) {
					t.Errorf("wrote %d, %v, wanted some and the deadline", n, err)
				}
				go func() { _, _ = io.Copy(io.Discard, far) }()
				if n, err := c.WriteWithin(make([]byte, 16<<20), patience); n != 16<<20 || err != nil {
					t.Errorf("wrote %d, %v once there is somebody who reads", n, err)
				}
				_ = c.Close()
				if n, err := c.WriteWithin([]byte("hello"), patience); n != 0 || !errors.Is(err, net.ErrClosed) {
					t.Errorf("wrote %d, %v to a connection that is closed", n, err)
				}
			})
			within(t, "a write does not end", over)
		})
	}
}
