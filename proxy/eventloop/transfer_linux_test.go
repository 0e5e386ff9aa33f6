package eventloop

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"io"
	"net"
	"sync"
	"testing"
	"time"
)

// bulk is more than the kernel holds for a connection.
func bulk() []byte {
	p := make([]byte, 16<<20)
	for i := range p {
		p[i] = byte(i * 7 >> 3)
	}
	return p
}

// readSlowly reads to the end, with pauses at the beginning, and returns the hash.
func readSlowly(from io.Reader) (hash [sha256.Size]byte, n int64, err error) {
	h := sha256.New()
	for range 10 {
		m, err := io.CopyN(h, from, 1000)
		n += m
		if err != nil {
			return hash, n, err
		}
		time.Sleep(time.Millisecond)
	}
	m, err := io.Copy(h, from)
	return [sha256.Size]byte(h.Sum(nil)), n + m, err
}

// TestWriteToSlowReader writes more than there is room for.
func TestWriteToSlowReader(t *testing.T) {
	g := newGroup(t, 2)
	sent := bulk()
	for _, way := range ways {
		t.Run(way, func(t *testing.T) {
			c, far := pair(t, g)
			over := by(g, way, c, func() {
				for range 2 { // the second time the loop tells of room already
					if n, err := c.Write(sent[:len(sent)/2]); n != len(sent)/2 || err != nil {
						t.Errorf("wrote %d, %v", n, err)
					}
				}
				if err := c.CloseWrite(); err != nil {
					t.Error(err)
				}
			})
			waiting(t, &c.out)
			hash, n, err := readSlowly(far)
			within(t, "it writes on", over)
			half := sha256.New()
			half.Write(sent[:len(sent)/2])
			half.Write(sent[:len(sent)/2])
			if err != nil || n != int64(len(sent)) || !bytes.Equal(hash[:], half.Sum(nil)) {
				t.Errorf("%d bytes, %v, not what was sent", n, err)
			}
		})
	}
}

// TestBothWays writes and reads at the same time: by two workers, by two goroutines, and by one of each.
func TestBothWays(t *testing.T) {
	g := newGroup(t, 2)
	sent := bulk()
	want := sha256.Sum256(sent)
	for _, reader := range ways {
		for _, writer := range ways {
			t.Run(reader+" and "+writer, func(t *testing.T) {
				c, far := pair(t, g)
				var all sync.WaitGroup
				all.Add(2)
				run := func(way string, use func(*Worker), f func() error) {
					job := func(w *Worker) {
						defer all.Done()
						use(w)
						if err := f(); err != nil {
							t.Error(err)
						}
					}
					if way == "worker" {
						g.Go(job)
					} else {
						go job(nil)
					}
				}
				h := sha256.New()
				run(reader, c.UseReading, func() error { _, err := c.WriteTo(h); return err })
				run(writer, c.UseWriting, func() error {
					_, err := c.Write(sent)
					_ = c.CloseWrite()
					return err
				})
				all.Go(func() {
					_, err := far.Write(sent)
					_ = far.CloseWrite()
					if err != nil {
						t.Error(err)
					}
				})
				hash, n, err := readSlowly(far)
				all.Wait()
				if err != nil || n != int64(len(sent)) || hash != want {
					t.Errorf("%d bytes came out, %v", n, err)
				}
				if !bytes.Equal(h.Sum(nil), want[:]) {
					t.Error("other bytes came in than were sent")
				}
			})
		}
	}
}

// TestRelay copies between two connections, as a tunnel does.
func TestRelay(t *testing.T) {
	g := newGroup(t, 2)
	a, farA := pair(t, g)
	b, farB := pair(t, g)
	var both sync.WaitGroup
	for from, to := range map[*Conn]*Conn{a: b, b: a} {
		both.Go(func() {
			if _, err := io.Copy(to, from); err != nil {
				t.Error(err)
			}
			_ = to.CloseWrite()
		})
	}
	go func() {
		_, _ = io.Copy(farB, farB)
		_ = farB.CloseWrite()
	}()
	sent := bulk()
	go func() {
		_, _ = farA.Write(sent)
		_ = farA.CloseWrite()
	}()
	hash, n, err := readSlowly(farA)
	both.Wait()
	if err != nil || hash != sha256.Sum256(sent) {
		t.Errorf("%d of %d bytes, %v", n, len(sent), err)
	}
}

