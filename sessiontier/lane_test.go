package sessiontier

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/rainycape/memcache"
)

// pipedLane returns a lane and the other end of its connection; what is written there at once is read at once. The lane must have ended by the
// end of the test.
func pipedLane(t *testing.T, limit int64) (*lane, net.Conn) {
	ours, theirs := net.Pipe()
	var running sync.WaitGroup
	l := newLane(ours, limit, &running)
	t.Cleanup(func() {
		l.retire()
		running.Wait()
		theirs.Close()
	})
	if err := theirs.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return l, theirs
}

// listener is a stream that asked by hand.
func listener(deadline time.Duration) *stream {
	s := newStream(nil)
	s.asked, s.deadline = true, time.Now().Add(deadline)
	return s
}

// requestFor is a request whose key is all that it says.
func requestFor(key string) []byte {
	b := make([]byte, replyHead, replyHead+len(key))
	b[0], b[keyLengthAt+1] = 0x80, byte(len(key))
	binary.BigEndian.PutUint32(b[replyLength:], uint32(len(key)))
	return append(b, key...)
}

// readRequest reads a request and returns what comes after its head, and an answer that brings it back.
func readRequest(r io.Reader) (body string, answer []byte, err error) {
	head := make([]byte, replyHead)
	if _, err := io.ReadFull(r, head); err != nil {
		return "", nil, err
	}
	rest := make([]byte, binary.BigEndian.Uint32(head[replyLength:]))
	if _, err := io.ReadFull(r, rest); err != nil {
		return "", nil, err
	}
	answer = reply(0, 0, 0, uint32(len(rest)), 7)
	answer[opcodeAt] = head[opcodeAt]
	copy(answer[serialAt:serialAt+4], head[serialAt:])
	return string(rest), append(answer, rest...), nil
}

// heardBody is what a stream has heard after the head of its answer.
func heardBody(s *stream) (string, error) {
	head := make([]byte, replyHead)
	if _, err := io.ReadFull(s, head); err != nil {
		return "", err
	}
	body := make([]byte, binary.BigEndian.Uint32(head[replyLength:]))
	_, err := io.ReadFull(s, body)
	return string(body), err
}

// TestLaneGivesEachItsOwn: however the answers are cut into pieces on their way, each goes to whoever asked.
func TestLaneGivesEachItsOwn(t *testing.T) {
	for _, size := range []int{1, 7, 24, 25, 1000, 100_000} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			l, server := pipedLane(t, 40_000)
			const many = 20
			var all sync.WaitGroup
			all.Go(func() {
				var answers []byte
				for range many {
					_, answer, err := readRequest(server)
					if err != nil {
						t.Error(err)
						return
					}
					answers = append(answers, answer...)
				}
				for len(answers) > 0 {
					n, err := server.Write(answers[:min(size, len(answers))])
					if err != nil {
						t.Error(err)
						return
					}
					answers = answers[n:]
				}
			})
			for i := range many {
				all.Go(func() {
					s, key, value := listener(20*time.Second), fmt.Sprint("key", i), bytes.Repeat([]byte{byte('a' + i)}, i*100)
					if i == many/2 {
						value = bytes.Repeat([]byte{'x'}, 2*readRoom) // longer than what is read at once
					}
					request := requestFor(key)
					binary.BigEndian.PutUint32(request[replyLength:], uint32(len(key)+len(value)))
					if err := l.send(s, request, value); err != nil {
						t.Error(err)
					}
					if got, err := heardBody(s); err != nil || got != key+string(value) {
						t.Errorf("%s: %d bytes came back, error %v; want %d", key, len(got), err, len(key)+len(value))
					}
				})
			}
			all.Wait()
		})
	}
}

// TestLaneGathers: requests that are made while a write is under way go out together, in the next one.
func TestLaneGathers(t *testing.T) {
	l, server := pipedLane(t, 1000)
	send := func(key string) {
		if err := l.send(listener(20*time.Second), requestFor(key), nil); err != nil {
			t.Fatal(err)
		}
	}
	send("first")
	eventually(t, "the first write has begun", func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		return l.out.empty()
	})
	for range 9 {
		send("other")
	}
	for i, want := range []int{1, 9} {
		b := make([]byte, 4096)
		n, err := server.Read(b) // a pipe gives no more than one write
		if size := replyHead + len("first"); err != nil || n != want*size {
			t.Errorf("write %d: %d bytes, error %v; want %d requests of %d", i+1, n, err, want, size)
		}
	}
	server.Close()
}

