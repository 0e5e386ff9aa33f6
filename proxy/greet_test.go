package proxy

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pires/go-proxyproto"
	"github.com/rs/zerolog"

	"rehydra/e2e/harness"
	"rehydra/jvmroute"
	"rehydra/proxy/tlsfront"
	"rehydra/proxy/upstream"
)

// patience is the limit of what should happen; only a failing test uses it up.
const patience = 20 * time.Second

// tell answers with the request line and the fields of a request, each on a line, sorted.
func tell(w http.ResponseWriter, r *http.Request) {
	lines := []string{}
	for _, name := range slices.Sorted(maps.Keys(r.Header)) {
		lines = append(lines, name+": "+strings.Join(r.Header[name], " | "))
	}
	w.Header().Set("Strict-Transport-Security", "max-age=1")
	fmt.Fprintf(w, "%s %s %s\n%s\n", r.Method, r.Host, r.RequestURI, strings.Join(lines, "\n"))
}

// rig is a server with one backend that tells what it got.
type rig struct {
	*Server
	t *testing.T
}

// newRig starts a server that listens with one kind of listener.
func newRig(t *testing.T, kind Kind, front *Front) *rig {
	t.Helper()
	return newRigOf(t, kind, front, patience, tell)
}

// newRigOf is newRig with an idle time for clients and a backend.
func newRigOf(t *testing.T, kind Kind, front *Front, idle time.Duration, answer http.HandlerFunc) *rig {
	t.Helper()
	return rigSpec{kind: kind, front: front, idle: idle, answer: answer, loops: true}.start(t)
}

// rigSpec is what a server of a test is to be.
type rigSpec struct {
	kind   Kind
	front  *Front
	idle   time.Duration    // KeepAliveTimeout
	answer http.HandlerFunc // the backend's
	room   int              // for clients; 0: for any number
	loops  bool             // event loops serve them; else goroutines do
	http2  bool
}

func (r rigSpec) start(t *testing.T) *rig {
	t.Helper()
	backend := httptest.NewServer(r.answer)
	t.Cleanup(backend.Close)
	address := strings.TrimPrefix(backend.URL, "http://")
	table, err := upstream.NewTable([]upstream.Config{{Name: "shop", Backends: []upstream.BackendConfig{{Route: "node1", Address: address}}}}, nil, zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(table.Close)
	finder, err := jvmroute.NewFinder("JSESSIONID", "jsessionid")
	if err != nil {
		t.Fatal(err)
	}
	limits := Limits{HeaderTimeout: patience, BodyTimeout: patience, KeepAliveTimeout: r.idle, HeaderBytes: 64 << 10, HeaderCount: 100, Connections: r.room}
	s := NewServer(limits, &Routing{Table: table, Finder: finder}, nil, zerolog.New(zerolog.NewTestWriter(t)))
	if r.loops {
		OwnLoops(t, s)
	}
	if r.http2 {
		if err := s.SpeakHTTP2(10); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.listen(r.kind, []string{"127.0.0.1:0"}); err != nil {
		t.Fatal(err)
	}
	s.SetFront(r.front)
	s.Start()
	t.Cleanup(func() {
		ended, cancel := context.WithCancel(context.Background())
		cancel()
		s.Shutdown(ended)
	})
	return &rig{s, t}
}

// dial connects from an address of the loopback network.
func (r *rig) dial(from string) net.Conn {
	r.t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}, Timeout: patience}
	conn, err := d.DialContext(r.t.Context(), "tcp", r.Addresses()[0])
	if err != nil {
		r.t.Fatal(err)
	}
	conn.SetDeadline(time.Now().Add(patience))
	r.t.Cleanup(func() { conn.Close() })
	return conn
}

