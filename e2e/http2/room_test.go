package http2

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"
)

// TestRoom: clients that keep HTTP/2 connections without a request keep nobody out, and notice nothing when theirs end for it.
func TestRoom(t *testing.T) {
	t.Parallel()
	c := start(t, []string{"max_connections = 3"}, nil)
	var browsers []*http.Client
	for range 3 {
		browsers = append(browsers, c.client())
		c.want(browsers[len(browsers)-1], 200, "GET", "/", nil)
	}
	plain := c.dial("http/1.1")
	if _, err := io.WriteString(plain, "GET / HTTP/1.1\r\nHost: shop.test\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(plain), nil)
	if err != nil {
		t.Fatalf("no room beside browsers without a request: %v", err)
	}
	resp.Body.Close()
	if n := c.Metric(t, "rehydra_client_connections_reclaimed_total"); n == 0 {
		t.Error("no connection was closed to make room")
	}
	for range 2 {
		for _, b := range browsers { // one of them needs room itself
			c.want(b, 200, "POST", "/count", strings.NewReader("hello"))
		}
	}
}

// TestRequestsThatCrossGoAway: requests that leave at about the time at which their connection is closed to make room are answered, or their client knows by GOAWAY
// that nobody has looked at them. Go's client sends those again, and its users notice nothing.
func TestRequestsThatCrossGoAway(t *testing.T) {
	t.Parallel()
	const most = 24
	c := start(t, []string{fmt.Sprintf("max_connections = %d", most)}, nil)
	ctx, stop := context.WithTimeout(t.Context(), 8*time.Second)
	defer stop()
	var posts, served, refused atomic.Int64
	var asking, coming sync.WaitGroup
	for range most / 3 {
		asking.Go(func() {
			client := c.client()
			for ; ctx.Err() == nil; pause(ctx) {
				if resp, body, err := c.do(client, "POST", "/count", strings.NewReader("hello")); err != nil || resp.StatusCode != 200 || body != "5" {
					t.Errorf("Go's client got %q %v", body, err)
					return
				}
				posts.Add(1)
			}
		})
		asking.Go(func() {
			for ctx.Err() == nil {
				c.cross(ctx, &served, &refused)
			}
		})
	}
	// Others come all the time, and stay until they are closed for those who come after them.
	coming.Go(func() {
		for ; ctx.Err() == nil; wait(ctx, 80*time.Millisecond) {
			if conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", c.Secure()); err == nil {
				defer conn.Close()
			}
		}
	})
	asking.Wait()
	coming.Wait()
	t.Logf("%d requests of Go's client; of others %d were answered and %d refused; %v connections made room",
		posts.Load(), served.Load(), refused.Load(), c.Metric(t, "rehydra_client_connections_reclaimed_total"))
	if refused.Load() == 0 || served.Load() == 0 {
		t.Error("no request met the end of its connection, or all did: nothing was tested")
	}
	if n, want := c.asked(), posts.Load()+served.Load(); n != want {
		t.Errorf("backends got %d requests, wanted each that was answered once, %d, and no other", n, want)
	}
}

// pause is about as long as a connection must be without a request to be closed for room.
func pause(ctx context.Context) { wait(ctx, 900*time.Millisecond+rand.N(300*time.Millisecond)) }

func wait(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// cross makes a connection, has a request answered, pauses, and sends another without having read what has come meanwhile, and so on until it is told to go.
func (c *cluster) cross(ctx context.Context, served, refused *atomic.Int64) {
	w := c.wire()
	defer w.conn.Close()
	for ; ctx.Err() == nil; pause(ctx) {
		stream, wrote := w.send(true, ":path: /") // an error: the connection was closed, and its last word is still to be read
		told, err := w.fate(stream)
		switch {
		case err != nil:
			c.t.Errorf("stream %d was lost: %v, %v", stream, wrote, err)
			return
		case told:
			refused.Add(1)
			return
		}
		served.Add(1)
	}
}

// fate reads whether a request was answered, or the client was told that nobody has looked at it.
func (w *wire) fate(stream uint32) (refused bool, err error) {
	for {
		frame, err := w.framer.ReadFrame()
		if err != nil {
			return false, err
		}
		switch f := frame.(type) {
		case *http2.SettingsFrame:
			if !f.IsAck() {
				_ = w.framer.WriteSettingsAck() // an error comes up at the next read
			}
		case *http2.MetaHeadersFrame:
			if f.StreamID == stream && f.PseudoValue("status") == "200" {
				return false, nil
			}
		case *http2.GoAwayFrame:
			if f.ErrCode == http2.ErrCodeNo && f.LastStreamID < stream {
				return true, nil
			}
		}
	}
}
