package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rs/zerolog"
)

// visitor is a browser without a window.
type visitor struct {
	t      *testing.T
	client *http.Client
	url    string
}

func newVisitor(t *testing.T, url string) *visitor {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return &visitor{t: t, url: strings.TrimSuffix(url, "/"), client: &http.Client{Jar: jar, Transport: transport, Timeout: time.Minute}}
}

// do makes a request as the page does and decodes the answer into v, unless v is nil. It returns the status and the body.
func (c *visitor) do(method, path string, body, v any) (int, string) {
	c.t.Helper()
	var reader io.Reader
	if body != nil {
		raw, err := json.Marshal(body)
		if err != nil {
			c.t.Fatal(err)
		}
		reader = bytes.NewReader(raw)
	}
	r, err := http.NewRequestWithContext(c.t.Context(), method, c.url+path, reader)
	if err != nil {
		c.t.Fatal(err)
	}
	r.Header.Set("X-Demo", "1")
	response, err := c.client.Do(r)
	if err != nil {
		c.t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	if v != nil {
		if err := json.Unmarshal(text, v); err != nil {
			c.t.Fatalf("%s %s: %d %s", method, path, response.StatusCode, text)
		}
	}
	return response.StatusCode, string(text)
}

func (c *visitor) session(method, path string, body any) demoSession {
	c.t.Helper()
	var s demoSession
	if status, text := c.do(method, path, body, &s); status != http.StatusOK {
		c.t.Fatalf("%s %s: %d %s", method, path, status, text)
	}
	return s
}

func startTestDemo(t *testing.T) *demo {
	t.Helper()
	d, err := startDemo("127.0.0.1:0", zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

// TestDemo walks the way of the page: fill a session, kill who holds it, go on, revive.
func TestDemo(t *testing.T) {
	d := startTestDemo(t)
	c := newVisitor(t, d.URL())
	first := c.session("POST", "/demo/api/count", nil)
	c.session("POST", "/demo/api/count", nil)
	c.session("POST", "/demo/api/notes", "a note")

	var state struct {
		Backends []sampleBackendState
		Copies   []demoCopy
	}
	c.do("GET", "/demo/control/state", nil, &state)
	if len(state.Copies) != 1 || state.Copies[0].Owner != first.Node || state.Copies[0].Version != "1.3" {
		t.Errorf("copies %+v, want one of version 1.3 owned by %s", state.Copies, first.Node)
	}
	at := first
	for kill := range 6 {
		if status, text := c.do("POST", "/demo/control/kill/"+at.Node, nil, nil); status != http.StatusOK {
			t.Fatalf("kill %s: %d %s", at.Node, status, text)
		}
		next := c.session("POST", "/demo/api/count", nil)
		if next.Node == at.Node || next.Count != kill+3 || next.Created != first.Created || len(next.Notes) != 1 {
			t.Fatalf("after %s was killed: %+v; want another node, count %d and what was there", at.Node, next, kill+3)
		}
		if status, text := c.do("POST", "/demo/control/revive/"+at.Node, nil, nil); status != http.StatusOK {
			t.Fatalf("revive %s: %d %s", at.Node, status, text)
		}
		waitUntilChosen(t, d, at.Node)
		at = next
	}
	c.do("POST", "/demo/api/end", nil, nil)
	if s := c.session("GET", "/demo/api/session", nil); s.Count != 0 || s.ID == at.ID {
		t.Errorf("after the end: %+v, want a new session", s)
	}
}

// waitUntilChosen waits until the proxy sends new visitors to a backend again: a health check has to find it first.
func waitUntilChosen(t *testing.T, d *demo, node string) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); {
		c := newVisitor(t, d.URL())
		if c.session("GET", "/demo/api/session", nil).Node == node {
			return
		}
	}
	t.Fatalf("no new visitor is sent to %s, a minute after it was revived", node)
}

func TestDemoPage(t *testing.T) {
	c := newVisitor(t, startTestDemo(t).URL())
	for path, want := range map[string][]string{
		"/": {`id="node"`, `id="session-id"`, `id="count"`, `id="copies"`, `class="kill"`, `class="revive"`,
			"/demo/page/style.css", "/demo/page/demo.js"},
		"/demo/page/style.css": {"prefers-color-scheme"},
		"/demo/page/demo.js":   {"/demo/control/", "/demo/api/session"},
	} {
		status, text := c.do("GET", path, nil, nil)
		for _, part := range want {
			if status != http.StatusOK || !strings.Contains(text, part) {
				t.Errorf("GET %s: %d without %s", path, status, part)
			}
		}
	}
}

func TestDemoRefuses(t *testing.T) {
	d := startTestDemo(t)
	c := newVisitor(t, d.URL())
	for _, bad := range []struct {
		method, path string
		body         any
		want         int
	}{
		{"POST", "/demo/control/kill/node9", nil, http.StatusNotFound},
		{"GET", "/demo/control/kill/node1", nil, http.StatusMethodNotAllowed},
		{"POST", "/demo/api/notes", " ", http.StatusBadRequest},
		{"POST", "/demo/api/notes", strings.Repeat("x", maxNoteLength+1), http.StatusBadRequest},
		{"POST", "/demo/api/notes", 12, http.StatusBadRequest},
		{"GET", "/demo/api/nothing", nil, http.StatusNotFound},
	} {
		if status, text := c.do(bad.method, bad.path, bad.body, nil); status != bad.want {
			t.Errorf("%s %s: %d %s, want %d", bad.method, bad.path, status, text, bad.want)
		}
	}
	response, err := c.client.Post(c.url+"/demo/control/kill/node1", "text/plain", nil)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode != http.StatusForbidden || !d.backends[0].State().Up {
		t.Errorf("a kill without the page's field: %d, want 403 and nobody killed", response.StatusCode)
	}
}

// TestKillClosesConnections kills a backend under an idle connection and under a request that is being sent.
func TestKillClosesConnections(t *testing.T) {
	b := newSampleBackend("node1", "token")
	if err := b.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Kill)
	address := b.State().Address
	var connections []net.Conn
	for _, sent := range []string{
		"GET /demo/api/health HTTP/1.1\r\nHost: x\r\n\r\n",
		"POST /demo/api/notes HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n\"begun",
	} {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err := io.WriteString(conn, sent); err != nil {
			t.Fatal(err)
		}
		connections = append(connections, conn)
	}
	if _, err := connections[0].Read(make([]byte, 4096)); err != nil {
		t.Fatalf("no answer before the kill: %v", err)
	}
	b.Kill()
	for i, conn := range connections {
		if err := conn.SetReadDeadline(time.Now().Add(30 * time.Second)); err != nil {
			t.Fatal(err)
		}
		if n, err := conn.Read(make([]byte, 4096)); err == nil || errors.Is(err, context.DeadlineExceeded) || isTimeout(err) {
			t.Errorf("connection %d after the kill: %d bytes, %v; want it closed", i, n, err)
		}
	}
	if conn, err := net.Dial("tcp", address); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("a new connection after the kill: %v %v, want it refused", conn, err)
	}
	if err := b.Start(); err != nil {
		t.Fatal(err)
	}
	if s := b.State(); !s.Up || s.Address != address || s.Sessions != 0 {
		t.Errorf("after the revival: %+v, want it up on %s with no session", s, address)
	}
}