// ask sends a GET on a connection and returns the answer with its body.
func ask(t *testing.T, conn net.Conn, r *bufio.Reader, target string) (*http.Response, string) {
	t.Helper()
	if _, err := io.WriteString(conn, "GET "+target+" HTTP/1.1\r\nHost: shop.test\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(r, nil)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	return resp, string(body)
}

// ended waits for the end of a connection on which nothing comes.
func ended(t *testing.T, conn net.Conn) {
	t.Helper()
	n, err := conn.Read(make([]byte, 1))
	if ne, ok := err.(net.Error); n > 0 || ok && ne.Timeout() {
		t.Errorf("%d bytes came, and %v; wanted the connection closed", n, err)
	}
}

// eventually waits until something holds.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !holds(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("in vain: %s", what)
		}
	}
}

// loopback is the peers of 127.0.0.2, which begin with a PROXY header in these tests.
var loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.2/32")}

// tlsFront returns a front with a certificate for shop.test, and what a client needs for it.
func tlsFront(t *testing.T) (*Front, *tls.Config) {
	t.Helper()
	authority := harness.NewAuthority(t)
	issued := authority.Issue(t, harness.Wanted{Names: []string{"shop.test"}})
	certificate, err := tlsfront.Load(issued.Certificate, issued.Key)
	if err != nil {
		t.Fatal(err)
	}
	config := tlsfront.Config{Certificates: []*tlsfront.Certificate{certificate}, MinVersion: tls.VersionTLS12, Protocols: []string{"http/1.1"}}
	return &Front{TLS: config.TLS()}, &tls.Config{ServerName: "shop.test", RootCAs: authority.Pool()}
}

func wantLine(t *testing.T, body, line string) {
	t.Helper()
	if !strings.Contains("\n"+body, "\n"+line+"\n") {
		t.Errorf("the backend was told\n%swanted the line %q", body, line)
	}
}

func TestRequestsOverTLS(t *testing.T) {
	front, config := tlsFront(t)
	front.HSTS = "max-age=31536000"
	s := newRig(t, TLS, front)
	conn := tls.Client(s.dial("127.0.0.1"), config)
	r := bufio.NewReader(conn)
	for range 3 { // on one connection
		resp, body := ask(t, conn, r, "/a?b=c")
		wantLine(t, body, "GET shop.test /a?b=c")
		wantLine(t, body, "X-Forwarded-Proto: https")
		wantLine(t, body, "X-Forwarded-For: 127.0.0.1")
		wantLine(t, body, "Ssl_protocol: TLSv1.3")
		wantLine(t, body, "Ssl_client_verify: NONE")
		if got := resp.Header["Strict-Transport-Security"]; !slices.Equal(got, []string{front.HSTS}) {
			t.Errorf("Strict-Transport-Security is %q", got)
		}
	}
}

// Without TLS there is no Strict-Transport-Security of ours, and a backend's own passes.
func TestPlainRequests(t *testing.T) {
	s := newRig(t, Plain, &Front{HSTS: "max-age=31536000"})
	conn := s.dial("127.0.0.1")
	resp, body := ask(t, conn, bufio.NewReader(conn), "/")
	wantLine(t, body, "X-Forwarded-Proto: http")
	if strings.Contains(body, "Ssl_") {
		t.Errorf("the backend was told of TLS:\n%s", body)
	}
	if got := resp.Header["Strict-Transport-Security"]; !slices.Equal(got, []string{"max-age=1"}) {
		t.Errorf("Strict-Transport-Security is %q", got)
	}
}

