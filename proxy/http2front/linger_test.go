package http2front

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"rehydra/proxy/upstream"
)

// lingerPatience is the limit of anything that should happen; only a failing test uses it up.
const lingerPatience = 20 * time.Second

// slowBody is the length of an answer that the kernel takes all of.
const slowBody = 1 << 20

// slowOne is a connection whose client has asked for an answer, and reads when a test says so. The kernel has all of the answer.
type slowOne struct {
	*Connection
	t      *testing.T
	near   *observed
	client *net.TCPConn
	framer *http2.Framer
	over   chan struct{} // closed when Serve has returned
	told   error         // what the client was told by GOAWAY; nil: it was not
}

// observed is the server's side.
type observed struct {
	*net.TCPConn
	writing atomic.Int32 // writes that have not ended
}

func (o *observed) Write(p []byte) (int, error) {
	o.writing.Add(1)
	defer o.writing.Add(-1)
	return o.TCPConn.Write(p)
}

// newSlowOne makes one. A client has limit for what it takes.
func newSlowOne(t *testing.T, limit time.Duration) *slowOne {
	t.Helper()
	front, err := New(Config{MaxStreams: 10, HeaderBytes: 1 << 10, IdleTimeout: lingerPatience, StallTimeout: limit, Log: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	far, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	near, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	s := &slowOne{t: t, near: &observed{TCPConn: near.(*net.TCPConn)}, client: far.(*net.TCPConn), over: make(chan struct{})}
	t.Cleanup(func() { near.Close(); far.Close(); <-s.over })
	far.SetDeadline(time.Now().Add(lingerPatience))
	if err := s.client.SetReadBuffer(32 << 10); err != nil {
		t.Fatal(err)
	}
	quiet := make(chan struct{}, 1)
	s.Connection = front.Begin(s.near, func(busy bool) {
		if !busy {
			quiet <- struct{}{}
		}
	})
	go func() {
		defer close(s.over)
		s.Serve(func(st *Stream) {
			fmt.Fprintf(st, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", slowBody)
			_, _ = st.Write(make([]byte, slowBody)) // the client is told
		})
	}()
	s.framer = http2.NewFramer(far, far)
	const window = 1 << 30
	var block bytes.Buffer
	encoder := hpack.NewEncoder(&block)
	for _, f := range [][2]string{{":method", "GET"}, {":scheme", "https"}, {":authority", "a"}, {":path", "/"}} {
		_ = encoder.WriteField(hpack.HeaderField{Name: f[0], Value: f[1]}) // to memory
	}
	_, err = io.WriteString(far, http2.ClientPreface)
	if err = errors.Join(err, s.framer.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: window}), s.framer.WriteWindowUpdate(0, window),
		s.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block.Bytes(), EndStream: true, EndHeaders: true})); err != nil {
		t.Fatal(err)
	}
	select {
	case <-quiet:
	case <-time.After(lingerPatience):
		t.Fatal("the kernel does not take the answer")
	}
	if held, ok := upstream.Unsent(near); !ok || held < slowBody/2 {
		t.Fatalf("the kernel holds %d bytes, %v: nothing is tested", held, ok)
	}
	return s
}

// eventually waits until something holds.
func (s *slowOne) eventually(what string, holds func() bool) {
	s.t.Helper()
	for end := time.Now().Add(lingerPatience); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			s.t.Fatalf("still not: %s", what)
		}
	}
}

// isOver reports whether Serve has returned.
func (s *slowOne) isOver() bool {
	select {
	case <-s.over:
		return true
	default:
		return false
	}
}

// lingers waits until x/net has closed the connection.
func (s *slowOne) lingers() {
	s.t.Helper()
	s.eventually("x/net has closed it", func() bool {
		s.guard.mu.Lock()
		defer s.guard.mu.Unlock()
		return s.guard.lingers || s.isOver()
	})
	if s.isOver() {
		s.t.Error("it was closed before the client had the answer")
	}
}

// ends waits until Serve has returned, and says how long that took.
func (s *slowOne) ends() time.Duration {
	s.t.Helper()
	begun := time.Now()
	select {
	case <-s.over:
	case <-time.After(lingerPatience):
		s.t.Fatal("the connection does not end")
	}
	return time.Since(begun)
}

// read reads one frame, as a client that gives the server a window for what it has read.
func (s *slowOne) read() (body int, err error) {
	frame, err := s.framer.ReadFrame()
	if err != nil {
		return 0, err
	}
	switch f := frame.(type) {
	case *http2.GoAwayFrame:
		s.told = http2.ConnectionError(f.ErrCode)
	case *http2.DataFrame:
		body = len(f.Data())
		if body > 0 {
			err = s.framer.WriteWindowUpdate(0, uint32(body))
		}
	}
	return body, err
}

