package http2front_test

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"rehydra/proxy/http2front"
)

// frames is a client in a bubble that writes each frame itself, and counts what comes.
type frames struct {
	t      *testing.T
	framer *http2.Framer
	gone   chan struct{} // closed at the end of what comes

	mu   sync.Mutex
	came came
}

// came is what came of streams.
type came struct {
	data   int // bytes of bodies
	ends   int // streams that ended well
	resets []http2.ErrCode
}

// soFar returns what came, once everybody waits.
func (c *frames) soFar() came {
	synctest.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.came
}

// inBubble serves one connection with answer for as long as test runs. window is how much of an answer the client takes.
func inBubble(t *testing.T, limit time.Duration, window uint32, answer func(st *http2front.Stream), test func(*frames)) {
	synctest.Test(t, func(t *testing.T) {
		front, err := http2front.New(http2front.Config{MaxStreams: 100, HeaderBytes: 16 << 10, IdleTimeout: 24 * time.Hour, StallTimeout: limit, Log: zerolog.Nop()})
		if err != nil {
			t.Fatal(err)
		}
		near, far := net.Pipe()
		done := make(chan struct{})
		go func() {
			defer close(done)
			front.Begin(near, nil).Serve(func(st *http2front.Stream) {
				if _, err := http.ReadRequest(bufio.NewReader(st)); err != nil {
					t.Error(err)
					return
				}
				answer(st)
			})
		}()
		c := &frames{t: t, framer: http2.NewFramer(far, far), gone: make(chan struct{})}
		go c.read()
		if _, err := io.WriteString(far, http2.ClientPreface); err != nil {
			t.Fatal(err)
		}
		c.must(c.framer.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: window}))
		synctest.Wait()
		test(c)
		far.Close()
		<-done
		<-c.gone
	})
}

func (c *frames) must(err error) {
	c.t.Helper()
	if err != nil {
		c.t.Fatal(err)
	}
}

func (c *frames) read() {
	defer close(c.gone)
	for {
		frame, err := c.framer.ReadFrame()
		if err != nil {
			return
		}
		c.mu.Lock()
		switch f := frame.(type) {
		case *http2.DataFrame:
			c.came.data += len(f.Data())
			if f.StreamEnded() {
				c.came.ends++
			}
		case *http2.RSTStreamFrame:
			c.came.resets = append(c.came.resets, f.ErrCode)
		}
		c.mu.Unlock()
	}
}

// get begins a request.
func (c *frames) get(stream uint32) {
	c.t.Helper()
	var block bytes.Buffer
	encoder := hpack.NewEncoder(&block)
	for _, f := range [][2]string{{":method", "GET"}, {":scheme", "https"}, {":authority", "a"}, {":path", "/"}} {
		c.must(encoder.WriteField(hpack.HeaderField{Name: f[0], Value: f[1]}))
	}
	c.must(c.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: block.Bytes(), EndStream: true, EndHeaders: true}))
	synctest.Wait()
}

// TestNoResetAfterTheEnd: a client that gave a request up hears no more of it, however the answer to it ends and however much later.
func TestNoResetAfterTheEnd(t *testing.T) {
	const limit = time.Minute
	for name, answer := range map[string]func(st *http2front.Stream){
		"in the middle of the answer": func(st *http2front.Stream) { say(st, "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n%100000d", 0) },
		"before a short one": func(st *http2front.Stream) {
			<-st.Context().Done()
			say(st, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")
		},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, limit, 1000, answer, func(c *frames) {
				c.get(1)
				c.must(c.framer.WriteRSTStream(1, http2.ErrCodeCancel))
				time.Sleep(10 * limit) // of the bubble
				if got := c.soFar(); len(got.resets) > 0 {
					t.Errorf("the stream was ended by %v after its client had ended it", got.resets)
				}
			})
		})
	}
}

// TestStallAfterTheAnswer: the end of an answer that its client does not take is waited for as long as any other part of one, and no longer.
func TestStallAfterTheAnswer(t *testing.T) {
	const limit = time.Minute
	answer := func(st *http2front.Stream) { say(st, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello") }
	inBubble(t, limit, 2, answer, func(c *frames) {
		c.get(1)
		time.Sleep(limit / 2) // of the bubble, as below
		if got := c.soFar(); got.data != 2 || len(got.resets) > 0 {
			t.Errorf("after half of the time there came %+v, wanted 2 bytes and no end", got)
		}
		time.Sleep(limit)
		if got := c.soFar(); got.data != 2 || got.ends != 0 || len(got.resets) != 1 {
			t.Errorf("then there came %+v, wanted 2 bytes, no end, and RST_STREAM", got)
		}
	})
}