// TestAskWithoutRoom: what there is no room for is left to Write, and nothing is waited for.
func TestAskWithoutRoom(t *testing.T) {
	c, far := pair(t, newGroup(t, 1))
	_ = c.SetReadDeadline(time.Now().Add(patience))
	piece := make([]byte, 60<<10)
	var sent int64
	for asked := len(piece); asked == len(piece); {
		var late, err error
		done, waited := make(chan struct{}), false
		go func() { // one that was sent whole waits for its answer
			defer close(done)
			asked, late, err = c.Ask(piece)
		}()
		soon(t, "the question is neither sent nor given up", func() bool {
			select {
			case <-done:
				return true
			default:
				waited = c.in.state.Load() == sideWaiting
				return waited
			}
		})
		c.in.rouse(c.group)
		within(t, "the question does not end", done)
		if late != nil || err != nil {
			t.Fatal(late, err)
		}
		if waited && asked < len(piece) {
			t.Error("an answer is waited for although the question is not out")
		}
		sent += int64(asked)
	}
	over := make(chan error, 1)
	go func() {
		_, err := c.Write(piece)
		over <- err
	}()
	if n, err := io.CopyN(io.Discard, far, sent+int64(len(piece))); err != nil {
		t.Errorf("%d bytes, %v", n, err)
	}
	if err := within(t, "it writes on", over); err != nil {
		t.Error(err)
	}
}

// TestAsk: the answer is there when Ask is over, however soon it comes, and was not taken.
func TestAsk(t *testing.T) {
	g := newGroup(t, 1)
	for _, way := range ways {
		c, far := pair(t, g)
		go func() {
			question := make([]byte, 8)
			for {
				if _, err := io.ReadFull(far, question); err != nil {
					return
				}
				_, _ = far.Write([]byte("answer"))
			}
		}()
		over := by(g, way, c, func() {
			_ = c.SetReadDeadline(time.Now().Add(patience))
			got := make([]byte, 10)
			for range 2000 {
				n, late, err := c.Ask([]byte("question"))
				if n != 8 || late != nil || err != nil {
					t.Errorf("asked %d bytes, %v, %v", n, late, err)
					return
				}
				if n, err := c.Read(got); err != nil || string(got[:n]) != "answer" {
					t.Errorf("%q, %v", got[:n], err)
					return
				}
			}
		})
		within(t, "a question is not answered", over)
	}
}

// TestAskNotSilent: nothing is asked where there is something to read, or an end.
func TestAskNotSilent(t *testing.T) {
	g := newGroup(t, 1)
	for name, end := range map[string]func(far *net.TCPConn){
		"bytes": func(far *net.TCPConn) { say(t, far, "late") },
		"end":   func(far *net.TCPConn) { _ = far.CloseWrite() },
	} {
		c, far := pair(t, g)
		if !c.Silent() {
			t.Errorf("%s: it is not silent before", name)
		}
		end(far)
		soon(t, "nothing arrives", func() bool { return !c.Silent() })
		if n, late, err := c.Ask([]byte("question")); n != 0 || late != nil || err == nil {
			t.Errorf("%s: asked %d bytes, %v, %v", name, n, late, err)
		}
		say(t, c, "no question")
		hear(t, far, "no question")
	}
}

// TestWritev writes more parts, and more bytes, than one call takes, and leaves the parts as they are.
func TestWritev(t *testing.T) {
	g := newGroup(t, 2)
	sent := bulk()
	var parts [][]byte
	for rest, n := sent, 0; len(rest) > 0; n++ {
		size := min(len(rest), n%5*300)
		if n == 3*mostParts {
			size = len(rest)
		}
		parts = append(parts, rest[:size])
		rest = rest[size:]
	}
	if len(parts) < 2*mostParts {
		t.Fatalf("%d parts", len(parts))
	}
	for _, way := range ways {
		t.Run(way, func(t *testing.T) {
			c, far := pair(t, g)
			over := by(g, way, c, func() {
				if n, err := c.Writev(parts); n != int64(len(sent)) || err != nil {
					t.Errorf("wrote %d, %v", n, err)
				}
				if err := c.CloseWrite(); err != nil {
					t.Error(err)
				}
			})
			waiting(t, &c.out)
			hash, n, err := readSlowly(far)
			within(t, "it writes on", over)
			if want := sha256.Sum256(sent); err != nil || n != int64(len(sent)) || hash != want {
				t.Errorf("%d bytes, %v, not what was sent", n, err)
			}
			if !bytes.Equal(bytes.Join(parts, nil), sent) {
				t.Error("the parts were changed")
			}
			_ = c.Close()
			if _, err := c.Writev(parts); !errors.Is(err, net.ErrClosed) {
				t.Errorf("after Close: %v", err)
			}
		})
	}
}
