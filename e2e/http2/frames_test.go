package http2

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"rehydra/e2e/harness"
)

// wire is a connection whose every frame a test writes.
type wire struct {
	t       *testing.T
	conn    interface{ Close() error }
	framer  *http2.Framer
	block   bytes.Buffer
	encoder *hpack.Encoder
	next    uint32 // stream
}

func (c *cluster) wire() *wire {
	c.t.Helper()
	return c.wireOver(c.dial("h2"))
}

func (c *cluster) wireOver(conn *tls.Conn, settings ...http2.Setting) *wire {
	c.t.Helper()
	w := &wire{t: c.t, conn: conn, framer: http2.NewFramer(conn, conn), next: 1}
	w.framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	w.encoder = hpack.NewEncoder(&w.block)
	if _, err := conn.Write([]byte(http2.ClientPreface)); err != nil {
		c.t.Fatal(err)
	}
	if err := w.framer.WriteSettings(settings...); err != nil {
		c.t.Fatal(err)
	}
	return w
}

// send begins a request. fields are "name: value"; the pseudo-header fields of a plain GET come before them, unless one of theirs is there.
func (w *wire) send(end bool, fields ...string) (stream uint32, err error) {
	w.block.Reset()
	for _, pseudo := range []string{":method: GET", ":scheme: https", ":authority: shop.test", ":path: /echo"} {
		name, _, _ := strings.Cut(pseudo[1:], ": ")
		for _, f := range fields {
			if strings.HasPrefix(f, ":"+name+": ") {
				pseudo = f
			}
		}
		w.write(pseudo)
	}
	for _, f := range fields {
		if !strings.HasPrefix(f, ":") || strings.HasPrefix(f, ":protocol") {
			w.write(f)
		}
	}
	stream, w.next = w.next, w.next+2
	first := w.block.Bytes()
	rest := first[min(len(first), 16000):]
	err = w.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: first[:len(first)-len(rest)], EndStream: end, EndHeaders: len(rest) == 0})
	for err == nil && len(rest) > 0 {
		part := rest[:min(len(rest), 16000)]
		rest = rest[len(part):]
		err = w.framer.WriteContinuation(stream, len(rest) == 0, part)
	}
	return stream, err
}

func (w *wire) write(field string) {
	at := strings.Index(field[1:], ": ") + 1
	if err := w.encoder.WriteField(hpack.HeaderField{Name: field[:at], Value: field[at+2:]}); err != nil {
		w.t.Fatal(err)
	}
}

// outcome is how a stream went: a status and fields, or the code of a RST_STREAM or GOAWAY.
type outcome struct {
	status string
	fields map[string][]string
	reset  *http2.ErrCode
}

// outcome reads frames until the stream has an answer or an end.
func (w *wire) outcome(stream uint32) outcome {
	w.t.Helper()
	for {
		frame, err := w.framer.ReadFrame()
		if err != nil {
			w.t.Fatalf("stream %d: %v", stream, err)
		}
		switch f := frame.(type) {
		case *http2.SettingsFrame:
			if !f.IsAck() {
				_ = w.framer.WriteSettingsAck() // an error comes up at the next read
			}
		case *http2.MetaHeadersFrame:
			if f.StreamID == stream {
				o := outcome{status: f.PseudoValue("status"), fields: make(map[string][]string)}
				for _, h := range f.RegularFields() {
					o.fields[h.Name] = append(o.fields[h.Name], h.Value)
				}
				return o
			}
		case *http2.RSTStreamFrame:
			if f.StreamID == stream {
				return outcome{reset: &f.ErrCode}
			}
		case *http2.GoAwayFrame:
			return outcome{reset: &f.ErrCode}
		}
	}
}

