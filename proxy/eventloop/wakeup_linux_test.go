package eventloop

import (
	"errors"
	"os"
	"syscall"
	"testing"
	"time"

	"rehydra/proxy/socket"
)

// told waits until the loop has told of what came.
func told(t *testing.T, s *side) {
	t.Helper()
	soon(t, "nothing is told", func() bool { return !s.quiet() })
}

// TestDeadlineBesideBytes: a deadline that is over in the moment in which a reader learns that bytes have come does not take them out of sight.
func TestDeadlineBesideBytes(t *testing.T) {
	g := newGroup(t, 1)
	for name, read := range map[string]func(c *Conn) error{
		"Read": func(c *Conn) error {
			_, err := c.Read(make([]byte, 10))
			return err
		},
		"WriteTo": func(c *Conn) error {
			_, err := c.WriteTo(writerFunc(func(p []byte) (int, error) { return len(p), errEnough }))
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			c, far := pair(t, g)
			say(t, far, "bytes")
			told(t, &c.in)
			c.Use(&Worker{yield: func(s *side) bool { // between the look at the deadline and the wait
				_ = c.SetReadDeadline(time.Unix(1, 0))
				if s.arm(waiter{wake: make(chan struct{}, 1)}) {
					t.Error("what was told is forgotten")
				}
				return true
			}})
			if err := read(c); !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Fatalf("%v, wanted the deadline", err)
			}
			c.Use(nil)
			_ = c.SetReadDeadline(time.Now().Add(patience))
			if err := read(c); err != nil && !errors.Is(err, errEnough) {
				t.Errorf("%v, wanted what has come", err)
			}
		})
	}
}

var errEnough = errors.New("enough")

type writerFunc func(p []byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// TestReadAfterNotSilent: what made a question impossible can be read.
func TestReadAfterNotSilent(t *testing.T) {
	c, far := pair(t, newGroup(t, 1))
	say(t, far, "late")
	told(t, &c.in)
	if n, late, err := c.Ask([]byte("question")); n != 0 || late != nil || !errors.Is(err, socket.ErrNotSilent) {
		t.Fatalf("asked %d bytes, %v, %v, wanted ErrNotSilent", n, late, err)
	}
	_ = c.SetReadDeadline(time.Now().Add(patience))
	hear(t, c, "late")
}

// TestWriterWaitsForReader: one event is for both sides, and who writes waits for who reads.
func TestWriterWaitsForReader(t *testing.T) {
	g := newGroup(t, 1)
	c, _ := pair(t, g)
	for name, reader := range map[string]func(read chan struct{}) waiter{
		"goroutine": func(read chan struct{}) waiter { return waiter{wake: read} },
		"job":       func(read chan struct{}) waiter { return waiter{job: task(func(*Worker) { close(read) })} },
	} {
		t.Run(name, func(t *testing.T) {
			c.in.forget()
			read, wrote := make(chan struct{}, 1), make(chan struct{})
			if !c.in.arm(reader(read)) || !c.out.arm(waiter{job: task(func(*Worker) {
				<-read
				close(wrote)
			})}) {
				t.Fatal("something has happened")
			}
			alone := &loop{group: g} // that nobody leads
			go alone.tell(c.fd, true, true, false)
			within(t, "the reader is not told", wrote)
		})
	}
}

// TestWriteAgain: room that could not be waited for is waited for the next time.
func TestWriteAgain(t *testing.T) {
	c, far := unwatched(t, newGroup(t, 1))
	piece := make([]byte, 8<<20)
	if n, err := c.Write(piece); !errors.Is(err, syscall.ENOENT) || n == len(piece) {
		t.Fatalf("wrote %d bytes, %v, wanted ENOENT: no loop knows of it", n, err)
	}
	if err := c.Watch(); err != nil {
		t.Fatal(err)
	}
	go drain(far)
	_ = c.SetWriteDeadline(time.Now().Add(patience))
	if _, err := c.Write(piece); err != nil {
		t.Error(err)
	}
}

// drain reads until nothing comes any more.
func drain(from interface{ Read(p []byte) (int, error) }) {
	for buffer := make([]byte, 64<<10); ; {
		if _, err := from.Read(buffer); err != nil {
			return
		}
	}
}

// TestNothingToRead: a read of no bytes does not wait.
func TestNothingToRead(t *testing.T) {
	c, _ := pair(t, newGroup(t, 1))
	_ = c.SetReadDeadline(time.Now().Add(patience))
	if n, err := c.Read(nil); n != 0 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
}
