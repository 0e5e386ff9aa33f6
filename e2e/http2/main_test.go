// Package http2 holds the proxy to HTTP/2 with clients (RFC 9113): by h2spec, by curl, by Go's client, and by a client that writes each frame
// itself. h2spec/ is a module of its own that pins h2spec and what it is built from.
package http2

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"rehydra/e2e/harness"
)

func TestMain(m *testing.M) { os.Exit(harness.Main(m)) }

// patience is the limit of anything that should happen; only a failing test uses it up.
const patience = 20 * time.Second

// cluster is a proxy with TLS before two backends.
type cluster struct {
	*harness.Proxy
	t        *testing.T
	cert     *harness.Certificate
	backends []*backend
	config   harness.Config
}

// backend answers by path, and counts.
type backend struct {
	route string
	asked atomic.Int64 // requests that began
	left  atomic.Int64 // requests that the proxy gave up
}

// start runs the proxy. tls are lines of [server.tls], server those of [server].
func start(t *testing.T, server, tls []string) *cluster {
	t.Helper()
	c := &cluster{t: t, cert: harness.NewCertificate(t)}
	pool := harness.Pool{Name: "shop"}
	for _, route := range []string{"node1", "node2"} {
		b := &backend{route: route}
		c.backends = append(c.backends, b)
		pool.Backends = append(pool.Backends, harness.Backend{Route: route, Address: harness.ServeHTTP(t, b)})
	}
	c.config = harness.Config{NoToken: true, TLS: c.cert, TLSMore: tls, Server: server, Pools: []harness.Pool{pool}}
	c.Proxy = harness.Start(t, c.config)
	return c
}

func (b *backend) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b.asked.Add(1)
	h := w.Header()
	h.Set("X-Node", b.route)
	switch r.URL.Path {
	case "/echo": // what arrived
		h.Set("X-Head", fmt.Sprintf("%s %s %s", r.Method, r.RequestURI, r.Host))
		for _, name := range []string{"Via", "X-Forwarded-Proto", "X-Forwarded-For", "Cookie", "Connection", "Te", "Upgrade", "Content-Length"} {
			for _, v := range r.Header[name] {
				h.Add("X-Got-"+name, v)
			}
		}
		err := http.NewResponseController(w).EnableFullDuplex()
		if _, copied := io.Copy(w, r.Body); err != nil || copied != nil {
			panic(http.ErrAbortHandler)
		}
	case "/size":
		n, _ := strconv.Atoi(r.URL.Query().Get("n"))
		h.Set("Content-Length", strconv.Itoa(n))
		_, _ = io.CopyN(w, pattern{}, int64(n)) // an error: nobody listens
	case "/count":
		n, err := io.Copy(io.Discard, r.Body)
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		fmt.Fprint(w, n)
	case "/events":
		h.Set("Content-Type", "text/event-stream")
		fmt.Fprint(w, "data: first\n\n")
		w.(http.Flusher).Flush()
		<-r.Context().Done()
		b.left.Add(1)
	case "/hang":
		<-r.Context().Done()
		b.left.Add(1)
	case "/cut":
		_, _ = io.WriteString(w, "part")
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	case "/full":
		h.Set("Trailer", "X-Trailer")
		h.Set("Link", "</a>; rel=preload")
		w.WriteHeader(http.StatusEarlyHints)
		_, _ = io.WriteString(w, "body")
		h.Set("X-Trailer", "yes")
	case "/refuse":
		w.WriteHeader(http.StatusRequestEntityTooLarge)
		_, _ = io.WriteString(w, "too large")
	case "/nothing":
		w.WriteHeader(http.StatusNoContent)
	case "/same": // net/http leaves the length out
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		_, _ = io.WriteString(conn, "HTTP/1.1 304 Not Modified\r\nEtag: \"x\"\r\nContent-Length: 1234\r\nConnection: close\r\n\r\n")
		conn.Close()
	default:
		_, _ = io.WriteString(w, b.route)
	}
}

// pattern is an endless sequence in which a byte that is lost or doubled shows.
type pattern struct{}

func (pattern) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'x'
	}
	return len(p), nil
}

// client returns one connection's worth of client.
func (c *cluster) client() *http.Client {
	var protocols http.Protocols
	protocols.SetHTTP2(true)
	transport := &http.Transport{Protocols: &protocols, TLSClientConfig: &tls.Config{RootCAs: c.cert.Pool}, DisableCompression: true}
	c.t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: patience, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// url is the address of a path.
func (c *cluster) url(path string) string { return "https://" + c.Secure() + path }

// do sends a request and returns the answer with its body.
func (c *cluster) do(client *http.Client, method, path string, body io.Reader, fields ...string) (*http.Response, string, error) {
	c.t.Helper()
	req, err := http.NewRequestWithContext(c.t.Context(), method, c.url(path), body)
	if err != nil {
		c.t.Fatal(err)
	}
	for _, f := range fields {
		name, value, _ := strings.Cut(f, ": ")
		if name == "Host" {
			req.Host = value
		} else {
			req.Header.Add(name, value)
		}
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, "", err
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if resp.ProtoMajor != 2 {
		c.t.Errorf("%s was answered in %s", path, resp.Proto)
	}
	return resp, string(got), err
}

// want sends a request and wants an answer with this status.
func (c *cluster) want(client *http.Client, status int, method, path string, body io.Reader, fields ...string) (*http.Response, string) {
	c.t.Helper()
	resp, got, err := c.do(client, method, path, body, fields...)
	if err != nil {
		c.t.Fatalf("%s %s: %v", method, path, err)
	}
	if resp.StatusCode != status {
		c.t.Fatalf("%s %s: %d %q, wanted %d", method, path, resp.StatusCode, got, status)
	}
	return resp, got
}

// dial makes a TLS connection that has chosen protocol.
func (c *cluster) dial(protocol string) *tls.Conn {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), patience)
	defer cancel()
	d := tls.Dialer{Config: &tls.Config{RootCAs: c.cert.Pool, NextProtos: []string{protocol}}}
	conn, err := d.DialContext(ctx, "tcp", c.Secure())
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		c.t.Fatal(err)
	}
	return conn.(*tls.Conn)
}

// request returns the access log's event of a path.
func (c *cluster) request(path string) harness.Event {
	c.t.Helper()
	return c.WaitEvent(c.t, "the request of "+path, func(e harness.Event) bool {
		return e.Text("message") == "request" && e.Text("path") == path
	})
}
