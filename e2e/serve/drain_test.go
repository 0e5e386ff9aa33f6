package serve

import (
	"io"
	"syscall"
	"testing"

	"rehydra/e2e/harness"
)

// held returns a backend whose answers to /slow wait for release.
func held(t *testing.T) (b *backend, release chan struct{}) {
	t.Helper()
	release = make(chan struct{})
	b = start(t, "node1", func(q *call) {
		if q.path("/slow") {
			q.until(release)
		}
		q.ok()
	})
	return b, release
}

func TestDrain(t *testing.T) {
	t.Parallel()
	for name, signal := range map[string]syscall.Signal{"SIGTERM": syscall.SIGTERM, "SIGINT": syscall.SIGINT} {
		t.Run(name, func(t *testing.T) {
			b, release := held(t)
			p := serve(t, nil, b)
			fresh, idle, slow, pipelined := dial(t, p.address), dial(t, p.address), dial(t, p.address), dial(t, p.address)
			idle.get("/").want(t, 200, "node1")
			slow.send("%s", head("GET", "/slow"))
			pipelined.send("%s%s", head("GET", "/slow/1"), head("GET", "/2"))
			b.waitSeen("/slow", 1)
			b.waitSeen("/slow/1", 1)

			p.signal(signal)
			idle.closed()
			fresh.closed()
			p.waitEvent("draining")
			harness.Eventually(t, "the listener is closed", func() bool { return p.listening() <= 1 })
			wantRefused(t, p.address)
			if !p.running() {
				t.Fatal("it ended while a request ran")
			}
			close(release)
			for _, c := range []*client{slow, pipelined} {
				a := c.answer("GET")
				a.want(t, 200, "node1")
				if !a.close {
					t.Error("the answer during the drain does not say Connection: close")
				}
				c.closed()
			}
			if code := p.exit(); code != 0 {
				t.Errorf("exit code %d, wanted 0", code)
			}
			if b.seen("/2") > 0 {
				t.Error("a request that was not begun was sent")
			}
			if n := len(p.events("stopped")); n != 1 {
				t.Errorf("%d events stopped, wanted 1", n)
			}
		})
	}
}

// TestDrainCuts: what still runs when the time is over is cut, whatever it waits for.
func TestDrainCuts(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	b := start(t, "node1", func(q *call) {
		switch {
		case q.path("/silent"): // answers nothing
			q.gone()
		case q.path("/stalled"): // stops in the middle of an answer
			q.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nsome")
			q.gone()
		case q.path("/tunnel"):
			q.send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
			q.gone()
		case q.path("/upload"):
			q.ok()
		}
	})
	defer close(release)
	p := serve(t, settings{"server": {`drain_timeout = "300ms"`}}, b)
	silent, stalled, tunnel, upload := dial(t, p.address), dial(t, p.address), dial(t, p.address), dial(t, p.address)
	silent.send("%s", head("GET", "/silent"))
	stalled.send("%s", head("GET", "/stalled"))
	tunnel.send("%s", head("GET", "/tunnel", "Connection: Upgrade", "Upgrade: echo"))
	upload.send("%s%s", head("POST", "/upload", "Content-Length: 1000000"), string(make([]byte, 100_000)))
	for _, target := range []string{"/silent", "/stalled", "/tunnel", "/upload"} {
		b.waitSeen(target, 1)
	}
	if a := tunnel.answer("GET"); a.status != 101 {
		t.Fatalf("status %d, wanted 101", a.status)
	}
	p.signal(syscall.SIGTERM)
	if code := p.exit(); code != 0 { // of the four none ends by itself
		t.Errorf("exit code %d, wanted 0", code)
	}
	cut := p.events("stopped: requests were cut")
	if len(cut) != 1 || cut[0]["cut"] != 4.0 {
		t.Errorf("the log says %v, wanted that 4 were cut", cut)
	}
	if a, err := stalled.receive("GET"); err == nil && a.err == nil {
		t.Errorf("the cut answer looks complete: %+v", a)
	}
}

// TestSecondSignal: whoever signals again does not want to wait.
func TestSecondSignal(t *testing.T) {
	t.Parallel()
	b, _ := held(t)
	p := serve(t, settings{"server": {`drain_timeout = "10m"`}}, b)
	c := dial(t, p.address)
	c.send("%s", head("GET", "/slow"))
	b.waitSeen("/slow", 1)
	p.signal(syscall.SIGTERM)
	p.waitEvent("draining")
	p.signal(syscall.SIGTERM)
	if code := p.exit(); code != 0 {
		t.Errorf("exit code %d, wanted 0", code)
	}
	if cut := p.events("stopped: requests were cut"); len(cut) != 1 || cut[0]["cut"] != 1.0 {
		t.Errorf("the log says %v, wanted that 1 was cut", cut)
	}
}

// TestDrainReadsOn: a client that sends its next request while the drain answers the one before gets that answer and the end of the
// connection. Closing on what it sent would be a reset, which takes the answer away from a client that reads late.
func TestDrainReadsOn(t *testing.T) {
	t.Parallel()
	b, release := held(t)
	p := serve(t, nil, b)
	c := dial(t, p.address)
	c.send("%s", head("GET", "/slow"))
	b.waitSeen("/slow", 1)
	c.send("%s%s", head("POST", "/next", "Content-Length: 10000"), string(make([]byte, 10000)))
	p.signal(syscall.SIGTERM)
	p.waitEvent("draining")
	close(release)
	a := c.answer("GET")
	a.want(t, 200, "node1")
	if !a.close {
		t.Error("the answer during the drain does not say Connection: close")
	}
	if _, err := c.r.ReadByte(); err != io.EOF {
		t.Errorf("after the answer: %v, wanted the end of the stream", err)
	}
	c.conn.Close()
	if code := p.exit(); code != 0 {
		t.Errorf("exit code %d, wanted 0", code)
	}
	if n := b.seen("/next"); n != 0 {
		t.Error("a request that was not begun was sent")
	}
}
