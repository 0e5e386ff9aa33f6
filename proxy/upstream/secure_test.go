package upstream

import (
	"bufio"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"rehydra/e2e/harness"
)

// overTLS gives handle the connections of a server with TLS, and the buffer below it.
func overTLS(config *tls.Config, handle func(*tls.Conn, *held)) func(net.Conn) {
	return func(c net.Conn) {
		below := &held{Conn: c}
		conn := tls.Server(below, config)
		if conn.Handshake() == nil {
			handle(conn, below)
		}
	}
}

// held is a connection whose writes can be kept back, so that they arrive as one.
type held struct {
	net.Conn
	mu   sync.Mutex
	hold bool
	kept []byte
}

func (h *held) Write(p []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.hold {
		h.kept = append(h.kept, p...)
		return len(p), nil
	}
	return h.Conn.Write(p)
}

func (h *held) keep() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.hold = true
}

// send sends what was kept back, but for the last bytes.
func (h *held) send(but int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.hold = false
	_, _ = h.Conn.Write(h.kept[:len(h.kept)-but])
	h.kept = h.kept[len(h.kept)-but:]
}

// secureBackend returns a backend at an address that is to be shop.test, and the configuration of a server that is.
func secureBackend(t *testing.T, authority *harness.Authority, address string, timeouts Timeouts) *Backend {
	t.Helper()
	config := &tls.Config{RootCAs: authority.Pool(), ServerName: "shop.test"}
	tab := table(t, io.Discard, nil, Config{Name: "p", Timeouts: timeouts, Backends: []BackendConfig{{Route: "node1", Address: address, TLS: config}}})
	return tab.Pools()[0].Backends()[0]
}

func serverConfig(t *testing.T, authority *harness.Authority, name string, version uint16) *tls.Config {
	t.Helper()
	return &tls.Config{Certificates: []tls.Certificate{authority.Issue(t, harness.Wanted{Names: []string{name}}).Pair}, MinVersion: version, MaxVersion: version}
}

// A connection with TLS serves one request after the other. That a server of TLS 1.3 sends tickets must not look like an answer too many.
func TestSecureReuse(t *testing.T) {
	authority := harness.NewAuthority(t)
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		t.Run(tls.VersionName(version), func(t *testing.T) {
			s := serve(t, "127.0.0.1:0", overTLS(serverConfig(t, authority, "shop.test", version), func(c *tls.Conn, _ *held) { _, _ = io.Copy(c, c) }))
			b := secureBackend(t, authority, s.addr, Timeouts{})
			for n := range 5 {
				c := acquire(t, b)
				if c.Reused != (n > 0) {
					t.Errorf("request %d: reused %v", n, c.Reused)
				}
				roundTrip(t, c, strings.Repeat("x", 10000*n+1))
				if _, ok := c.NetConn().(*tls.Conn); !ok {
					t.Errorf("the connection is a %T", c.NetConn())
				}
				b.Release(c, time.Now())
			}
			if st := b.Stats(); st.Dialed != 1 || st.Stale != 0 {
				t.Errorf("stats %+v, want 1 dialed and none stale", st)
			}
		})
	}
}

// What follows an answer must reach no other client, wherever it waits: in TLS, decrypted or not or only in part, or in the system.
func TestSecureSurplus(t *testing.T) {
	authority := harness.NewAuthority(t)
	for _, test := range []struct {
		name string
		but  int // bytes of the surplus that come later
	}{{"whole", 0}, {"in part", 5}, {"no more than a header", 18}, {"not even that", 22}} {
		t.Run(test.name, func(t *testing.T) {
			released, sent := make(chan struct{}), make(chan struct{})
			s := serve(t, "127.0.0.1:0", overTLS(serverConfig(t, authority, "shop.test", tls.VersionTLS13), func(c *tls.Conn, below *held) {
				request := make([]byte, 7)
				if _, err := io.ReadFull(c, request); err != nil {
					return
				}
				below.keep()
				_, _ = io.WriteString(c, "answer1")
				_, _ = io.WriteString(c, "x") // a record of 5 + 1 + 1 + 16 bytes
				below.send(test.but)
				<-released
				if test.but > 0 {
					_, _ = below.Conn.Write(below.kept)
				}
				close(sent)
				_, _ = io.Copy(io.Discard, c)
			}))
			b := secureBackend(t, authority, s.addr, Timeouts{})
			c := acquire(t, b)
			if _, err := io.WriteString(c, "request"); err != nil {
				t.Fatal(err)
			}
			// Everything that was sent at once is there before it is read, so that TLS reads past the answer.
			eventually(t, "it has arrived", func() bool { return !c.calls.Silent(c.raw) })
			got := make([]byte, 7)
			if _, err := io.ReadFull(bufio.NewReaderSize(onlyRead{c}, 7), got); err != nil || string(got) != "answer1" {
				t.Fatalf("got %q, %v", got, err)
			}
			if c.usable() {
				t.Error("the connection is to be used again before the rest has come")
			}
			close(released)
			<-sent
			if test.but > 0 && c.usable() { // a look takes what is whole
				t.Error("the connection is to be used again")
			}
			c.Close()
		})
	}
}

// onlyRead hides what else a connection can do.
type onlyRead struct{ c *Conn }

func (r onlyRead) Read(p []byte) (int, error) { return r.c.Read(p) }