// take reads all that there is, in that time or more, and wants it to be the whole answer, a farewell and the end.
func (s *slowOne) take(d time.Duration) {
	s.t.Helper()
	begun := time.Now()
	for got := 0; ; {
		n, err := s.read()
		got += n
		if err == nil {
			time.Sleep(d*time.Duration(got)/slowBody - time.Since(begun))
			continue
		}
		if !errors.Is(err, io.EOF) || got != slowBody {
			s.t.Errorf("got %d of %d bytes, and %v", got, slowBody, err)
		}
		if s.told != http2.ConnectionError(http2.ErrCodeNo) {
			s.t.Errorf("the client was told %v", s.told)
		}
		return
	}
}

// TestLinger: an answer that is still with the kernel when the connection goes reaches its client, however late that reads it. The connection ends when the client closes it.
func TestLinger(t *testing.T) {
	for name, leave := range map[string]func(*slowOne){
		"drain":      func(s *slowOne) { s.front.Drain() },
		"leave":      func(s *slowOne) { s.Leave() },
		"the client": func(s *slowOne) { _ = s.framer.WriteGoAway(0, http2.ErrCodeNo, nil) }, // an error comes up later
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSlowOne(t, lingerPatience)
			leave(s)
			s.lingers()
			s.take(0)
			if s.isOver() {
				t.Error("it ended before the client had closed its side")
			}
			s.client.Close()
			if took := s.ends(); took > lingerTime/2 {
				t.Errorf("it ended %v after the client", took)
			}
		})
	}
}

// TestLingerOfASlowOne: who takes some of it all the time has as long as that takes.
func TestLingerOfASlowOne(t *testing.T) {
	t.Parallel()
	const limit = time.Second
	s := newSlowOne(t, limit)
	s.Leave()
	s.lingers()
	s.take(2 * limit)
}

// TestLingerOfOneThatIsRoused: one that is told to go (again) while it lingers goes on, as long as the answer is there and when its client is only waited for.
func TestLingerOfOneThatIsRoused(t *testing.T) {
	for name, late := range map[string]bool{"answer": false, "client": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSlowOne(t, lingerPatience)
			s.front.Drain()
			s.lingers()
			if late {
				s.take(0)
			}
			if !s.Leave() {
				t.Error("it cannot be told to go")
			}
			if !late {
				s.take(0)
			}
			if took := s.ends(); took < lingerTime/4 {
				t.Errorf("its client was waited for for %v", took)
			}
		})
	}
}

// TestLingerWhileAWriteWaits: what x/net is still saying when it closes the connection, here to PINGs, does not cut the answer.
func TestLingerWhileAWriteWaits(t *testing.T) {
	t.Parallel()
	s := newSlowOne(t, lingerPatience)
	if err := s.near.SetWriteBuffer(4 << 10); err != nil {
		t.Fatal(err)
	}
	s.Leave()
	s.eventually("it is said", func() bool { return s.guard.farewell.well.Load() })
	s.eventually("an answer to a PING waits", func() bool {
		if err := s.framer.WritePing(false, [8]byte{}); err != nil {
			t.Fatal(err)
		}
		return s.near.writing.Load() > 0
	})
	s.lingers()
	if s.near.writing.Load() == 0 {
		t.Error("nothing waits any more: nothing is tested")
	}
	s.take(0)
}

// TestLingerIsBounded: a client that does not take what there is for it, or takes it and does not close, keeps its connection for a while and no longer.
func TestLingerIsBounded(t *testing.T) {
	const limit = time.Second
	for name, c := range map[string]struct {
		limit  time.Duration
		client func(*slowOne)
		least  time.Duration
	}{
		"takes nothing": {limit, func(*slowOne) {}, limit / 2},
		"takes all":     {lingerPatience, func(s *slowOne) { s.take(0) }, 0},
		"takes all, and talks on": {limit, func(s *slowOne) {
			s.take(0)
			for !s.isOver() && s.framer.WritePing(false, [8]byte{}) == nil {
				time.Sleep(lingerTime / 10)
			}
		}, limit / 2},
		"sends without end": {lingerPatience, func(s *slowOne) {
			_, _ = io.Copy(s.client, endless{}) // an error is the end
		}, 0},
		"is cut":     {lingerPatience, func(s *slowOne) { s.near.Close() }, 0},
		"breaks off": {lingerPatience, func(s *slowOne) { _ = s.client.SetLinger(0); s.client.Close() }, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSlowOne(t, c.limit)
			s.Leave()
			s.lingers()
			begun := time.Now()
			done := make(chan struct{})
			go func() { defer close(done); c.client(s) }()
			s.ends()
			if took := time.Since(begun); took < c.least || took > lingerPatience/4 {
				t.Errorf("it took %v, wanted %v and little more", took, c.least)
			}
			<-done
		})
	}
}

