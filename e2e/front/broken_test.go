package front

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"rehydra/e2e/harness"
)

// phase is a point of an exchange: what the client has sent, and how far the answer that it waits for has come.
type phase struct {
	name   string
	send   string
	answer string // a part of what comes back before the break; "": nothing is waited for
}

const uploadHead = "POST %s HTTP/1.1\r\nHost: h\r\nContent-Length: 100000000\r\n\r\n"

func get(path string) string { return "GET " + path + " HTTP/1.1\r\nHost: h\r\n\r\n" }

func upgrade(path string) string {
	return "GET " + path + " HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: raw\r\n\r\n"
}

// phases are those in which a client can break off while the backend says nothing more.
func phases() []phase {
	return []phase{
		{"before a byte", "", ""},
		{"in the head", "GET /x HTTP/1.1\r\nHo", ""},
		{"in a body that fits the buffer", "POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: 1000\r\n\r\nabc", ""},
		{"in a large body", fmt.Sprintf(uploadHead, "/hang") + strings.Repeat("x", 200_000), ""},
		{"in a body that the backend does not take", fmt.Sprintf(uploadHead, "/hang-upload") + strings.Repeat("x", 5000), ""},
		{"waiting for the answer", get("/hang"), ""},
		{"in the head of the answer", get("/hang-head"), ""},
		{"in the body of the answer", get("/hang-body"), "part"},
		{"in the chunks of the answer", get("/hang-chunk"), "part"},
		{"in a tunnel", upgrade("/hang-tunnel"), "101"},
		{"between requests", get("/ok"), "ok"},
	}
}

// connect connects.
func connect(t *testing.T, p *harness.Proxy) *net.TCPConn {
	t.Helper()
	conn, err := net.DialTimeout("tcp", p.Address(), patience)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(2 * patience)); err != nil {
		t.Fatal(err)
	}
	return conn.(*net.TCPConn)
}

// play brings an exchange to a phase.
func (ph phase) play(t *testing.T, p *harness.Proxy) *net.TCPConn {
	t.Helper()
	conn := connect(t, p)
	if _, err := io.WriteString(conn, ph.send); err != nil {
		t.Fatalf("%s: %v", ph.name, err)
	}
	for got, one := "", make([]byte, 1); !strings.Contains(got, ph.answer); got += string(one) {
		if _, err := io.ReadFull(conn, one); err != nil {
			t.Fatalf("%s: %v after %q", ph.name, err, got)
		}
	}
	return conn
}

// settle wants what the proxy has open and runs to come back to what it was.
func settle(t *testing.T, p *harness.Proxy, after string, descriptorsBefore int, goroutinesBefore float64) {
	t.Helper()
	began := time.Now()
	var goroutines float64
	var files int
	defer func() {
		if t.Failed() {
			t.Logf("%v goroutines, wanted at most %v; %d descriptors, wanted at most %d", goroutines, goroutinesBefore, files, descriptorsBefore)
		}
	}()
	harness.Eventually(t, "descriptors and goroutines are back after "+after, func() bool {
		// The metrics are asked for on a connection, which is one of them.
		goroutines, files = p.Metric(t, "rehydra_goroutines"), descriptors(t, p)
		return goroutines <= goroutinesBefore && files <= descriptorsBefore
	})
	t.Logf("%s: back after %v", after, time.Since(began).Round(time.Millisecond))
}

// clients is how many break off at a point, one after another: what they would leave behind is more than what asking for it takes.
const clients = 5

// baseline serves one request and returns the most that is open and runs at rest: to ask for it takes a connection and its goroutine, which
// may still be there the next time.
func baseline(t *testing.T, p *harness.Proxy) (files int, goroutines float64) {
	t.Helper()
	alive(t, p)
	p.WaitMetric(t, "rehydra_client_connections", 0)
	for range 50 {
		goroutines = max(goroutines, p.Metric(t, "rehydra_goroutines"))
		files = max(files, descriptors(t, p))
	}
	return files, goroutines
}