func isTimeout(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}

func TestReviveOnTakenPort(t *testing.T) {
	b := newSampleBackend("node1", "token")
	if err := b.Start(); err != nil {
		t.Fatal(err)
	}
	b.Kill()
	taken, err := net.Listen("tcp", b.State().Address)
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	if err := b.Start(); !errors.Is(err, syscall.EADDRINUSE) || !strings.Contains(fmt.Sprint(err), `"node1"`) {
		t.Errorf("revival on a taken port: %v, want it refused with the backend's name", err)
	}
	if b.State().Up {
		t.Error("it counts as up")
	}
}

// TestDemoAddressInUse asks for a port that is taken: the usual one is replaced, one that was asked for is not.
func TestDemoAddressInUse(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	address := taken.Addr().String()
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	var out bytes.Buffer
	err = runDemo(ended, address, false, &out)
	if !errors.Is(err, syscall.EADDRINUSE) || !strings.Contains(err.Error(), address) || !strings.Contains(err.Error(), "--listen") {
		t.Errorf("error %v, want one that names %s and --listen", err, address)
	}
	if err := runDemo(ended, address, true, &out); err != nil {
		t.Errorf("with any port: %v", err)
	}
	for _, part := range []string{address + " is in use", "Open http://127.0.0.1:"} {
		if !strings.Contains(out.String(), part) {
			t.Errorf("output %q, want %q in it", out.String(), part)
		}
	}
}
