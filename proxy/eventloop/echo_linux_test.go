package eventloop

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"syscall"
	"testing"
	"time"
)

// echo answers what comes with itself, and rests between.
type echo struct {
	c      *Conn
	leaves bool // its loop goes on beside it
}

func (e *echo) Run(w *Worker) {
	var buffer [100]byte
	for {
		e.c.Use(w)
		n, err := e.c.TryRead(buffer[:])
		if e.leaves {
			w.Leave()
		}
		if err == nil {
			_, err = e.c.Write(buffer[:n])
		}
		if err != nil && err != syscall.EAGAIN {
			_ = e.c.Close()
			return
		}
		if e.c.Rest(e) {
			return
		}
	}
}

// serve accepts connections and begins a job for each, until it is closed. It returns when the accepting is over.
func serve(t testing.TB, g *Group, from *Listener, begin func(c *Conn) Job) (over <-chan struct{}) {
	ended := make(chan struct{})
	g.Go(func(w *Worker) {
		defer close(ended)
		for {
			from.Use(w)
			c, err := from.Accept()
			if err != nil {
				if !errors.Is(err, net.ErrClosed) {
					t.Error(err)
				}
				return
			}
			if !c.Rest(begin(c)) {
				t.Error("a connection that nobody knows does not rest")
			}
			if err := c.Watch(); err != nil {
				t.Error(err)
			}
		}
	})
	return ended
}

// TestEcho moves bytes both ways over many connections, in pieces and with pauses of random lengths. Every byte comes back.
func TestEcho(t *testing.T) {
	g := newGroup(t, 2)
	ln, from := open(t, g, "127.0.0.1:0")
	accepted := serve(t, g, from, func(c *Conn) Job { return &echo{c: c} })
	var clients sync.WaitGroup
	for i := range 40 {
		far := dial(t, ln)
		clients.Go(func() {
			random := rand.New(rand.NewPCG(1, uint64(i)))
			sent := make([]byte, 20_000)
			for i := range sent {
				sent[i] = byte(random.Uint32())
			}
			talk(t, far, sent, random)
		})
	}
	clients.Wait()
	from.Close()
	within(t, "it accepts on", accepted)
}

// talk sends in pieces and checks what comes back.
func talk(t *testing.T, far *net.TCPConn, sent []byte, random *rand.Rand) {
	wrote := make(chan error, 1)
	go func() {
		for left := sent; len(left) > 0; {
			n := min(1+random.IntN(300), len(left))
			if _, err := far.Write(left[:n]); err != nil {
				wrote <- err
				return
			}
			left = left[n:]
			if random.IntN(4) == 0 { // it rests meanwhile, or does not
				time.Sleep(time.Duration(random.IntN(1000)) * time.Microsecond)
			}
		}
		wrote <- far.CloseWrite()
	}()
	got, err := io.ReadAll(far)
	if werr := <-wrote; err != nil || werr != nil {
		t.Errorf("%v, %v", err, werr)
	}
	if !bytes.Equal(got, sent) {
		t.Errorf("%d bytes came back, not the %d that were sent", len(got), len(sent))
	}
}

// TestAnswerAndQuestion: many exchanges over one connection, each of which rests, and none of which is lost.
func TestAnswerAndQuestion(t *testing.T) {
	for _, leaves := range []bool{false, true} { // where it leaves, the next question may be told while it is about to rest
		g := newGroup(t, 2)
		c, far := pair(t, g)
		rest(t, c, &echo{c: c, leaves: leaves})
		for range 5000 {
			say(t, far, "question")
			hear(t, far, "question")
		}
	}
}