// makeOverdue lets the time of an exchange, which was sent, be over.
func makeOverdue(t *testing.T, l *lane, s *stream) {
	t.Helper()
	eventually(t, "the write has ended", func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		return l.written == l.serial
	})
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range l.due {
		if l.due[i].to == s {
			l.due[i].deadline = time.Now()
		}
	}
	l.arm(time.Now())
}

// TestLaneThrowsLateAnswersAway: an answer that comes after its time belongs to nobody, and those after it to whom they belong.
func TestLaneThrowsLateAnswersAway(t *testing.T) {
	l, server := pipedLane(t, 1000)
	late, inTime := listener(20*time.Second), listener(20*time.Second)
	for _, s := range []*stream{late, inTime} {
		if err := l.send(s, requestFor("key"), nil); err != nil {
			t.Fatal(err)
		}
	}
	var answers []byte
	for range 2 {
		_, answer, err := readRequest(server)
		if err != nil {
			t.Fatal(err)
		}
		answers = append(answers, answer...)
	}
	makeOverdue(t, l, late)
	if _, err := heardBody(late); !errors.Is(err, os.ErrDeadlineExceeded) || !isTimeout(err) {
		t.Errorf("an answer that does not come: %v, want a time-out", err)
	}
	if _, err := server.Write(answers); err != nil {
		t.Fatal(err)
	}
	if got, err := heardBody(inTime); got != "key" || err != nil {
		t.Errorf("the answer after a late one: %q, %v", got, err)
	}
	if len(late.heard) != 0 {
		t.Error("the late answer was given to somebody")
	}
	// The lane goes on.
	again := listener(20 * time.Second)
	if err := l.send(again, requestFor("again"), nil); err != nil {
		t.Fatal(err)
	}
	if _, answer, err := readRequest(server); err != nil {
		t.Error(err)
	} else if _, err := server.Write(answer); err != nil {
		t.Error(err)
	}
	if got, err := heardBody(again); got != "again" || err != nil {
		t.Errorf("the answer after that: %q, %v", got, err)
	}
}

// TestLaneEnds: whatever is wrong with a connection is told to all who wait, and the connection closed.
func TestLaneEnds(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(first, second []byte) []byte
		want  error
	}{
		"closed":             {func(_, _ []byte) []byte { return nil }, io.ErrUnexpectedEOF},
		"cut":                {func(b, _ []byte) []byte { return b[:30] }, io.ErrUnexpectedEOF},
		"too long":           {func(b, _ []byte) []byte { b[replyLength+1] = 1; return b }, errHugeReply},
		"the other's":        {func(_, b []byte) []byte { return b }, errWrongReply},
		"another command's":  {func(b, _ []byte) []byte { b[opcodeAt]++; return b }, errWrongReply},
		"not an answer":      {func(b, _ []byte) []byte { b[0] = 0x80; return b }, errWrongReply},
		"contradicts itself": {func(b, _ []byte) []byte { b[keyLengthAt] = 1; return b }, errWrongReply},
		"nobody asked":       {func(a, b []byte) []byte { return slices.Concat(a, b, b) }, errWrongReply},
	} {
		t.Run(name, func(t *testing.T) {
			l, server := pipedLane(t, 1000)
			waiting := []*stream{listener(20 * time.Second), listener(20 * time.Second)}
			var answers [2][]byte
			for _, s := range waiting {
				if err := l.send(s, requestFor("key of some length"), nil); err != nil {
					t.Fatal(err)
				}
			}
			for i := range answers {
				var err error
				if _, answers[i], err = readRequest(server); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := server.Write(c.spoil(answers[0], answers[1])); err != nil && !errors.Is(err, io.ErrClosedPipe) {
				t.Error(err)
			}
			if c.want == io.ErrUnexpectedEOF {
				server.Close()
			}
			eventually(t, "the lane ends", func() bool { return l.broken() != nil })
			if err := l.broken(); !errors.Is(err, c.want) {
				t.Errorf("it ended with %v, want %v", err, c.want)
			}
			for _, s := range waiting {
				if body, err := heardBody(s); !errors.Is(err, c.want) && name != "nobody asked" {
					t.Errorf("whoever waits heard %q, %v; want %v", body, err, c.want)
				}
			}
			if err := l.send(listener(20*time.Second), requestFor("more"), nil); !errors.Is(err, c.want) {
				t.Errorf("another request: %v, want %v", err, c.want)
			}
		})
	}
}

