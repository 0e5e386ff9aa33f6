package proxy

import (
	"crypto/tls"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"
	"github.com/valyala/fasthttp"
	"golang.org/x/net/http2"

	"rehydra/proxy/upstream"
)

// dripper is a connection on which, while it is slow, a second passes after each byte that is written.
type dripper struct {
	net.Conn
	slow atomic.Bool
}

func (d *dripper) Write(p []byte) (int, error) {
	if !d.slow.Load() {
		return d.Conn.Write(p)
	}
	for n := range p {
		if _, err := d.Conn.Write(p[n : n+1]); err != nil {
			return n, err
		}
		time.Sleep(time.Second)
	}
	return len(p), nil
}

// drips writes what a record each holds, a second apart, until that fails.
func drips(conn net.Conn, records string) {
	for n := range len(records) {
		if _, err := conn.Write([]byte{records[n]}); err != nil {
			return
		}
		time.Sleep(time.Second)
	}
}

// TestDripOverTLS: a client that sends a byte a second, whether those are parts of records, records, or parts of frames, has the time of one head and no more. The
// time is that of a bubble.
func TestDripOverTLS(t *testing.T) {
	_ = new(fasthttp.ResponseHeader).Header() // from now on it keeps the date up to date, which must not begin in a bubble
	const head, idle = 30 * time.Second, 60 * time.Second
	long := "GET / HTTP/1.1\r\nHost: shop.test\r\nX: " + strings.Repeat("x", 3000)
	for _, tc := range []struct {
		name, protocol string
		within         time.Duration
		drip           func(t *testing.T, conn *tls.Conn, below *dripper)
	}{
		{"the handshake", "http/1.1", head, func(t *testing.T, conn *tls.Conn, below *dripper) {
			below.slow.Store(true)
			if conn.Handshake() == nil {
				t.Error("it came to an end")
			}
		}},
		{"one record", "http/1.1", head, func(_ *testing.T, conn *tls.Conn, below *dripper) {
			below.slow.Store(true)
			io.WriteString(conn, long)
		}},
		{"a record for each byte", "http/1.1", head, func(_ *testing.T, conn *tls.Conn, _ *dripper) { drips(conn, long) }},
		{"empty lines", "http/1.1", head, func(_ *testing.T, conn *tls.Conn, _ *dripper) { drips(conn, strings.Repeat("\r\n", 2000)) }},
		{"a later request", "http/1.1", head, func(_ *testing.T, conn *tls.Conn, _ *dripper) {
			io.WriteString(conn, "GET / HTTP/1.1\r\nHost: shop.test\r\n\r\n")
			drips(conn, long)
		}},
		// x/net has 10 s for the preface, and closes what has no request after the idle time.
		{"the preface", "h2", head, func(_ *testing.T, conn *tls.Conn, _ *dripper) {
			drips(conn, http2.ClientPreface+strings.Repeat("\x00", 3000))
		}},
		{"the record of a frame", "h2", idle, func(_ *testing.T, conn *tls.Conn, below *dripper) {
			io.WriteString(conn, http2.ClientPreface+"\x00\x00\x00\x04\x00\x00\x00\x00\x00")
			below.slow.Store(true)
			conn.Write(make([]byte, 3000))
		}},
		{"a head", "h2", idle, func(_ *testing.T, conn *tls.Conn, _ *dripper) {
			io.WriteString(conn, http2.ClientPreface+"\x00\x00\x00\x04\x00\x00\x00\x00\x00")
			drips(conn, "\x00\x0c\x00\x01\x04\x00\x00\x00\x01"+strings.Repeat("\x82", 3000)) // HEADERS of 3,072 bytes
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				table, err := upstream.NewTable(nil, nil, zerolog.Nop())
				if err != nil {
					t.Fatal(err)
				}
				defer table.Close()
				limits := Limits{HeaderTimeout: head, BodyTimeout: time.Hour, KeepAliveTimeout: idle, HeaderBytes: 64 << 10, HeaderCount: 10}
				s := NewServer(limits, &Routing{Table: table}, nil, zerolog.Nop())
				defer s.cancel()
				if err := s.SpeakHTTP2(10); err != nil {
					t.Fatal(err)
				}
				front, config := tlsFront(t)
				front.TLS.NextProtos = []string{tc.protocol}
				config.NextProtos = front.TLS.NextProtos
				s.SetFront(front)
				near, far := net.Pipe()
				done := make(chan time.Time, 1)
				s.running.Add(1)
				go func() {
					s.serve(s.join(near, false), TLS, nil)
					done <- time.Now()
				}()
				below := &dripper{Conn: far}
				conn := tls.Client(below, config)
				read := make(chan struct{})
				began := time.Now()
				if tc.name == "the handshake" {
					close(read)
				} else {
					if err := conn.Handshake(); err != nil {
						t.Fatal(err)
					}
					go func() {
						defer close(read)
						_, _ = io.Copy(io.Discard, conn)
					}()
				}
				tc.drip(t, conn, below)
				took := (<-done).Sub(began)
				far.Close()
				<-read
				if took > tc.within+10*time.Second { // to say why, and to close
					t.Errorf("it was served for %v, wanted %v", took, tc.within)
				}
			})
		})
	}
}
