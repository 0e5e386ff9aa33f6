package proxy

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// chopper writes in pieces.
type chopper struct {
	net.Conn
	most int // bytes of a piece
}

func (c *chopper) Write(p []byte) (written int, err error) {
	for written < len(p) && err == nil {
		var n int
		n, err = c.Conn.Write(p[written:min(written+c.most, len(p))])
		written += n
		time.Sleep(time.Microsecond) // so that the other side looks at it
	}
	return written, err
}

// However TLS records are cut on their way, and requests by records, each request is answered, in order: what TLS holds back is no rest.
func TestRequestsInAnyRecords(t *testing.T) {
	front, config := tlsFront(t)
	s := newRig(t, TLS, front)
	request := func(i int) string { return fmt.Sprintf("GET /%d HTTP/1.1\r\nHost: shop.test\r\n\r\n", i) }
	for _, most := range []int{1, 7, 1 << 20} {
		for name, records := range map[string]func(n int) []string{
			"one for each": func(n int) (records []string) {
				for i := range n {
					records = append(records, request(i))
				}
				return records
			},
			"all in one": func(n int) []string {
				all := ""
				for i := range n {
					all += request(i)
				}
				return []string{all}
			},
			"one for each 50 bytes": func(n int) (records []string) {
				all := ""
				for i := range n {
					all += request(i)
				}
				for ; len(all) > 50; all = all[50:] {
					records = append(records, all[:50])
				}
				return append(records, all)
			},
		} {
			t.Run(fmt.Sprintf("%s, %d bytes", name, most), func(t *testing.T) {
				t.Parallel()
				n := 30
				if most > 1000 {
					n = 600 // more than a record holds
				}
				conn := tls.Client(&chopper{s.dial("127.0.0.1"), most}, config)
				var sending sync.WaitGroup
				defer sending.Wait()
				sending.Go(func() {
					for _, r := range records(n) {
						if _, err := io.WriteString(conn, r); err != nil {
							t.Error(err)
							return
						}
					}
				})
				r := bufio.NewReader(conn)
				for i := range n {
					resp, err := http.ReadResponse(r, nil)
					if err != nil {
						t.Fatalf("answer %d: %v", i, err)
					}
					body, err := io.ReadAll(resp.Body)
					if want := fmt.Sprintf("GET shop.test /%d\n", i); err != nil || !strings.HasPrefix(string(body), want) {
						t.Fatalf("answer %d is %q, %v", i, body, err)
					}
				}
				ask(t, conn, r, "/later") // it rests by then, or is about to
			})
		}
	}
}

// A client that sends a record byte by byte between two requests has the time of an idle one: its bytes do not renew it.
func TestDripOfAnIdleClient(t *testing.T) {
	front, config := tlsFront(t)
	s := newRigOf(t, TLS, front, 300*time.Millisecond, tell)
	below := s.dial("127.0.0.1")
	conn := tls.Client(below, config)
	ask(t, conn, bufio.NewReader(conn), "/first")
	if _, err := below.Write([]byte{23, 3, 3, 0x40, 0}); err != nil { // a record of 16 KiB
		t.Fatal(err)
	}
	closed := make(chan error, 1)
	go func() {
		_, err := io.Copy(io.Discard, below)
		closed <- err
	}()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case err := <-closed:
			if ne, ok := err.(net.Error); ok && ne.Timeout() {
				t.Error("it was not closed")
			}
			return
		case <-tick.C:
			_, _ = below.Write([]byte{0}) // an error is told by the other direction
		}
	}
}

// An upload by TLS that goes on by goroutines is followed by a long answer and by more requests on the connection.
func TestUploadsOverTLS(t *testing.T) {
	front, config := tlsFront(t)
	const answer, mostClients = 4 << 20, 4
	var got [mostClients]atomic.Int64 // bytes of uploads at the backend, by client
	s := newRigOf(t, TLS, front, patience, func(w http.ResponseWriter, r *http.Request) {
		n := int64(0)
		piece := make([]byte, 4<<10)
		var err error
		for err == nil {
			var m int
			m, err = r.Body.Read(piece)
			n += int64(m)
			got[r.URL.Path[1]-'0'].Add(int64(m))
		}
		if !errors.Is(err, io.EOF) {
			t.Error(err)
		}
		w.Header().Set("Content-Length", fmt.Sprint(answer))
		w.Write(bytes.Repeat([]byte{byte('a' + n%26)}, answer))
	})
	var clients sync.WaitGroup
	defer clients.Wait()
	for client := range mostClients {
		conn := tls.Client(s.dial("127.0.0.1"), config)
		clients.Go(func() {
			r := bufio.NewReader(conn)
			all := int64(0)
			for round := range 3 {
				sent := 0
				write := func(s string) {
					if _, err := io.WriteString(conn, s); err != nil {
						t.Error(err)
					}
				}
				write(fmt.Sprintf("POST /%d HTTP/1.1\r\nHost: shop.test\r\nTransfer-Encoding: chunked\r\n\r\n", client))
				for i := range 8 {
					n := 20000 + 1000*round + i
					write(fmt.Sprintf("%x\r\n%s\r\n", n, strings.Repeat("u", n)))
					sent += n
					all += int64(n)
					// The next piece is not there yet when it is waited for.
					for end := time.Now().Add(patience); got[client].Load() < all && time.Now().Before(end); {
						time.Sleep(time.Millisecond)
					}
				}
				write("0\r\n\r\n")
				resp, err := http.ReadResponse(r, nil)
				if err != nil {
					t.Error(err)
					return
				}
				body, err := io.ReadAll(resp.Body)
				if err != nil || len(body) != answer || body[0] != byte('a'+sent%26) {
					t.Errorf("%d bytes of answer, %v", len(body), err)
					return
				}
			}
		})
	}
}
