package upstream

import (
	"bytes"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"rehydra/e2e/harness"
)

// quick are checks for tests on real servers.
func quick(path string) HealthConfig {
	return HealthConfig{Path: path, Interval: 10 * time.Millisecond, Timeout: 2 * time.Second, Fall: 2, Rise: 2}
}

func checked(t *testing.T, log io.Writer, addr string, health HealthConfig) *Backend {
	t.Helper()
	tab := table(t, log, nil, Config{Name: "p", Health: health, Backends: []BackendConfig{{Route: "node1", Address: addr}}})
	tab.Start()
	return tab.Pools()[0].Backends()[0]
}

func TestChecksJudgeTheAnswer(t *testing.T) {
	for _, tc := range []struct {
		name, path string
		handle     func(net.Conn)
		reason     string // "": stays up
	}{
		{"connect only", "", hold, ""},
		{"200", "/up", answer("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"), ""},
		{"302 is not followed", "/up", answer("HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"), ""},
		{"404", "/up", answer("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"), "/up answered 404, wanted 2xx or 3xx"},
		{"503", "/up", answer("HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"), "/up answered 503"},
		{"no HTTP", "/up", answer("220 mail ESMTP\r\n"), "check failed"},
		{"cut answer", "/up", answer("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nok"), "cannot read the answer of /up"},
		{"hanging in the body", "/up", func(c net.Conn) {
			answer("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nok")(c)
			hold(c)
		}, "deadline exceeded"},
		{"silent", "/up", hold, "deadline exceeded"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			var log logBuffer
			s := serve(t, "127.0.0.1:0", tc.handle)
			b := checked(t, &log, s.addr, quick(tc.path))
			if tc.reason == "" {
				eventually(t, "five checks", func() bool { return s.connections() >= 5 })
				if !b.Up() || log.String() != "" {
					t.Errorf("up %v, log %q; want up and no event", b.Up(), log.String())
				}
				return
			}
			eventually(t, "backend out", func() bool { return !b.Up() })
			if got := b.Stats().Reason; !strings.Contains(got, tc.reason) {
				t.Errorf("reason %q, want %q in it", got, tc.reason)
			}
		})
	}
}

func TestCheckRequest(t *testing.T) {
	got := make(chan []byte, 100)
	s := serve(t, "127.0.0.1:0", func(c net.Conn) {
		buf := make([]byte, 4096)
		n, _ := c.Read(buf)
		got <- buf[:n]
		_, _ = io.WriteString(c, "HTTP/1.1 204 No Content\r\n\r\n")
		hold(c) // the checker closes
	})
	checked(t, io.Discard, s.addr, quick("/up?deep=1"))
	want := "GET /up?deep=1 HTTP/1.1\r\nUser-Agent: rehydra-health\r\nHost: " + s.addr + "\r\nConnection: close\r\n\r\n"
	if request := <-got; !bytes.Equal(request, []byte(want)) {
		t.Errorf("the check sent %q, want %q", request, want)
	}
}

func TestConnectCheckSendsNothing(t *testing.T) {
	got := make(chan int, 1000)
	s := serve(t, "127.0.0.1:0", func(c net.Conn) {
		n, err := io.Copy(io.Discard, c)
		if err != nil {
			n = -1
		}
		got <- int(n)
	})
	checked(t, io.Discard, s.addr, quick(""))
	for range 3 {
		if n := <-got; n != 0 {
			t.Errorf("a connect check ended with %d, want 0 bytes and a regular end", n)
		}
	}
}

func TestOutAndBack(t *testing.T) {
	var log logBuffer
	s := serve(t, harness.FreeAddress(t), answer("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"))
	b := checked(t, &log, s.addr, quick("/up"))
	eventually(t, "a check", func() bool { return s.connections() > 0 })
	first := b.Epoch()
	s.kill()
	eventually(t, "out after the kill", func() bool { return !b.Up() })
	if p, _, err := b.Pool().Choose(nil, nil); err != ErrNoBackend {
		t.Errorf("Choose gives %v, %v while it is out", p, err)
	}
	serve(t, s.addr, answer("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"))
	eventually(t, "back", b.Up)
	if b.Epoch() == first {
		t.Error("it was out, and its epoch is the same")
	}
	if got, _, err := b.Pool().Choose(nil, nil); err != nil || got != b {
		t.Errorf("Choose gives %v, %v after its return", got, err)
	}
	eventually(t, "two events", func() bool { return strings.Count(log.String(), "\n") == 2 })
}

// A backend that a request found out is checked at once, not at the end of the interval.
func TestPassiveOutIsCheckedAtOnce(t *testing.T) {
	s := serve(t, "127.0.0.1:0", hold)
	b := checked(t, io.Discard, s.addr, HealthConfig{Interval: time.Hour, Rise: 1})
	eventually(t, "the first check", func() bool { return s.connections() == 1 })
	b.ReportRefused(errOut)
	eventually(t, "back", b.Up)
	if n := s.connections(); n != 2 {
		t.Errorf("%d checks, want 2", n)
	}
}

func TestCloseStopsAHangingCheck(t *testing.T) {
	s := serve(t, "127.0.0.1:0", hold)
	tab := table(t, io.Discard, nil, Config{Name: "p", Health: HealthConfig{Path: "/", Timeout: time.Hour}, Backends: []BackendConfig{{Route: "n1", Address: s.addr}}})
	tab.Start()
	eventually(t, "a check", func() bool { return s.connections() == 1 })
	start := time.Now()
	tab.Close()
	if took := time.Since(start); took > time.Minute {
		t.Errorf("Close took %v", took)
	}
	if b := tab.Pools()[0].Backends()[0]; !b.Up() || b.shared.failed != 0 {
		t.Error("a check that Close cut short counts as failed")
	}
}
