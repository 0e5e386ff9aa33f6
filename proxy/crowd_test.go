package proxy

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"rehydra/proxy/http2front"
	"rehydra/proxy/upstream"
)

// TestReclaim: the connection that has waited for longest is closed, whether it ever had a request or not, and none that has not waited for a while.
func TestReclaim(t *testing.T) {
	table, err := upstream.NewTable(nil, nil, zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	defer table.Close()
	type waiting struct {
		name  string
		since time.Duration
		state int32
	}
	for _, tc := range []struct {
		name    string
		clients []waiting
		want    string // "" wants none closed
	}{
		{"nobody", nil, ""},
		{"one that never sent anything", []waiting{{"silent", time.Minute, stateIdle}, {"busy", time.Hour, stateActive}}, "silent"},
		{"an older one that is kept goes before it", []waiting{{"silent", time.Minute, stateIdle}, {"kept", 2 * time.Minute, stateIdle}}, "kept"},
		{"and a younger one behind it", []waiting{{"silent", 2 * time.Minute, stateIdle}, {"kept", time.Minute, stateIdle}}, "silent"},
		{"none that has just come", []waiting{{"new", 0, stateIdle}, {"busy", time.Hour, stateActive}}, ""},
		{"none in a tunnel or being closed", []waiting{{"tunnel", time.Hour, stateTunnel}, {"closed", time.Hour, stateClosed}}, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := NewServer(Limits{Connections: 10}, &Routing{Table: table}, nil, zerolog.Nop())
			OwnLoops(t, s)
			for _, w := range tc.clients {
				near, far := net.Pipe()
				t.Cleanup(func() { near.Close(); far.Close() })
				c := newClient(near, &s.readers)
				c.addr = w.name
				if w.since > 0 { // what has just come is as newClient leaves it
					c.used.Store(time.Now().Add(-w.since).UnixNano())
				}
				c.state.Store(w.state)
				s.add(c)
			}
			if got := s.reclaim(); got != (tc.want != "") {
				t.Errorf("one was closed: %v", got)
			}
			for c := range s.clients {
				closed := c.raw.SetDeadline(time.Time{}) != nil // which a closed pipe refuses
				if closed != (c.addr == tc.want) {
					t.Errorf("%s is closed: %v", c.addr, closed)
				}
			}
		})
	}
}

// TestReclaimNobodyWhoSpeaks: a connection on which something has come that nobody has read yet is not closed.
func TestReclaimNobodyWhoSpeaks(t *testing.T) {
	table, err := upstream.NewTable(nil, nil, zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	defer table.Close()
	front, err := http2front.New(http2front.Config{MaxStreams: 1, HeaderBytes: 1 << 10, IdleTimeout: time.Hour, StallTimeout: time.Hour, Log: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	for name, state := range map[string]int32{"HTTP/1": stateIdle, "HTTP/2": stateQuiet} {
		for _, sent := range []string{"", "P"} {
			t.Run(name+" "+sent, func(t *testing.T) {
				s := NewServer(Limits{Connections: 10}, &Routing{Table: table}, nil, zerolog.Nop())
				near, far := Connected(t)
				if _, err := io.WriteString(far, sent); err != nil {
					t.Fatal(err)
				}
				c := newClient(near, &s.readers)
				c.frames = front.Begin(near, nil)
				c.used.Store(1)
				c.state.Store(state)
				s.add(c)
				eventually(t, "what was sent is there", func() bool { return unread(near) == (sent != "") })
				if got, want := s.reclaim(), sent == ""; got != want {
					t.Errorf("it made room: %v, wanted %v", got, want)
				}
				if closed, want := near.SetDeadline(time.Time{}) != nil, sent == ""; closed != want { // which a closed connection refuses
					t.Errorf("it is closed: %v, wanted %v", closed, want)
				}
			})
		}
	}
}

// TestSilentClientsMakeRoom: clients that connect and say nothing keep nobody out for long.
func TestSilentClientsMakeRoom(t *testing.T) {
	table, err := upstream.NewTable(nil, nil, zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	defer table.Close()
	limits := Limits{HeaderTimeout: time.Hour, BodyTimeout: time.Hour, KeepAliveTimeout: time.Hour, HeaderBytes: 4096, HeaderCount: 10, Connections: 3}
	s := NewServer(limits, &Routing{Table: table}, nil, zerolog.Nop())
	OwnLoops(t, s)
	if err := s.Listen([]string{"127.0.0.1:0"}); err != nil {
		t.Fatal(err)
	}
	s.Start()
	defer s.Shutdown(context.Background())
	dial := func() net.Conn {
		t.Helper()
		c, err := (&net.Dialer{Timeout: patience}).DialContext(t.Context(), "tcp", s.Addresses()[0])
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		c.SetDeadline(time.Now().Add(patience))
		return c
	}
	for range limits.Connections {
		dial()
	}
	eventually(t, "all are there", func() bool { return s.Connections() == limits.Connections })
	for range 2 {
		c := dial()
		if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		resp, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Fatalf("no answer beside silent clients: %v", err)
		}
		resp.Body.Close()
	}
	if n := s.counts.reclaimed.Load(); n < 2 { // or more, where one takes long to go
		t.Errorf("%d were closed to make room, wanted one for each that came", n)
	}
}