// alive wants the proxy to serve.
func alive(t *testing.T, p *harness.Proxy) {
	t.Helper()
	if !served(t, p) {
		t.Fatal("GET /ok is not answered as it should be")
	}
}

// served reports whether a request gets the backend's answer.
func served(t *testing.T, p *harness.Proxy) bool {
	t.Helper()
	conn := connect(t, p)
	defer conn.Close()
	_, _ = io.WriteString(conn, get("/ok"))
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode == 200 && string(body) == "ok"
}

// TestClientResets: a client that breaks off, wherever it does, leaves nothing behind, although the backend never answers and no time-out comes.
func TestClientResets(t *testing.T) {
	t.Parallel()
	p := startBroken(t)
	files, goroutines := baseline(t, p)
	for _, ph := range phases() {
		for range clients {
			conn := ph.play(t, p)
			_ = conn.SetLinger(0) // it is open
			conn.Close()
		}
		settle(t, p, "a reset "+ph.name, files, goroutines)
	}
	alive(t, p)
}

// TestClientEnds: a client that ends its own side gets what is still to come; where nothing can come, its connection is closed.
func TestClientEnds(t *testing.T) {
	t.Parallel()
	p := startBroken(t)
	files, goroutines := baseline(t, p)
	for _, ph := range []phase{
		{"before a byte", "", ""},
		{"in the head", "GET /x HTTP/1.1\r\nHo", ""},
		{"in a body", "POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: 1000\r\n\r\nabc", ""},
		{"in a large body", fmt.Sprintf(uploadHead, "/hang") + strings.Repeat("x", 200_000), ""},
		{"after the request", get("/ok"), ""},
		{"in a tunnel", upgrade("/end-tunnel"), "101"},
	} {
		for range clients {
			conn := ph.play(t, p)
			if err := conn.CloseWrite(); err != nil {
				t.Fatal(err)
			}
			rest, err := io.ReadAll(conn)
			if err != nil {
				t.Errorf("%s: %v after %q", ph.name, err, rest)
			}
			if ph.name == "after the request" && !strings.HasSuffix(string(rest), "\r\n\r\nok") {
				t.Errorf("%s: the answer is %q", ph.name, rest)
			}
			conn.Close()
		}
		settle(t, p, "an end "+ph.name, files, goroutines)
	}
}

// TestBackendBreaks: a backend that breaks off or ends, wherever it does, is told to the client, and nothing is left.
func TestBackendBreaks(t *testing.T) {
	t.Parallel()
	p := startBroken(t)
	files, goroutines := baseline(t, p)
	for _, how := range []string{"reset", "end"} {
		for _, when := range []struct {
			name, send string
			status     string // of the answer
		}{
			{"before the answer", get("/" + how), "502"},
			{"in the head", get("/" + how + "-head"), "502"},
			{"in the body", get("/" + how + "-body"), "200"},
			{"in the chunks", get("/" + how + "-chunk"), "200"},
			{"in an upload", fmt.Sprintf(uploadHead, "/"+how+"-upload") + strings.Repeat("x", 100_000), "502"},
			{"in a tunnel", upgrade("/" + how + "-tunnel"), "101"},
		} {
			for range clients {
				harness.Eventually(t, "the backend is in again", func() bool { return served(t, p) }) // a reset put it out
				conn := connect(t, p)
				if _, err := io.WriteString(conn, when.send); err != nil {
					t.Fatal(err)
				}
				if how == "end" && when.status == "101" {
					_ = conn.CloseWrite() // both sides end
				}
				if when.status == "502" && when.name != "in an upload" {
					_ = conn.CloseWrite() // such an answer keeps the connection
				}
				got, err := io.ReadAll(conn)
				switch text := string(got); {
				case !strings.HasPrefix(text, "HTTP/1.1 "+when.status):
					t.Errorf("%s %s: the client got %q, %v", how, when.name, text, err)
				case strings.HasSuffix(text, "0\r\n\r\n"):
					t.Errorf("%s %s: the answer looks whole: %q", how, when.name, text)
				}
				conn.Close()
			}
			settle(t, p, how+" "+when.name, files, goroutines)
		}
	}
	alive(t, p)
}