// endless is more than anybody wants.
type endless struct{}

func (endless) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// TestNoLinger: a connection that ends for a fault of its client's, or is cut, does not wait for the client, nor does one whose client has everything.
func TestNoLinger(t *testing.T) {
	for name, end := range map[string]func(*slowOne){
		"a fault": func(s *slowOne) { _ = s.framer.WriteWindowUpdate(0, 1<<31-1) }, // more than a window can be
		"a cut":   func(s *slowOne) { s.near.Close() },
		"the client has it": func(s *slowOne) {
			for got := 0; got < slowBody; {
				n, err := s.read()
				if err != nil {
					s.t.Fatal(err)
				}
				got += n
			}
			s.eventually("all is acknowledged", func() bool { held, _ := upstream.Unsent(s.near); return held == 0 })
			s.front.Drain()
		},
		"the client has said all": func(s *slowOne) { _ = s.client.CloseWrite() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSlowOne(t, lingerPatience)
			end(s)
			if took := s.ends(); took > lingerPatience/2 {
				t.Errorf("it took %v", took)
			}
			if s.guard.lingers {
				t.Error("it lingered")
			}
		})
	}
}

// TestFarewells: wherever writes begin and end, the last GOAWAY says how a connection goes, and nothing that only looks like one.
func TestFarewells(t *testing.T) {
	goAway := func(code http2.ErrCode) []byte {
		return framed("", func(f *http2.Framer) error { return f.WriteGoAway(1, code, nil) })
	}
	data := func(b []byte) []byte {
		return framed("", func(f *http2.Framer) error { return f.WriteData(1, false, b) })
	}
	good, bad := goAway(http2.ErrCodeNo), goAway(http2.ErrCodeProtocol)
	for name, c := range map[string]struct {
		said [][]byte
		err  error // of the last write
		well bool
	}{
		"no farewell":         {[][]byte{data(make([]byte, 100))}, nil, false},
		"good":                {[][]byte{data(make([]byte, 100)), good}, nil, true},
		"good, and an answer": {[][]byte{good, data(bad)}, nil, true},
		"bad":                 {[][]byte{data(make([]byte, 100)), bad}, nil, false},
		"good, then bad":      {[][]byte{good, data(nil), bad}, nil, false},
		"only looks good":     {[][]byte{data(good)}, nil, false},
		"good, then it fails": {[][]byte{good, data(nil)}, io.ErrShortWrite, false},
	} {
		all := bytes.Join(c.said, nil)
		for at := range all {
			var f farewells
			f.passed(all[:at], nil)
			if f.well.Load() && !slices.ContainsFunc(c.said, func(frame []byte) bool { return bytes.Equal(frame, good) }) {
				t.Errorf("%s, %d bytes: well amid what is said", name, at)
			}
			f.passed(all[at:], c.err)
			if well := f.well.Load(); well != c.well {
				t.Errorf("%s, %d bytes first: well is %v", name, at, well)
			}
		}
	}
}

// TestBehind: wherever writes begin and end, what was written behind the last part of an answer is known.
func TestBehind(t *testing.T) {
	fields := framed("", func(f *http2.Framer) error {
		return errors.Join(f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: make([]byte, 9)}), f.WriteContinuation(1, true, make([]byte, 9)))
	})
	data := framed("", func(f *http2.Framer) error { return f.WriteData(1, true, nil) })
	other := framed("", func(f *http2.Framer) error {
		return errors.Join(f.WritePing(true, [8]byte{}), f.WriteSettings(), f.WriteWindowUpdate(0, 1), f.WriteRSTStream(1, 0), f.WriteGoAway(1, 0, nil))
	})
	for name, answer := range map[string][]byte{"fields": fields, "data": data, "nothing": nil} {
		all := slices.Concat(other, answer, other)
		last := len(other) + len(answer) // of the answer is before
		if answer == nil {
			last = 0
		}
		for at := range all {
			var f farewells
			f.passed(all[:at], nil)
			f.passed(all[at:], nil)
			want := len(all) - at
			if at < last {
				want = 0
			}
			if answer == nil {
				want = len(all)
			}
			if got := int(f.behind.Load()); got != want {
				t.Errorf("%s, %d bytes first: %d are behind, wanted %d", name, at, got, want)
			}
		}
	}
}
