package tls

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
	"testing"
	"time"

	"rehydra/e2e/harness"
)

// scripted is a backend with TLS whose every byte belongs to the test.
func scripted(t *testing.T, address string, config *tls.Config, handle func(*tls.Conn, *bufio.Reader, *http.Request)) {
	t.Helper()
	harness.ServeAt(t, address, func(raw *net.TCPConn) {
		conn := tls.Server(raw, config)
		_ = raw.SetDeadline(time.Now().Add(patience)) // what fails is seen by the client
		r := bufio.NewReader(conn)
		if req, err := http.ReadRequest(r); err == nil {
			handle(conn, r, req)
		}
	})
}

// between starts a proxy with TLS on both sides of it, and returns a connection to it.
func between(t *testing.T, handle func(*tls.Conn, *bufio.Reader, *http.Request)) *tls.Conn {
	t.Helper()
	authority := harness.NewAuthority(t)
	address := harness.FreeAddress(t)
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	scripted(t, address, &tls.Config{Certificates: []tls.Certificate{authority.Issue(t, harness.Wanted{Names: []string{host}}).Pair}}, handle)
	p := harness.Start(t, harness.Config{
		NoToken: true, TLS: files(authority.Issue(t, harness.Wanted{Names: []string{"shop.test"}})),
		Pools: []harness.Pool{{
			Name: "shop", Lines: []string{fmt.Sprintf("tls.ca_file = %q", authority.File)}, Health: []string{`interval = "1h"`},
			Backends: []harness.Backend{{Route: "node1", Address: address, Lines: []string{fmt.Sprintf("url = %q", "https://"+address)}}},
		}},
	})
	conn, err := tls.DialWithDialer(&net.Dialer{Timeout: patience}, "tcp", p.Secure(), &tls.Config{ServerName: "shop.test", RootCAs: authority.Pool(), NextProtos: []string{"http/1.1"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(patience))
	return conn
}

// An upgraded connection carries bytes both ways, and each side's end by itself.
func TestUpgrade(t *testing.T) {
	const size = 4 << 20
	conn := between(t, func(c *tls.Conn, r *bufio.Reader, _ *http.Request) {
		_, _ = io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\nhello")
		got, _ := io.ReadAll(r) // to the end of the client's side, after which ours goes on
		_, _ = c.Write(got)
		_ = c.CloseWrite()
		_, _ = io.Copy(io.Discard, r)
	})
	_, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: shop.test\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
	if err != nil {
		t.Fatal(err)
	}
	r := bufio.NewReader(conn)
	resp, err := http.ReadResponse(r, nil)
	if err != nil || resp.StatusCode != 101 {
		t.Fatal(resp, err)
	}
	sent := bytes.Repeat([]byte("0123456789abcdef"), size/16)
	if _, err := conn.Write(sent); err != nil {
		t.Fatal(err)
	}
	if err := conn.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(r)
	if err != nil || string(got[:5]) != "hello" || !bytes.Equal(got[5:], sent) {
		t.Errorf("got %d bytes and %v, wanted hello and %d bytes", len(got), err, size)
	}
}

// A client's stream that ends without TLS saying so was cut, by whomever: the tunnel ends as a whole, and nobody takes it for what the client meant to say.
func TestTunnelThatIsCut(t *testing.T) {
	for name, test := range map[string]struct {
		end  func(*tls.Conn) error
		said bool // the backend is told that this was all
		want string
	}{
		"ended": {(*tls.Conn).CloseWrite, true, "answer"},
		"cut":   {func(c *tls.Conn) error { return c.NetConn().(*net.TCPConn).CloseWrite() }, false, ""},
	} {
		t.Run(name, func(t *testing.T) {
			said := make(chan bool, 1)
			conn := between(t, func(c *tls.Conn, _ *bufio.Reader, _ *http.Request) {
				_, _ = io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
				alert, _ := c.NetConn().Read(make([]byte, 100)) // or the end, however it comes; nothing else was sent
				said <- alert > 0
				_, _ = io.WriteString(c, "answer")
				_ = c.CloseWrite()
			})
			if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: shop.test\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n"); err != nil {
				t.Fatal(err)
			}
			r := bufio.NewReader(conn)
			resp, err := http.ReadResponse(r, nil)
			if err != nil || resp.StatusCode != 101 {
				t.Fatal(resp, err)
			}
			if err := test.end(conn); err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(r)
			if ne, ok := err.(net.Error); string(got) != test.want || ok && ne.Timeout() {
				t.Errorf("got %q and %v, wanted %q", got, err, test.want)
			}
			if got := <-said; got != test.said {
				t.Errorf("the backend was told that this was all: %v, wanted %v", got, test.said)
			}
		})
	}
}

// A body that ends with its connection is whole only if TLS says so: one that was cut must not look whole to the client.
func TestBodyThatIsCut(t *testing.T) {
	const head = "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"
	for _, test := range []struct {
		name  string
		end   func(*tls.Conn)
		whole bool
	}{
		{"ended", func(c *tls.Conn) { _ = c.CloseWrite() }, true},
		{"cut", func(c *tls.Conn) { _ = c.NetConn().(*net.TCPConn).CloseWrite() }, false},
		{"reset", func(c *tls.Conn) { _ = c.NetConn().(*net.TCPConn).SetLinger(0); _ = c.NetConn().Close() }, false},
	} {
		for _, version := range []string{"1.0", "1.1"} {
			t.Run(test.name+", HTTP/"+version, func(t *testing.T) {
				got := make(chan struct{})
				conn := between(t, func(c *tls.Conn, r *bufio.Reader, _ *http.Request) {
					_, _ = io.WriteString(c, head+"beginning")
					<-got
					test.end(c)
					_, _ = io.Copy(io.Discard, r)
				})
				if _, err := io.WriteString(conn, "GET / HTTP/"+version+"\r\nHost: shop.test\r\n\r\n"); err != nil {
					t.Fatal(err)
				}
				resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
				if err != nil {
					t.Fatal(err)
				}
				beginning := make([]byte, len("beginning"))
				if _, err := io.ReadFull(resp.Body, beginning); err != nil {
					t.Fatal(err)
				}
				close(got)
				rest, err := io.ReadAll(resp.Body)
				if (err == nil) != test.whole || len(rest) > 0 {
					t.Errorf("the rest is %q, and the end %v; wanted it whole: %v", rest, err, test.whole)
				}
				if errors.Is(err, errors.ErrUnsupported) || err != nil && strings.Contains(err.Error(), "timeout") {
					t.Errorf("the end is %v", err)
				}
			})
		}
	}
}
