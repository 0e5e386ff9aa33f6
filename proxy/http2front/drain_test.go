package http2front

import (
	"bytes"
	"io"
	"net"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// drained is a front in a bubble that counts how often all of its connections are walked along.
type drained struct {
	*Front
	t     *testing.T
	walks atomic.Int64
	told  atomic.Int64 // clients that got a GOAWAY without an error
	ended atomic.Int64 // connections
	goOn  chan struct{}
}

func newDrained(t *testing.T) *drained {
	front, err := New(Config{MaxStreams: 10, HeaderBytes: 1 << 10, IdleTimeout: time.Hour, StallTimeout: time.Hour, Log: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	d := &drained{Front: front, t: t, goOn: make(chan struct{})}
	front.base.RegisterOnShutdown(func() { d.walks.Add(1) })
	return d
}

// connect makes a connection, with a request that is answered when goOn is closed.
func (d *drained) connect(request bool) {
	near, far := net.Pipe()
	go func() {
		defer d.ended.Add(1)
		d.Begin(near, nil).Serve(func(st *Stream) {
			<-d.goOn
			_, _ = io.WriteString(st, "HTTP/1.1 204 No Content\r\n\r\n") // the client is told by its end
		})
	}()
	framer := http2.NewFramer(far, far)
	go func() {
		defer far.Close()
		for {
			frame, err := framer.ReadFrame()
			if err != nil {
				return
			}
			if f, ok := frame.(*http2.GoAwayFrame); ok && f.ErrCode == http2.ErrCodeNo {
				d.told.Add(1)
			}
		}
	}()
	_, err := io.WriteString(far, http2.ClientPreface)
	if err == nil {
		err = framer.WriteSettings()
	}
	if err == nil && request {
		var block bytes.Buffer
		encoder := hpack.NewEncoder(&block)
		for _, f := range [][2]string{{":method", "GET"}, {":scheme", "https"}, {":authority", "a"}, {":path", "/"}} {
			_ = encoder.WriteField(hpack.HeaderField{Name: f[0], Value: f[1]}) // to memory
		}
		err = framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block.Bytes(), EndStream: true, EndHeaders: true})
	}
	if err != nil {
		d.t.Fatal(err)
	}
}

// TestDrainWalksOnce: a drain walks along the connections once, however many of them there are and end their requests meanwhile.
func TestDrainWalksOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const connections = 100
		d := newDrained(t)
		for n := range connections {
			d.connect(n%2 == 0)
		}
		synctest.Wait()
		d.Drain()
		synctest.Wait()
		close(d.goOn)
		time.Sleep(time.Minute) // of the bubble
		synctest.Wait()
		if d.told.Load() < connections || d.ended.Load() != connections {
			t.Errorf("%d clients were told, and %d connections have ended, wanted %d", d.told.Load(), d.ended.Load(), connections)
		}
		if n := d.walks.Load(); n != 1 {
			t.Errorf("all connections were walked along %d times, wanted once", n)
		}
	})
}

// TestDrainOfOneThatComesLate: a connection that begins while the front drains is told so too.
func TestDrainOfOneThatComesLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDrained(t)
		d.Drain()
		d.connect(false)
		time.Sleep(time.Minute) // of the bubble
		synctest.Wait()
		if d.told.Load() == 0 || d.ended.Load() != 1 {
			t.Errorf("%d clients were told, and %d connections have ended, wanted both", d.told.Load(), d.ended.Load())
		}
	})
}