// An end that the backend says by TLS alone is an end.
func TestSecureEnd(t *testing.T) {
	authority := harness.NewAuthority(t)
	ended := make(chan struct{})
	s := serve(t, "127.0.0.1:0", overTLS(serverConfig(t, authority, "shop.test", tls.VersionTLS13), func(c *tls.Conn, _ *held) {
		_, _ = io.CopyN(c, c, 4)
		<-ended
		_ = c.CloseWrite()
		_, _ = io.Copy(io.Discard, c)
	}))
	b := secureBackend(t, authority, s.addr, Timeouts{})
	c := acquire(t, b)
	roundTrip(t, c, "once")
	b.Release(c, time.Now())
	close(ended)
	eventually(t, "the connection is not used again", func() bool {
		c := acquire(t, b)
		defer func() {
			if c.Reused {
				b.Release(c, time.Now())
			} else {
				c.Close()
			}
		}()
		return !c.Reused
	})
}

func TestWhomABackendMustBe(t *testing.T) {
	authority, stranger := harness.NewAuthority(t), harness.NewAuthority(t)
	for _, test := range []struct {
		name   string
		config *tls.Config
		want   string
	}{
		{"of an unknown authority", serverConfig(t, stranger, "shop.test", tls.VersionTLS13), "unknown authority"},
		{"another host", serverConfig(t, authority, "other.test", tls.VersionTLS13), "other.test, not shop.test"},
		{"too old a TLS", &tls.Config{Certificates: serverConfig(t, authority, "shop.test", 0).Certificates, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}, "version"},
		{"no TLS", nil, "TLS handshake"},
	} {
		t.Run(test.name, func(t *testing.T) {
			handle := func(c net.Conn) { _, _ = io.WriteString(c, "HTTP/1.1 400 Bad Request\r\n\r\n") }
			if test.config != nil {
				handle = overTLS(test.config, func(c *tls.Conn, _ *held) { hold(c) })
			}
			s := serve(t, "127.0.0.1:0", handle)
			b := secureBackend(t, authority, s.addr, Timeouts{})
			_, err := b.Acquire(nil, time.Now(), LookNow)
			var ce *ConnectError
			if !errors.As(err, &ce) || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, wanted a ConnectError with %q", err, test.want)
			}
			if err := newChecker(b).check(t.Context()); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("the check says %v, wanted %q", err, test.want)
			}
			if st := b.Stats(); st.Open != 0 {
				t.Errorf("%d connections are open", st.Open)
			}
		})
	}
}

// A handshake has the rest of the time in which the connection is to be made.
func TestHandshakeThatHangs(t *testing.T) {
	s := serve(t, "127.0.0.1:0", hold)
	b := secureBackend(t, harness.NewAuthority(t), s.addr, Timeouts{Connect: 50 * time.Millisecond})
	_, err := b.Acquire(nil, time.Now(), LookNow)
	var ce *ConnectError
	if !errors.As(err, &ce) || !ce.Timeout {
		t.Errorf("got %v, wanted a ConnectError with Timeout", err)
	}
}

func TestSecureCheck(t *testing.T) {
	authority := harness.NewAuthority(t)
	s := serve(t, "127.0.0.1:0", overTLS(serverConfig(t, authority, "shop.test", tls.VersionTLS13), func(c *tls.Conn, _ *held) {
		answer("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")(c)
	}))
	for _, path := range []string{"", "/"} {
		tab := table(t, io.Discard, nil, Config{Name: "p", Health: HealthConfig{Path: path, Timeout: 10 * time.Second}, Backends: []BackendConfig{
			{Route: "node1", Address: s.addr, TLS: &tls.Config{RootCAs: authority.Pool(), ServerName: "shop.test"}}}})
		if err := newChecker(tab.Pools()[0].Backends()[0]).check(t.Context()); err != nil {
			t.Errorf("path %q: %v", path, err)
		}
	}
}

// A backend that takes nothing is given up, though TLS is between.
func TestSecureWriteThatStalls(t *testing.T) {
	authority := harness.NewAuthority(t)
	s := serve(t, "127.0.0.1:0", overTLS(serverConfig(t, authority, "shop.test", tls.VersionTLS13), func(c *tls.Conn, _ *held) { <-t.Context().Done() }))
	b := secureBackend(t, authority, s.addr, Timeouts{Idle: 50 * time.Millisecond})
	c := acquire(t, b)
	defer c.Close()
	data := make([]byte, 1<<20)
	for range 256 {
		if _, err := c.Write(data); err != nil {
			var timeout net.Error
			if !errors.As(err, &timeout) || !timeout.Timeout() {
				t.Errorf("got %v, wanted a time-out", err)
			}
			return
		}
	}
	t.Error("256 MiB were taken by one that reads nothing")
}

// Connections made in another way than a reload wants are not used.
func TestReloadChangesTLS(t *testing.T) {
	authority := harness.NewAuthority(t)
	config := &tls.Config{RootCAs: authority.Pool(), ServerName: "shop.test"}
	s := serve(t, "127.0.0.1:0", overTLS(serverConfig(t, authority, "shop.test", tls.VersionTLS13), func(c *tls.Conn, _ *held) { _, _ = io.Copy(c, c) }))
	with := func(config *tls.Config, old *Table) *Table {
		return table(t, io.Discard, old, Config{Name: "p", Backends: []BackendConfig{{Route: "node1", Address: s.addr, TLS: config}}})
	}
	first := with(config, nil)
	b := first.Pools()[0].Backends()[0]
	c := acquire(t, b)
	roundTrip(t, c, "x")
	b.Release(c, time.Now())
	second := with(config.Clone(), first)
	c = acquire(t, second.Pools()[0].Backends()[0])
	defer c.Close()
	if c.Reused {
		t.Error("a connection of the configuration before is used")
	}
}
