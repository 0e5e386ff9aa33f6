package proxy

import (
	"crypto/tls"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/net/http2"

	"rehydra/proxy/upstream"
)

// TestCloseOfOneThatTakesNothing: a client that ends its side and takes nothing any more keeps its connection for no longer than TLS needs to say that it ends,
// whichever protocol it speaks and however long a stalled answer would be waited for. The time is that of the bubble.
func TestCloseOfOneThatTakesNothing(t *testing.T) {
	for _, protocol := range []string{"h2", "http/1.1"} {
		t.Run(protocol, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				table, err := upstream.NewTable(nil, nil, zerolog.Nop())
				if err != nil {
					t.Fatal(err)
				}
				defer table.Close()
				limits := Limits{HeaderTimeout: time.Hour, BodyTimeout: time.Hour, KeepAliveTimeout: time.Hour, HeaderBytes: 4096, HeaderCount: 10}
				s := NewServer(limits, &Routing{Table: table}, nil, zerolog.Nop())
				defer s.cancel()
				if err := s.SpeakHTTP2(10); err != nil {
					t.Fatal(err)
				}
				front, config := tlsFront(t)
				front.TLS.NextProtos = []string{protocol}
				config.NextProtos = front.TLS.NextProtos
				s.SetFront(front)
				near, far := net.Pipe() // which holds nothing: what is not read is not written
				defer far.Close()
				done := make(chan struct{})
				s.running.Add(1)
				go func() {
					defer close(done)
					s.serve(s.join(near, false), TLS, nil)
				}()
				client := tls.Client(far, config)
				if protocol == "h2" {
					speak(t, client)
				} else if err := client.Handshake(); err != nil {
					t.Fatal(err)
				}
				time.Sleep(limits.BodyTimeout / 2) // so that the deadline of the last write is not the one that holds
				if err := client.CloseWrite(); err != nil {
					t.Fatal(err)
				}
				ends := time.Now()
				<-done
				if took := time.Since(ends); took > 10*time.Second {
					t.Errorf("the connection was kept for %v", took)
				}
			})
		})
	}
}

// speak begins to speak HTTP/2, and reads until the server has nothing more to say.
func speak(t *testing.T, conn *tls.Conn) {
	t.Helper()
	framer := http2.NewFramer(conn, conn)
	go func() { // a server of HTTP/2 need not wait for the client to speak, and on a pipe both would wait for the other to read
		_, _ = io.WriteString(conn, http2.ClientPreface) // an error: no answer comes
		_ = framer.WriteSettings()
	}()
	for range 3 { // its settings, its window, and that it has read ours
		if _, err := framer.ReadFrame(); err != nil {
			t.Fatal(err)
		}
	}
	synctest.Wait()
}