// proxyHeader is a PROXY header that names a client.
func proxyHeader(t *testing.T, version byte, client string) string {
	t.Helper()
	source := net.TCPAddrFromAddrPort(netip.MustParseAddrPort(client))
	to := &net.TCPAddr{IP: net.ParseIP("192.0.2.80"), Port: 80}
	if source.IP.To4() == nil {
		to.IP = net.ParseIP("2001:db8::80")
	}
	text, err := proxyproto.HeaderProxyFromAddrs(version, source, to).Format()
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// A local header is of a connection that the proxy made for itself, such as a check.
const localHeader = "\r\n\r\n\x00\r\nQUIT\n\x20\x00\x00\x00"

func TestProxyHeader(t *testing.T) {
	secure, config := tlsFront(t)
	for _, kind := range []Kind{Plain, TLS} {
		s := newRig(t, kind, &Front{TLS: secure.TLS, ProxyProtocol: loopback})
		for _, test := range []struct{ name, from, header, want string }{
			{"version 1", "127.0.0.2", proxyHeader(t, 1, "198.51.100.7:4711"), "198.51.100.7"},
			{"version 2", "127.0.0.2", proxyHeader(t, 2, "198.51.100.7:4711"), "198.51.100.7"},
			{"IPv6", "127.0.0.2", proxyHeader(t, 2, "[2001:db8::7]:4711"), "2001:db8::7"},
			{"version 1 for IPv6", "127.0.0.2", proxyHeader(t, 1, "[2001:db8::7]:4711"), "2001:db8::7"},
			{"unknown", "127.0.0.2", "PROXY UNKNOWN\r\n", "127.0.0.2"},
			{"local", "127.0.0.2", localHeader, "127.0.0.2"},
			{"none from others", "127.0.0.1", "", "127.0.0.1"},
		} {
			t.Run(kind.String()+", "+test.name, func(t *testing.T) {
				conn := s.dial(test.from)
				if _, err := io.WriteString(conn, test.header); err != nil {
					t.Fatal(err)
				}
				if kind == TLS {
					conn = tls.Client(conn, config)
				}
				_, body := ask(t, conn, bufio.NewReader(conn), "/")
				wantLine(t, body, "X-Forwarded-For: "+test.want)
			})
		}
		if n := s.ConnectionCounts().BadProxyHeaders; n != 0 {
			t.Errorf("%d headers were refused", n)
		}
	}
}

func TestProxyHeaderThatIsRefused(t *testing.T) {
	s := newRig(t, Plain, &Front{ProxyProtocol: loopback})
	refused := uint64(0)
	for name, sent := range map[string]string{
		"none":                       "GET / HTTP/1.1\r\nHost: shop.test\r\n\r\n",
		"a broken one of version 1":  "PROXY TCP4 1.2.3.4\r\nGET / HTTP/1.1\r\n\r\n",
		"an address that is none":    "PROXY TCP4 1.2.3.400 1.2.3.4 1 2\r\n",
		"a family that is another":   "PROXY TCP6 1.2.3.4 1.2.3.5 1 2\r\n",
		"one too long":               "PROXY TCP4 " + strings.Repeat("1", 200) + "\r\n",
		"a broken one of version 2":  "\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x02ab",
		"a protocol that is unknown": "\r\n\r\n\x00\r\nQUIT\n\x21\x13\x00\x0c\x01\x02\x03\x04\x01\x02\x03\x04\x00\x01\x00\x02",
		"a command that is unknown":  "\r\n\r\n\x00\r\nQUIT\n\x2f\x11\x00\x0c\x01\x02\x03\x04\x01\x02\x03\x04\x00\x01\x00\x02",
		"a socket's name":            "\r\n\r\n\x00\r\nQUIT\n\x21\x31\x00\xd8" + strings.Repeat("/x", 108),
		"UDP":                        "\r\n\r\n\x00\r\nQUIT\n\x21\x12\x00\x0c\x01\x02\x03\x04\x01\x02\x03\x04\x00\x01\x00\x02",
	} {
		t.Run(name, func(t *testing.T) {
			conn := s.dial("127.0.0.2")
			if _, err := io.WriteString(conn, sent); err != nil {
				t.Fatal(err)
			}
			ended(t, conn)
			refused++
			eventually(t, "it is counted", func() bool { return s.ConnectionCounts().BadProxyHeaders == refused })
		})
	}
	t.Run("silence is no fault", func(t *testing.T) {
		s.dial("127.0.0.2").Close()
		conn := s.dial("127.0.0.2")
		io.WriteString(conn, proxyHeader(t, 1, "198.51.100.7:1"))
		_, body := ask(t, conn, bufio.NewReader(conn), "/") // the server still serves
		wantLine(t, body, "X-Forwarded-For: 198.51.100.7")
		eventually(t, "both have gone", func() bool { return s.Connections() <= 1 })
		if n := s.ConnectionCounts().BadProxyHeaders; n != refused {
			t.Errorf("%d headers were refused, wanted %d", n, refused)
		}
	})
}

// A header of whom nobody asked for one is no request, and names nobody.
func TestProxyHeaderOfAStranger(t *testing.T) {
	s := newRig(t, Plain, &Front{ProxyProtocol: loopback})
	conn := s.dial("127.0.0.1")
	io.WriteString(conn, proxyHeader(t, 1, "198.51.100.7:1")+"GET / HTTP/1.1\r\nHost: shop.test\r\n\r\n")
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != 400 {
		t.Errorf("got %d, wanted 400", resp.StatusCode)
	}
}

func TestHandshakeThatFails(t *testing.T) {
	front, config := tlsFront(t)
	s := newRig(t, TLS, front)
	failed := uint64(0)
	for name, sent := range map[string]string{
		"plain HTTP":  "GET / HTTP/1.1\r\nHost: shop.test\r\n\r\n",
		"nonsense":    strings.Repeat("x", 5000),
		"a cut hello": "\x16\x03\x01\x01\x00\x01",
	} {
		t.Run(name, func(t *testing.T) {
			conn := s.dial("127.0.0.1")
			io.WriteString(conn, sent)
			conn.(*net.TCPConn).CloseWrite()
			io.Copy(io.Discard, conn)
			failed++
			eventually(t, "it is counted", func() bool { return s.ConnectionCounts().BadHandshakes == failed })
		})
	}
	t.Run("and the others are served", func(t *testing.T) {
		conn := tls.Client(s.dial("127.0.0.1"), config)
		ask(t, conn, bufio.NewReader(conn), "/")
		conn.Close()
	})
	t.Run("one that connects only is no failure", func(t *testing.T) {
		s.dial("127.0.0.1").Close()
		eventually(t, "it has gone", func() bool { return s.Connections() == 0 })
		if n := s.ConnectionCounts().BadHandshakes; n != failed {
			t.Errorf("%d failures, wanted %d", n, failed)
		}
	})
}

// A handshake has the time of a request's head, and no more.
func TestHandshakeThatTakesTooLong(t *testing.T) {
	front, _ := tlsFront(t)
	s := newRig(t, TLS, front)
	s.limits.HeaderTimeout = 50 * time.Millisecond
	conn := s.dial("127.0.0.1")
	io.WriteString(conn, "\x16\x03\x01")
	ended(t, conn)
}

// A drain does not wait for long for a client that is in its handshake.
func TestHandshakeInADrain(t *testing.T) {
	front, _ := tlsFront(t)
	s := newRig(t, TLS, front)
	conn := s.dial("127.0.0.1")
	io.WriteString(conn, "\x16\x03\x01")
	eventually(t, "the connection is there", func() bool { return s.Connections() == 1 })
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if cut := s.Shutdown(ctx); cut != 0 || ctx.Err() != nil {
		t.Errorf("%d were cut, %v", cut, ctx.Err())
	}
	if n := s.ConnectionCounts().BadHandshakes; n != 0 {
		t.Errorf("%d handshakes failed", n)
	}
}

// halting is a connection that calls halt between the first byte and the others.
type halting struct {
	net.Conn
	halt func()
}

// Write is net.Conn's.
func (c *halting) Write(p []byte) (int, error) {
	if c.halt == nil {
		return c.Conn.Write(p)
	}
	if _, err := c.Conn.Write(p[:1]); err != nil {
		return 0, err
	}
	c.halt()
	c.halt = nil
	n, err := c.Conn.Write(p[1:])
	return n + 1, err
}

// The drain's patience with a client that is being greeted begins anew with each thing that is heard of it.
func TestGreetingIsHeard(t *testing.T) {
	front, config := tlsFront(t)
	front.ProxyProtocol = loopback
	s := newRig(t, TLS, front)
	conn := s.dial("127.0.0.2")
	last := int64(0)
	heard := func(what string) {
		t.Helper()
		eventually(t, what+" is heard", func() bool {
			s.mu.Lock()
			defer s.mu.Unlock()
			for c := range s.clients {
				if at := c.greeted.Load(); at > last {
					last = at
					return true
				}
			}
			return false
		})
	}
	io.WriteString(conn, proxyHeader(t, 2, "192.0.2.1:4711"))
	heard("the PROXY header")
	client := tls.Client(&halting{conn, func() { heard("the beginning of a handshake") }}, config)
	if err := client.Handshake(); err != nil {
		t.Fatal(err)
	}
	heard("its end")
}

// A panic in a handshake costs that connection.
func TestHandshakeThatPanics(t *testing.T) {
	front, config := tlsFront(t)
	front.TLS.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		if hello.ServerName == "panic.test" {
			panic("in a handshake")
		}
		return nil, nil
	}
	s := newRig(t, TLS, front)
	first := tls.Client(s.dial("127.0.0.1"), config)
	r := bufio.NewReader(first)
	ask(t, first, r, "/")
	if err := tls.Client(s.dial("127.0.0.1"), &tls.Config{ServerName: "panic.test"}).Handshake(); err == nil {
		t.Error("there was a handshake")
	}
	ask(t, first, r, "/")
	conn := tls.Client(s.dial("127.0.0.1"), config)
	ask(t, conn, bufio.NewReader(conn), "/")
}

