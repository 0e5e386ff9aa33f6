package http2front

import (
	"bytes"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// leaver is a connection in a bubble whose client writes what a test says.
type leaver struct {
	*Connection
	t       *testing.T
	client  net.Conn
	busy    []bool   // what the connection told of its requests
	paths   []string // of the requests that began
	status  []uint32 // streams that were answered
	goAways []uint32 // the last streams that the client was told of
	over    time.Time
}

// newLeaver makes one. A request ends when goOn is closed.
func newLeaver(t *testing.T, goOn chan struct{}) *leaver {
	front, err := New(Config{MaxStreams: 10, HeaderBytes: 1 << 10, IdleTimeout: time.Hour, StallTimeout: time.Hour, Log: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	near, far := net.Pipe()
	l := &leaver{t: t, client: far}
	l.Connection = front.Begin(near, func(busy bool) { l.busy = append(l.busy, busy) })
	go l.Serve(func(st *Stream) {
		l.paths = append(l.paths, st.request.URL.Path)
		<-goOn
		_, _ = io.WriteString(st, "HTTP/1.1 204 No Content\r\n\r\n") // the client is told by its end
	})
	go func() {
		defer far.Close()
		for framer := http2.NewFramer(io.Discard, far); ; {
			frame, err := framer.ReadFrame()
			if err != nil {
				l.over = time.Now()
				return
			}
			switch f := frame.(type) {
			case *http2.HeadersFrame:
				l.status = append(l.status, f.StreamID)
			case *http2.GoAwayFrame:
				if f.ErrCode != http2.ErrCodeNo {
					t.Errorf("the client was told %v", f.ErrCode)
				}
				l.goAways = append(l.goAways, f.LastStreamID)
			}
		}
	}()
	return l
}

// say writes bytes of the client's.
func (l *leaver) say(b []byte) {
	l.t.Helper()
	if _, err := l.client.Write(b); err != nil {
		l.t.Fatal(err)
	}
	synctest.Wait()
}

// later lets time of the bubble pass.
func later(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// opening is what a client begins with.
func opening() []byte {
	return framed(http2.ClientPreface, func(f *http2.Framer) error { return f.WriteSettings() })
}

// asking is a request, its fields in two frames.
func asking(stream uint32, path string) []byte {
	return framed("", func(f *http2.Framer) error {
		var block bytes.Buffer
		encoder := hpack.NewEncoder(&block)
		for _, f := range [][2]string{{":method", "GET"}, {":scheme", "https"}, {":authority", "a"}, {":path", path}} {
			_ = encoder.WriteField(hpack.HeaderField{Name: f[0], Value: f[1]}) // to memory
		}
		half := block.Len() / 2
		if err := f.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: block.Bytes()[:half], EndStream: true}); err != nil {
			return err
		}
		return f.WriteContinuation(stream, true, block.Bytes()[half:])
	})
}

func framed(before string, write func(*http2.Framer) error) []byte {
	b := bytes.NewBufferString(before)
	if err := write(http2.NewFramer(b, nil)); err != nil {
		panic(err)
	}
	return b.Bytes()
}

func same[E comparable](t *testing.T, what string, got []E, want ...E) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%s: %v, wanted %v", what, got, want)
		return
	}
	for n := range got {
		if got[n] != want[n] {
			t.Errorf("%s: %v, wanted %v", what, got, want)
		}
	}
}

// TestLeaveOfAnIdleOne: the client is told the last stream that was looked at, what it sends afterwards is not answered, and the connection ends by itself.
func TestLeaveOfAnIdleOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		goOn := make(chan struct{})
		close(goOn)
		l := newLeaver(t, goOn)
		if l.Leave() {
			t.Error("one that has not begun to speak was told to go")
		}
		l.say(opening())
		same(t, "busy before the first request", l.busy)
		l.say(asking(1, "/1"))
		same(t, "busy", l.busy, true, false)
		begun := time.Now()
		for range 2 { // twice is as once
			if !l.Leave() {
				t.Error("it cannot be told to go")
			}
		}
		synctest.Wait()
		same(t, "the last streams", l.goAways, 1)
		l.say(asking(3, "/3"))
		later(time.Minute)
		same(t, "requests", l.paths, "/1")
		same(t, "answers", l.status, 1)
		if took := l.over.Sub(begun); took <= 0 || took > 2*time.Second {
			t.Errorf("it ended after %v", took)
		}
	})
}

