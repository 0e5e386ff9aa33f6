package socket

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// pair returns the two ends of a connection, and the first one's RawConn.
func pair(t testing.TB) (here, there *net.TCPConn, raw syscall.RawConn) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	a, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	b, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	here, there = a.(*net.TCPConn), b.(*net.TCPConn)
	t.Cleanup(func() { here.Close(); there.Close() })
	if raw, err = here.SyscallConn(); err != nil {
		t.Fatal(err)
	}
	return here, there, raw
}

func say(t testing.TB, c net.Conn, text string) {
	t.Helper()
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
}

// TestReadAndWrite moves more than the kernel holds both ways at once.
func TestReadAndWrite(t *testing.T) {
	_, there, raw := pair(t)
	var calls Calls
	sent := bytes.Repeat([]byte("0123456789abcdef"), 1<<18) // 4 MiB
	failed := make(chan error, 2)
	go func() {
		_, err := there.Write(sent)
		failed <- err
	}()
	go func() {
		n, err := calls.Write(raw, sent)
		if n != len(sent) && err == nil {
			err = io.ErrShortWrite
		}
		failed <- err
	}()
	far := make(chan []byte)
	go func() {
		got := make([]byte, len(sent))
		n, _ := io.ReadFull(there, got)
		far <- got[:n]
	}()
	near := make([]byte, 0, len(sent))
	for len(near) < len(sent) {
		n, err := calls.Read(raw, near[len(near):min(len(near)+1000, len(sent))])
		if err != nil {
			t.Fatal(err)
		}
		near = near[:len(near)+n]
	}
	if !bytes.Equal(near, sent) || !bytes.Equal(<-far, sent) {
		t.Error("other bytes arrived than were sent")
	}
	for range 2 {
		if err := <-failed; err != nil {
			t.Error(err)
		}
	}
}

func TestReadEnds(t *testing.T) {
	for _, c := range []struct {
		name string
		end  func(here, there *net.TCPConn) error
		want error
	}{
		{"an end", func(_, there *net.TCPConn) error { return there.Close() }, io.EOF},
		{"a reset", func(_, there *net.TCPConn) error {
			if err := there.SetLinger(0); err != nil {
				return err
			}
			return there.Close()
		}, syscall.ECONNRESET},
		{"a deadline", func(here, _ *net.TCPConn) error { return here.SetReadDeadline(time.Now()) }, os.ErrDeadlineExceeded},
		{"a close here", func(here, _ *net.TCPConn) error { return here.Close() }, net.ErrClosed},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, by := range []string{"Read", "Ask"} {
				here, there, raw := pair(t)
				var calls Calls
				done := make(chan error)
				began := make(chan bool)
				go func() {
					close(began)
					if by == "Read" {
						n, err := calls.Read(raw, make([]byte, 10))
						if n != 0 {
							err = errors.New("something was read")
						}
						done <- err
						return
					}
					n, late, err := calls.Ask(raw, []byte("question"))
					if err == nil && n == len("question") && late == nil { // what ended the wait is the read's to tell
						_, late = calls.Read(raw, make([]byte, 10))
					}
					done <- errors.Join(late, err)
				}()
				<-began
				if by == "Ask" { // it is written when the other side has it
					if _, err := io.ReadFull(there, make([]byte, len("question"))); err != nil {
						t.Fatal(err)
					}
				}
				if err := c.end(here, there); err != nil {
					t.Fatal(err)
				}
				if err := <-done; !errors.Is(err, c.want) {
					t.Errorf("%s ends with %v, wanted %v", by, err, c.want)
				}
			}
		})
	}
}

func TestWriteEnds(t *testing.T) {
	here, there, raw := pair(t)
	var calls Calls
	if err := here.SetWriteDeadline(time.Now().Add(2 * time.Second)); err != nil { // by when some of it is written, on a loaded machine too
		t.Fatal(err)
	}
	n, err := calls.Write(raw, make([]byte, 64<<20)) // more than the kernel takes
	if !errors.Is(err, os.ErrDeadlineExceeded) || n == 0 || n == 64<<20 {
		t.Errorf("wrote %d, %v, wanted some and the deadline", n, err)
	}
	if err := here.SetWriteDeadline(time.Time{}); err != nil {
		t.Fatal(err)
	}
	if err := there.SetLinger(0); err != nil {
		t.Fatal(err)
	}
	there.Close()
	for err = nil; err == nil; {
		_, err = calls.Write(raw, []byte("x"))
	}
	if !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, syscall.EPIPE) {
		t.Errorf("writing to a connection that was reset: %v", err)
	}
}