func TestRedirect(t *testing.T) {
	front := &Front{Redirect: true, RedirectPort: 443, Trusted: loopback, HSTS: "max-age=1", Challenge: func(host, path string) ([]byte, bool) {
		return []byte("answer of " + host), path == challengePath+"ours"
	}}
	other := *front
	other.RedirectPort = 8443
	for _, test := range []struct {
		name, from, head string
		front            *Front
		status           int
		location         string
	}{
		{"a GET", "127.0.0.1", "GET /a;b=c?d=e HTTP/1.1\r\nHost: shop.test\r\n\r\n", front, 301, "https://shop.test/a;b=c?d=e"},
		{"a POST", "127.0.0.1", "POST /a HTTP/1.1\r\nHost: shop.test:80\r\nContent-Length: 0\r\n\r\n", front, 308, "https://shop.test/a"},
		{"another port", "127.0.0.1", "GET / HTTP/1.1\r\nHost: [::1]:8080\r\n\r\n", &other, 301, "https://[::1]:8443/"},
		{"no host", "127.0.0.1", "GET /a HTTP/1.0\r\n\r\n", front, 301, "https://127.0.0.1/a"},
		{"the absolute form", "127.0.0.1", "GET http://shop.test:80/a HTTP/1.1\r\nHost: x\r\n\r\n", front, 301, "https://shop.test/a"},
		{"a client of a proxy that has TLS", "127.0.0.2", "GET / HTTP/1.1\r\nHost: shop.test\r\nX-Forwarded-Proto: https\r\n\r\n", front, 200, ""},
		{"a client of a proxy that has none", "127.0.0.2", "GET / HTTP/1.1\r\nHost: shop.test\r\nX-Forwarded-Proto: http\r\n\r\n", front, 301, "https://shop.test/"},
		{"a stranger that says so", "127.0.0.1", "GET / HTTP/1.1\r\nHost: shop.test\r\nX-Forwarded-Proto: https\r\n\r\n", front, 301, "https://shop.test/"},
		{"a challenge", "127.0.0.1", "GET /.well-known/acme-challenge/ours HTTP/1.1\r\nHost: shop.test\r\n\r\n", front, 200, ""},
		{"a challenge of somebody else", "127.0.0.1", "GET /.well-known/acme-challenge/x HTTP/1.1\r\nHost: shop.test\r\n\r\n", front, 200, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newRig(t, Plain, test.front)
			conn := s.dial(test.from)
			io.WriteString(conn, test.head)
			resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil {
				t.Fatal(err)
			}
			body, _ := io.ReadAll(resp.Body)
			resp.Body.Close()
			if got := resp.Header.Get("Location"); resp.StatusCode != test.status || got != test.location {
				t.Errorf("got %d to %q, wanted %d to %q", resp.StatusCode, got, test.status, test.location)
			}
			if ours := string(body) == "answer of shop.test"; ours != (test.name == "a challenge") {
				t.Errorf("the body is %q", body)
			}
		})
	}
}
