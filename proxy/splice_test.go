package proxy_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"rehydra/proxy/upstream"
)

// pattern returns bytes of which no two pieces are alike.
func pattern(n int) []byte {
	b := make([]byte, 0, n+8)
	for i := 0; len(b) < n; i++ {
		b = fmt.Appendf(b, "%x.", i)
	}
	return b[:n]
}

// largeAnswers answers each request with a body, in pieces of that size with a word in between; it sends most bytes of it and then closes.
func largeAnswers(body []byte, piece, most int, between func()) func(net.Conn) {
	return func(conn net.Conn) {
		buffer := make([]byte, 4096)
		for {
			if _, err := conn.Read(buffer); err != nil {
				return
			}
			if _, err := fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", len(body)); err != nil {
				return
			}
			for rest := body[:most]; len(rest) > 0; {
				n := min(piece, len(rest))
				if _, err := conn.Write(rest[:n]); err != nil {
					return
				}
				rest = rest[n:]
				between()
			}
			if most < len(body) {
				return
			}
		}
	}
}

func nothing() {}

// readBytes returns how many bytes this process has read by read(2) and the like: what is spliced is not among them.
func readBytes(t *testing.T) int {
	t.Helper()
	text, err := os.ReadFile("/proc/self/io")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, "rchar: "); ok {
			n, err := strconv.Atoi(strings.TrimSpace(value))
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
	}
	t.Fatalf("no rchar in %q", text)
	return 0
}

// Large bodies arrive as they are, several over one connection, whatever sizes they come in, and are not read by this process on their way.
func TestLargeBodyIsSpliced(t *testing.T) {
	for _, size := range []int{64<<10 - 1, 68 << 10, 70001, 1 << 20, 5<<20 + 17} {
		for _, piece := range []int{size, 10007} {
			t.Run(fmt.Sprintf("%d in pieces of %d", size, piece), func(t *testing.T) {
				body := pattern(size)
				address := wholeProxy(t, backendOf(t, largeAnswers(body, piece, size, nothing)), plainLimits(), upstream.Timeouts{}, nil)
				client := &http.Client{Timeout: time.Minute}
				defer client.CloseIdleConnections()
				for range 3 {
					before := readBytes(t)
					got := get(t, client, "http://"+address+"/")
					if sha256.Sum256(got) != sha256.Sum256(body) {
						t.Fatalf("%d bytes, wanted %d others; they differ from byte %d on", len(got), len(body), differ(got, body))
					}
					// The client of this test reads them once; who copies reads them twice.
					if read := readBytes(t) - before; size > 1<<19 && read > size*3/2 {
						t.Errorf("%d bytes were read for a body of %d: it was copied", read, size)
					}
				}
			})
		}
	}
}

func get(t *testing.T, client *http.Client, url string) []byte {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// differ returns where two texts begin to.
func differ(a, b []byte) int {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return i
		}
	}
	return min(len(a), len(b))
}

// A body that is cut reaches the client as cut, also where the kernel moves it.
func TestLargeBodyThatIsCut(t *testing.T) {
	body := pattern(1 << 20)
	for _, most := range []int{100 << 10, 1<<20 - 5000, 1<<20 - 1} {
		t.Run(strconv.Itoa(most), func(t *testing.T) {
			address := wholeProxy(t, backendOf(t, largeAnswers(body, len(body), most, nothing)), plainLimits(), upstream.Timeouts{}, nil)
			answer := rawAnswer(t, address)
			_, got, _ := bytes.Cut(answer, []byte("\r\n\r\n"))
			if len(got) > most || !bytes.HasPrefix(body, got) || len(got) < most-64<<10 {
				t.Errorf("%d bytes, wanted the %d that the backend sent, or almost, and the end of the connection", len(got), most)
			}
		})
	}
}

// rawAnswer returns all that comes until the connection ends.
func rawAnswer(t *testing.T, address string) []byte {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, plainRequest); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(conn)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatal("the connection did not end")
	}
	return answer
}

// A backend that stops in the middle is given up after the idle time-out. One that goes on, slowly, is not: the whole takes many
// times longer than the time-out.
func TestLargeBodyFromOneThatIsSlow(t *testing.T) {
	body := pattern(256 << 10)
	const idle = 2 * time.Second                          // a loaded machine may stand still for some of it
	slow := func() { time.Sleep(250 * time.Millisecond) } // the backend's manner, not a wait for anything
	address := wholeProxy(t, backendOf(t, largeAnswers(body, 8<<10, len(body), slow)), plainLimits(), upstream.Timeouts{Idle: idle}, nil)
	client := &http.Client{Timeout: time.Minute}
	defer client.CloseIdleConnections()
	if got := get(t, client, "http://"+address+"/"); !bytes.Equal(got, body) {
		t.Errorf("%d bytes, wanted %d", len(got), len(body))
	}
	ended := make(chan struct{})
	defer close(ended)
	stops := func() { <-ended }
	address = wholeProxy(t, backendOf(t, largeAnswers(body, 128<<10, len(body), stops)), plainLimits(), upstream.Timeouts{Idle: idle}, nil)
	if answer := rawAnswer(t, address); len(answer) < 100<<10 || len(answer) > len(body) {
		t.Errorf("%d bytes, wanted about the half of %d and the end of the connection", len(answer), len(body))
	}
}

// A client that takes nothing is cut off; one that reads slowly gets everything.
func TestLargeBodyForOneThatIsSlow(t *testing.T) {
	body := pattern(16 << 20)
	limits := plainLimits()
	limits.BodyTimeout = 2 * time.Second // as above
	closed := make(chan struct{}, 2)
	answer := largeAnswers(body, len(body), len(body), nothing)
	address := wholeProxy(t, backendOf(t, func(conn net.Conn) { answer(conn); closed <- struct{}{} }), limits, upstream.Timeouts{Idle: time.Minute}, nil)

	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, plainRequest); err != nil {
		t.Fatal(err)
	}
	select {
	case <-closed: // the proxy has given up, and the backend's connection with the client's
	case <-time.After(time.Minute):
		t.Fatal("a client that takes nothing was still waited for after a minute")
	}

	conn, err = net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(2 * time.Minute)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, strings.Replace(plainRequest, "\r\n\r\n", "\r\nConnection: close\r\n\r\n", 1)); err != nil {
		t.Fatal(err)
	}
	var got bytes.Buffer
	for {
		if _, err := io.CopyN(&got, conn, 256<<10); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatalf("after %d bytes: %v", got.Len(), err)
		}
		time.Sleep(100 * time.Millisecond) // the client's manner
	}
	if _, page, _ := bytes.Cut(got.Bytes(), []byte("\r\n\r\n")); !bytes.Equal(page, body) {
		t.Errorf("%d bytes, wanted %d", len(page), len(body))
	}
}