// TestLeaveAmidAFrame: wherever a client is in what it sends, its request is answered, and nothing is said in the middle of it.
func TestLeaveAmidAFrame(t *testing.T) {
	request := asking(3, "/3")
	for at := range len(request) {
		synctest.Test(t, func(t *testing.T) {
			goOn := make(chan struct{})
			close(goOn)
			l := newLeaver(t, goOn)
			l.say(opening())
			l.say(asking(1, "/1"))
			if at > 0 {
				l.say(request[:at])
			}
			l.Leave()
			synctest.Wait()
			last := uint32(1)
			if at > 0 {
				same(t, "the last streams amid a frame", l.goAways)
				last = 3
			}
			l.say(request[at:])
			later(time.Minute)
			same(t, "the last streams", l.goAways, last)
			if last == 3 {
				same(t, "answers", l.status, 1, 3)
			} else {
				same(t, "answers", l.status, 1)
			}
			if l.over.IsZero() {
				t.Error("the connection has not ended")
			}
		})
	}
}

// TestLeaveOfOneThatStaysAmidAFrame: who does not finish a frame goes all the same, however it drips, unless it has a request.
func TestLeaveOfOneThatStaysAmidAFrame(t *testing.T) {
	request := asking(3, "/3")
	for at := 1; at < len(request)-5; at++ {
		synctest.Test(t, func(t *testing.T) {
			goOn := make(chan struct{})
			close(goOn)
			l := newLeaver(t, goOn)
			l.say(opening())
			l.say(asking(1, "/1"))
			l.say(request[:at])
			later(time.Hour / 2) // nothing limits it before
			l.Leave()
			begun := time.Now()
			for _, b := range request[at : len(request)-1] {
				if _, err := l.client.Write([]byte{b}); err != nil {
					break
				}
				later(restOfFrame / 4)
			}
			later(time.Minute)
			if took := l.over.Sub(begun); took != restOfFrame {
				t.Errorf("it ended after %v", took)
			}
			same(t, "the last streams", l.goAways)
			same(t, "requests", l.paths, "/1")
		})
	}
}

// TestLeaveAmidAnUpload: a request whose body stops amid a frame is not ended for that, and the client is told when it goes on, or the connection ends after the request.
func TestLeaveAmidAnUpload(t *testing.T) {
	var fields bytes.Buffer
	encoder := hpack.NewEncoder(&fields)
	for _, f := range [][2]string{{":method", "POST"}, {":scheme", "https"}, {":authority", "a"}, {":path", "/1"}} {
		_ = encoder.WriteField(hpack.HeaderField{Name: f[0], Value: f[1]}) // to memory
	}
	upload := framed("", func(f *http2.Framer) error {
		if err := f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: fields.Bytes(), EndHeaders: true}); err != nil {
			return err
		}
		return f.WriteData(1, true, make([]byte, 100))
	})
	for _, goesOn := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			goOn := make(chan struct{})
			l := newLeaver(t, goOn)
			l.say(opening())
			l.say(upload[:len(upload)-50])
			l.Leave()
			later(time.Minute)
			if !l.over.IsZero() {
				t.Error("the connection ended before its request")
			}
			same(t, "the last streams amid a frame", l.goAways)
			if goesOn {
				l.say(upload[len(upload)-50:])
				same(t, "the last streams", l.goAways, 1)
			}
			begun := time.Now()
			close(goOn)
			later(time.Minute)
			same(t, "answers", l.status, 1)
			if took := l.over.Sub(begun); !goesOn && took < restOfFrame || took < time.Second || took > 2*restOfFrame {
				t.Errorf("it ended %v after its request", took)
			}
		})
	}
}

// TestLeaveOfOneThatGoesOn: who was told when the frame was whole has as long as others, wherever the next one ends.
func TestLeaveOfOneThatGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		goOn := make(chan struct{})
		close(goOn)
		l := newLeaver(t, goOn)
		l.say(opening())
		l.say(asking(1, "/1"))
		ping := framed("", func(f *http2.Framer) error { return f.WritePing(false, [8]byte{}) })
		l.say(ping[:5])
		l.Leave()
		later(restOfFrame - time.Second/2)
		same(t, "the last streams amid a frame", l.goAways)
		l.say(ping[5:])
		same(t, "the last streams", l.goAways, 1)
		l.say(ping[:5])
		begun := time.Now()
		later(time.Minute)
		if took := l.over.Sub(begun); took != time.Second {
			t.Errorf("it ended after %v", took)
		}
	})
}

// TestLeaveOfABusyOne: a request that runs is answered, however long it takes, and what is sent meanwhile for a stream that nobody looked at is nobody's.
func TestLeaveOfABusyOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		goOn := make(chan struct{})
		l := newLeaver(t, goOn)
		l.say(opening())
		l.say(asking(1, "/1"))
		l.Leave()
		synctest.Wait()
		l.say(asking(3, "/3"))
		later(time.Hour)
		if !l.over.IsZero() {
			t.Error("the connection ended before its request")
		}
		close(goOn)
		later(time.Minute)
		same(t, "the last streams", l.goAways, 1)
		same(t, "answers", l.status, 1)
		same(t, "requests", l.paths, "/1")
		same(t, "busy", l.busy, true, false)
		if l.over.IsZero() {
			t.Error("the connection has not ended")
		}
	})
}