// TestMalformed: what RFC 9113 calls malformed, and what would mean something else in HTTP/1.1, reaches no backend.
func TestMalformed(t *testing.T) {
	t.Parallel()
	c := start(t, []string{"max_header_bytes = 8192"}, nil)
	for _, k := range []struct {
		name   string
		fields []string
		status string // "" wants RST_STREAM or GOAWAY
	}{
		{"a line end in a value", []string{"x-a: b\r\nrehydra-have: 1"}, ""},
		{"a line end in the path", []string{":path: / HTTP/1.1\r\nx: y"}, ""},
		{"NUL in a value", []string{"x-a: b\x00"}, ""},
		{"capitals in a name", []string{"X-A: b"}, ""},
		{"a space in a name", []string{"x a: b"}, ""},
		{"extended CONNECT", []string{":method: CONNECT", ":protocol: websocket"}, ""},
		{"no path", []string{":path: "}, ""},
		{"another scheme", []string{":scheme: ftp"}, ""},
		{"a field of the connection", []string{"connection: close"}, "400"},
		{"a coding", []string{"transfer-encoding: chunked"}, "400"},
		{"an upgrade", []string{"upgrade: websocket"}, "400"},
		{"a space in the path", []string{":path: /a b"}, "400"},
		{"a version in the path", []string{":path: /a HTTP/1.1"}, "400"},
		{"an absolute path", []string{":path: http://other.test/"}, ""},
		{"user information", []string{":authority: me@shop.test"}, ""},
		{"another Host", []string{"host: other.test"}, ""},
		{"a length without a body", []string{"content-length: 5"}, "400"},
		{"two lengths", []string{"content-length: 0", "content-length: 0"}, "400"},
		{"a header list that is too long", slices.Repeat([]string{"x-a: " + strings.Repeat("x", 1800)}, 5), "431"},
		{"one that is far too long", []string{"x-a: " + strings.Repeat("x", 60000)}, ""},
	} {
		w := c.wire()
		stream, err := w.send(true, k.fields...)
		if err != nil {
			t.Fatal(err)
		}
		o := w.outcome(stream)
		refused := o.status == k.status && k.status != "" || k.status == "" && (o.reset != nil || o.status == "400")
		if !refused {
			t.Errorf("%s: got status %q %v, wanted %q", k.name, o.status, o.reset, k.status)
		}
		w.conn.Close()
	}
	if n := c.asked(); n > 0 {
		t.Errorf("%d requests reached a backend", n)
	}
}

// TestCrumbs: cookies that come one by one go on as one field, and the route in one of them counts.
func TestCrumbs(t *testing.T) {
	t.Parallel()
	c := start(t, nil, nil)
	for range 4 {
		w := c.wire()
		stream, err := w.send(true, "cookie: a=1", "cookie: JSESSIONID=ABC.node2", "cookie: b=2", "x-empty: ")
		if err != nil {
			t.Fatal(err)
		}
		o := w.outcome(stream)
		if got := strings.Join(o.fields["x-got-cookie"], "|"); got != "a=1; JSESSIONID=ABC.node2; b=2" || o.fields["x-node"][0] != "node2" {
			t.Errorf("node %s got %q", o.fields["x-node"], got)
		}
	}
}

// TestRapidReset: a client that begins and resets requests as fast as it can is sent away or served, others notice nothing, and nothing is left
// (CVE-2023-44487). Nor is of one whose connection breaks off with requests under way.
func TestRapidReset(t *testing.T) {
	t.Parallel()
	c := start(t, nil, nil)
	client := c.client()
	c.want(client, 200, "GET", "/", nil)
	descriptors, goroutines := c.descriptors(), c.Metric(t, "rehydra_goroutines")
	sent := 0
	for range 5 {
		w := c.wire()
		for range 4000 {
			stream, err := w.send(true, ":path: /hang")
			if err == nil {
				err = w.framer.WriteRSTStream(stream, http2.ErrCodeCancel)
			}
			if err != nil {
				break // it was sent away
			}
			sent++
		}
		for range 10 {
			if _, err := w.send(true, ":path: /hang"); err != nil {
				break
			}
		}
		w.conn.Close()
		c.want(client, 200, "GET", "/", nil)
	}
	t.Logf("%d requests begun and reset, %d reached a backend", sent, c.asked())
	c.WaitMetric(t, "rehydra_client_streams", 0)
	c.WaitMetric(t, "rehydra_client_connections", 1)
	// Connections to backends that were ended with their requests go too. One may be kept, for each backend.
	harness.Eventually(t, fmt.Sprintf("at most %d descriptors and %v goroutines", descriptors+2, goroutines), func() bool {
		return c.descriptors() <= descriptors+2 && c.Metric(t, "rehydra_goroutines") <= goroutines+4
	})
}

// descriptors counts what the proxy has open.
func (c *cluster) descriptors() int {
	c.t.Helper()
	list, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", c.PID()))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		c.t.Fatal(err)
	}
	return len(list)
}