// TestAsk: the answer is there when Ask is over, however soon it comes, and was not taken.
func TestAsk(t *testing.T) {
	_, there, raw := pair(t)
	var calls Calls
	go func() {
		question := make([]byte, 8)
		for {
			if _, err := io.ReadFull(there, question); err != nil {
				return
			}
			_, _ = there.Write([]byte("answer"))
		}
	}()
	for range 5000 {
		n, late, err := calls.Ask(raw, []byte("question"))
		if n != 8 || late != nil || err != nil {
			t.Fatalf("asked %d bytes, %v, %v", n, late, err)
		}
		got := make([]byte, 10)
		var m int
		if cerr := raw.Control(func(fd uintptr) { m, err = Receive(fd, got) }); cerr != nil || err != nil || string(got[:m]) != "answer" {
			t.Fatalf("%q, %v, %v, wanted the answer", got[:m], err, cerr)
		}
	}
}

// TestAskWithoutRoom: what the kernel does not take is left to Write.
func TestAskWithoutRoom(t *testing.T) {
	_, _, raw := pair(t)
	var calls Calls
	all := make([]byte, 1<<20)
	for total := 0; ; {
		n, late, err := calls.Ask(raw, all) // the other side neither reads nor answers: Ask must not wait for it
		if late != nil || err != nil {
			t.Fatal(late, err)
		}
		if total += n; n == len(all) || total > 1<<30 {
			t.Fatalf("%d bytes written in one call of at most %d", n, maxWrite)
		}
		if n == 0 {
			return // no room at all
		}
	}
}

func TestAskOfTheClosed(t *testing.T) {
	here, _, raw := pair(t)
	var calls Calls
	here.Close()
	if n, late, err := calls.Ask(raw, []byte("x")); n != 0 || late != nil || !errors.Is(err, net.ErrClosed) {
		t.Errorf("asked %d bytes, %v, %v, wanted an error of writing", n, late, err)
	}
}

func TestSilent(t *testing.T) {
	var calls Calls
	here, there, raw := pair(t)
	if !calls.Silent(raw) {
		t.Error("an open connection without a byte is not silent")
	}
	say(t, there, "surplus")
	await(t, "a byte is seen", func() bool { return !calls.Silent(raw) })
	got := make([]byte, 10)
	if n, err := here.Read(got); string(got[:n]) != "surplus" || err != nil {
		t.Errorf("%q, %v is left, wanted all", got[:n], err)
	}
	if !calls.Silent(raw) {
		t.Error("it is not silent again")
	}
	if err := there.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	await(t, "the end is seen", func() bool { return !calls.Silent(raw) })
	_, there, raw = pair(t)
	if err := there.SetLinger(0); err != nil {
		t.Fatal(err)
	}
	there.Close()
	await(t, "a reset is seen", func() bool { return !calls.Silent(raw) })
	here, _, raw = pair(t)
	here.Close()
	if calls.Silent(raw) {
		t.Error("a closed connection is silent")
	}
}

func await(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within 30 s: %s", what)
		}
	}
}

// BenchmarkAsk: a question and an answer by Ask, and by Write and Read.
func BenchmarkAsk(b *testing.B) {
	for _, by := range []string{"Ask", "Write"} {
		b.Run(by, func(b *testing.B) {
			_, there, raw := pair(b)
			var calls Calls
			go func() {
				question := make([]byte, 8)
				for {
					if _, err := io.ReadFull(there, question); err != nil {
						return
					}
					_, _ = there.Write(question)
				}
			}()
			question, answer := []byte("question"), make([]byte, 10)
			b.ReportAllocs()
			for b.Loop() {
				var err, late error
				if by == "Ask" {
					_, late, err = calls.Ask(raw, question)
				} else {
					_, err = calls.Write(raw, question)
				}
				if late != nil || err != nil {
					b.Fatal(late, err)
				}
				if _, err := calls.Read(raw, answer); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// TestAskLooksFirst: nothing is written to who has closed, or said something already, also just before.
func TestAskLooksFirst(t *testing.T) {
	for name, spoil := range map[string]func(there *net.TCPConn) error{
		"a surplus":  func(there *net.TCPConn) error { _, err := there.Write([]byte("x")); return err },
		"an end":     func(there *net.TCPConn) error { return there.CloseWrite() },
		"two of all": func(there *net.TCPConn) error { _, _ = there.Write([]byte("x")); return there.CloseWrite() },
	} {
		t.Run(name, func(t *testing.T) {
			_, there, raw := pair(t)
			var calls Calls
			if err := spoil(there); err != nil {
				t.Fatal(err)
			}
			await(t, "it has arrived", func() bool { return !calls.Silent(raw) })
			if n, late, err := calls.Ask(raw, []byte("question")); n != 0 || late != nil || !errors.Is(err, ErrNotSilent) {
				t.Errorf("asked %d bytes, %v, %v, wanted %v", n, late, err, ErrNotSilent)
			}
		})
	}
}