// TestLaneWithAStuckWrite: a server that reads no more makes a write hang; the time of the exchange ends that too.
func TestLaneWithAStuckWrite(t *testing.T) {
	l, _ := pipedLane(t, 1000)
	s := listener(10 * time.Millisecond)
	if err := l.send(s, requestFor("never read"), nil); err != nil {
		t.Fatal(err)
	}
	if _, err := heardBody(s); !isTimeout(err) {
		t.Errorf("the exchange ended with %v, want a time-out", err)
	}
	eventually(t, "the write has ended", func() bool { return l.broken() != nil })
}

// TestRetiredLaneWaits: a lane that is given up ends when the answers that are awaited have come, or are overdue.
func TestRetiredLaneWaits(t *testing.T) {
	l, server := pipedLane(t, 1000)
	answered, overdue := listener(20*time.Second), listener(20*time.Second)
	for _, s := range []*stream{answered, overdue} {
		if err := l.send(s, requestFor("key"), nil); err != nil {
			t.Fatal(err)
		}
	}
	l.retire()
	if err := l.broken(); err != nil {
		t.Fatalf("it did not wait: %v", err)
	}
	_, answer, err := readRequest(server)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := readRequest(server); err != nil {
		t.Fatal(err)
	}
	if _, err := server.Write(answer); err != nil {
		t.Fatal(err)
	}
	if got, err := heardBody(answered); got != "key" || err != nil {
		t.Errorf("heard %q, %v", got, err)
	}
	makeOverdue(t, l, overdue)
	if _, err := heardBody(overdue); !isTimeout(err) {
		t.Errorf("heard %v, want a time-out", err)
	}
	eventually(t, "the lane ends", func() bool { return errors.Is(l.broken(), errRetired) })
}

// TestLanesOfAServer: whatever goes on at once, a store has few connections, and long things do not make short ones wait.
func TestLanesOfAServer(t *testing.T) {
	server := startMemcached(t)
	s := newMemcached(server.address(), 5*time.Second, 64, time.Now)
	t.Cleanup(s.close)
	var all sync.WaitGroup
	for i := range 64 {
		all.Go(func() {
			value := bytes.Repeat([]byte{byte(i)}, 100+i*5000)
			key := fmt.Sprint("key", i)
			tok, err := s.put(key, value, 20*time.Second, token{})
			for range 5 {
				if err != nil {
					break
				}
				tok, err = s.put(key, value, 20*time.Second, tok)
			}
			if err != nil {
				t.Error(err)
				return
			}
			if got, _, err := s.get(key); err != nil || !bytes.Equal(got, value) {
				t.Errorf("%s: %d bytes came back, error %v; want %d", key, len(got), err, len(value))
			}
		})
	}
	all.Wait()
	if open := openSockets(t, []*memcachedServer{server}); open != laneCount {
		t.Errorf("%d connections, want %d", open, laneCount)
	}
}

// TestLanesAfterARestart: no connection is made beside one that broke; the server may count its ids anew.
func TestLanesAfterARestart(t *testing.T) {
	server := startMemcached(t)
	var running sync.WaitGroup
	p := newConnPool(server.address(), new(net.Dialer).DialContext, 5*time.Second, 4, 1000, &running)
	defer running.Wait()
	defer p.close()
	read := func() error {
		return p.use(func() error {
			_, err := p.client.Get("absent")
			return err
		})
	}
	if err := read(); !errors.Is(err, memcache.ErrCacheMiss) {
		t.Fatal(err)
	}
	server.kill()
	server.start()
	eventually(t, "the connection is seen to be broken", func() bool { return p.lanes.used[laneOfReads].Load().broken() != nil })
	if err := p.use(func() error { return p.client.Add(&memcache.Item{Key: "a", Value: []byte("b")}) }); !errors.Is(err, io.ErrUnexpectedEOF) && !isBroken(err) {
		t.Errorf("a write after the restart, on a connection of its own: %v; want why the other broke", err)
	}
	if l := p.lanes.used[laneOfSaves].Load(); l != nil {
		t.Error("a connection was made beside one that broke")
	}
}
