package http1

import (
	"errors"
	"strings"
	"testing"
)

// statusOf returns what a parser's error asks to answer; 0 without an error.
func statusOf(t *testing.T, err error) int {
	t.Helper()
	if err == nil {
		return 0
	}
	var pe *ProtocolError
	if !errors.As(err, &pe) {
		t.Fatalf("error is %T (%v), want a *ProtocolError", err, err)
	}
	if pe.Reason == "" {
		t.Fatal("a ProtocolError without a reason")
	}
	return pe.Status
}

func TestRequestHeadRefuses(t *testing.T) {
	get := "GET /x HTTP/1.1\r\nHost: a.test\r\n"
	tests := []struct {
		name, raw string
		status    int
	}{
		{"plain", get + "\r\n", 0},
		{"no end", get, 400},
		{"bytes after the end", get + "\r\nX", 400},
		{"empty", "", 400},
		{"only an empty line", "\r\n", 400},
		{"leading space", " GET /x HTTP/1.1\r\nHost: a\r\n\r\n", 400},
		{"HTTP/0.9", "GET /x\r\n\r\n", 400},
		{"bare LF request line", "GET /x HTTP/1.1\nHost: a\r\n\r\n", 400},
		{"bare LF field", get + "X: y\nZ: 1\r\n\r\n", 400},
		{"bare LF end", get + "X: y\n\n", 400},
		{"bare CR value", get + "X: a\rb\r\n\r\n", 400},
		{"bare CR line", get + "\rX: a\r\n\r\n", 400},
		{"CR CR LF", get + "X: a\r\r\n\r\n", 400},
		{"NUL", get + "X: a\x00b\r\n\r\n", 400},
		{"DEL", get + "X: a\x7fb\r\n\r\n", 400},
		{"vertical tab", get + "X: \x0bb\r\n\r\n", 400},
		{"HTAB in a value", get + "X: a\tb\r\n\r\n", 0},
		{"obs-text", get + "X: caf\xe9\r\n\r\n", 0},
		{"empty value", get + "X:\r\n\r\n", 0},
		{"fold", get + "X: a\r\n b\r\n\r\n", 400},
		{"fold with a tab", get + "X: a\r\n\tb\r\n\r\n", 400},
		{"fold first", "GET /x HTTP/1.1\r\n Host: a\r\n\r\n", 400},
		{"space before colon", get + "X : a\r\n\r\n", 400},
		{"tab before colon", get + "X\t: a\r\n\r\n", 400},
		{"space in name", get + "X Y: a\r\n\r\n", 400},
		{"no name", get + ": a\r\n\r\n", 400},
		{"no colon", get + "X\r\n\r\n", 400},
		{"control in name", get + "X\x02Y: a\r\n\r\n", 400},
		{"high byte in name", get + "X\xe9: a\r\n\r\n", 400},
		{"delimiter in name", get + "X(Y): a\r\n\r\n", 400},

		{"method not a token", "G<T /x HTTP/1.1\r\nHost: a\r\n\r\n", 400},
		{"unknown method", "BREW /x HTTP/1.1\r\nHost: a\r\n\r\n", 0},
		{"two spaces", "GET  /x HTTP/1.1\r\nHost: a\r\n\r\n", 400},
		{"two spaces before version", "GET /x  HTTP/1.1\r\nHost: a\r\n\r\n", 400},
		{"space in target", "GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", 400},
		{"tabs", "GET\t/x\tHTTP/1.1\r\nHost: a\r\n\r\n", 400},
		{"space after version", "GET /x HTTP/1.1 \r\nHost: a\r\n\r\n", 400},
		{"control in target", "GET /x\x01y HTTP/1.1\r\nHost: a\r\n\r\n", 400},
		{"high byte in target", "GET /\xc3\xa9 HTTP/1.1\r\nHost: a\r\n\r\n", 400},
		{"fragment", "GET /x#y HTTP/1.1\r\nHost: a\r\n\r\n", 400},
		{"browser's query", "GET /x?a=|{}^`\\ HTTP/1.1\r\nHost: a\r\n\r\n", 0},
		{"asterisk", "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", 0},
		{"asterisk GET", "GET * HTTP/1.1\r\nHost: a\r\n\r\n", 400},
		{"authority form", "GET a.test:80 HTTP/1.1\r\nHost: a\r\n\r\n", 400},
		{"relative", "GET x HTTP/1.1\r\nHost: a\r\n\r\n", 400},
		{"CONNECT", "CONNECT a.test:443 HTTP/1.1\r\nHost: a.test:443\r\n\r\n", 501},
		{"other scheme", "GET ftp://b.test/p HTTP/1.1\r\nHost: a\r\n\r\n", 400},
		{"absolute with user", "GET http://u:p@b.test/p HTTP/1.1\r\nHost: a\r\n\r\n", 400},
		{"absolute without host", "GET http:///p HTTP/1.1\r\nHost: a\r\n\r\n", 400},
		{"absolute without Host field", "GET http://b.test/p HTTP/1.1\r\n\r\n", 400},

		{"HTTP/1.2", "GET /x HTTP/1.2\r\nHost: a\r\n\r\n", 505},
		{"HTTP/2.0", "PRI * HTTP/2.0\r\n\r\n", 505},
		{"HTTP/9.9", "GET /x HTTP/9.9\r\nHost: a\r\n\r\n", 505},
		{"lower case", "GET /x http/1.1\r\nHost: a\r\n\r\n", 400},
		{"HTTP/1.10", "GET /x HTTP/1.10\r\nHost: a\r\n\r\n", 400},
		{"HTTP/1,1", "GET /x HTTP/1,1\r\nHost: a\r\n\r\n", 400},

		{"no Host", "GET /x HTTP/1.1\r\n\r\n", 400},
		{"no Host in 1.0", "GET /x HTTP/1.0\r\n\r\n", 0},
		{"two Hosts", get + "Host: a.test\r\n\r\n", 400},
		{"two Hosts in 1.0", "GET /x HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", 400},
		{"Host list", "GET /x HTTP/1.1\r\nHost: a, b\r\n\r\n", 400},
		{"Host comma", "GET /x HTTP/1.1\r\nHost: a,b\r\n\r\n", 400},
		{"empty Host", "GET /x HTTP/1.1\r\nHost: \r\n\r\n", 400},
		{"Host with user", "GET /x HTTP/1.1\r\nHost: u@a\r\n\r\n", 400},
		{"Host with path", "GET /x HTTP/1.1\r\nHost: a/b\r\n\r\n", 400},
		{"Host with port", "GET /x HTTP/1.1\r\nHost: a:8080\r\n\r\n", 0},
		{"Host with bad port", "GET /x HTTP/1.1\r\nHost: a:80a\r\n\r\n", 400},
		{"Host with huge port", "GET /x HTTP/1.1\r\nHost: a:65536\r\n\r\n", 400},
		{"Host IPv6", "GET /x HTTP/1.1\r\nHost: [::1]:80\r\n\r\n", 0},
		{"Host bad IPv6", "GET /x HTTP/1.1\r\nHost: [::1\r\n\r\n", 400},
		{"Host IPv6 zone", "GET /x HTTP/1.1\r\nHost: [fe80::1%25e]\r\n\r\n", 400},
		{"Host IPv4 in brackets", "GET /x HTTP/1.1\r\nHost: [1.2.3.4]\r\n\r\n", 400},

		{"length", get + "Content-Length: 5\r\n\r\n", 0},
		{"length twice", get + "Content-Length: 5\r\nContent-Length: 5\r\n\r\n", 400},
		{"length list", get + "Content-Length: 5, 5\r\n\r\n", 400},
		{"length empty", get + "Content-Length: \r\n\r\n", 400},
		{"length signed", get + "Content-Length: +5\r\n\r\n", 400},
		{"length negative", get + "Content-Length: -5\r\n\r\n", 400},
		{"length hex", get + "Content-Length: 0x5\r\n\r\n", 400},
		{"length underscore", get + "Content-Length: 1_0\r\n\r\n", 400},
		{"length junk", get + "Content-Length: 5 5\r\n\r\n", 400},
		{"length huge", get + "Content-Length: 99999999999999999999\r\n\r\n", 413},
		{"length 2^63", get + "Content-Length: 9223372036854775808\r\n\r\n", 413},

		{"chunked", get + "Transfer-Encoding: chunked\r\n\r\n", 0},
		{"chunked in odd case", get + "tRaNsFeR-eNcOdInG: ChUnKeD\r\n\r\n", 0},
		{"chunked twice", get + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
		{"chunked, chunked", get + "Transfer-Encoding: chunked, chunked\r\n\r\n", 400},
		{"chunked, gzip", get + "Transfer-Encoding: chunked, gzip\r\n\r\n", 400},
		{"gzip, chunked", get + "Transfer-Encoding: gzip, chunked\r\n\r\n", 501},
		{"gzip and chunked", get + "Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n", 501},
		{"gzip", get + "Transfer-Encoding: gzip\r\n\r\n", 501},
		{"identity", get + "Transfer-Encoding: identity\r\n\r\n", 501},
		{"empty coding", get + "Transfer-Encoding:\r\n\r\n", 400},
		{"chunked with comma", get + "Transfer-Encoding: chunked,\r\n\r\n", 400},
		{"nbsp", get + "Transfer-Encoding: \xa0chunked\r\n\r\n", 400},
		{"coding parameter", get + "Transfer-Encoding: chunked;a=b\r\n\r\n", 400},
		{"both", get + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
		{"both, other order", get + "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n", 400},
		{"coding in 1.0", "POST /x HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", 400},

		{"Expect", get + "Expect: 100-Continue\r\nContent-Length: 5\r\n\r\n", 0},
		{"Expect other", get + "Expect: y 100-continue\r\n\r\n", 417},
		{"Expect empty", get + "Expect:\r\n\r\n", 417},
		{"Connection not a token", get + "Connection: a b\r\n\r\n", 400},
		{"Connection empty elements", get + "Connection: , close,\r\n\r\n", 0},
		{"Connection of 100 names", get + "Connection: " + strings.Repeat("a,", 100) + "\r\n\r\n", 400},
		{"Max-Forwards", "TRACE /x HTTP/1.1\r\nHost: a\r\nMax-Forwards: x\r\n\r\n", 400},
		{"Max-Forwards of GET", get + "Max-Forwards: x\r\n\r\n", 0},
		{"too many fields", get + strings.Repeat("X: y\r\n", 100) + "\r\n", 431},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := RequestHead{MaxFields: 100}
			if got := statusOf(t, h.Parse([]byte(tt.raw))); got != tt.status {
				t.Errorf("status %d, want %d", got, tt.status)
			}
		})
	}
}

func TestRequestHeadTarget(t *testing.T) {
	tests := []struct{ method, target, want, path, query, authority string }{
		{"GET", "/", "/", "/", "", "a.test"},
		{"GET", "/p;jsessionid=A.n?q=?%00", "/p;jsessionid=A.n?q=?%00", "/p;jsessionid=A.n", "q=?%00", "a.test"},
		{"GET", "//x/../y", "//x/../y", "//x/../y", "", "a.test"},
		{"GET", "http://b.test/p?q", "/p?q", "/p", "q", "b.test"},
		{"GET", "HTTPS://b.test:443/", "/", "/", "", "b.test:443"},
		{"GET", "http://b.test", "/", "/", "", "b.test"},
		{"GET", "http://b.test?q=/", "/?q=/", "/", "q=/", "b.test"},
		{"OPTIONS", "http://b.test", "*", "*", "", "b.test"},
		{"OPTIONS", "http://b.test/", "/", "/", "", "b.test"},
		{"GET", "http://[::1]:80/p", "/p", "/p", "", "[::1]:80"},
	}
	var h RequestHead
	for _, tt := range tests {
		raw := tt.method + " " + tt.target + " HTTP/1.1\r\nHost: \t a.test \t\r\n\r\n"
		if err := h.Parse([]byte(raw)); err != nil {
			t.Errorf("%s: %v", tt.target, err)
			continue
		}
		if string(h.Target) != tt.want || string(h.Path) != tt.path || string(h.Query) != tt.query ||
			string(h.Authority) != tt.authority || string(h.RawTarget) != tt.target {
			t.Errorf("%s: target %q path %q query %q authority %q", tt.target, h.Target, h.Path, h.Query, h.Authority)
		}
	}
}

func TestRequestHeadMeaning(t *testing.T) {
	type want struct {
		framing   Framing
		length    int64
		keepAlive bool
		expect    bool
		upgrade   string
		max       int64
	}
	none := want{length: -1, keepAlive: true, max: -1}
	with := func(f func(*want)) want { w := none; f(&w); return w }
	tests := []struct {
		line, fields string
		want         want
	}{
		{"GET /x HTTP/1.1", "", none},
		{"GET /x HTTP/1.1", "Connection: Close\r\n", with(func(w *want) { w.keepAlive = false })},
		{"GET /x HTTP/1.1", "Connection: x\r\nConnection: y, close\r\n", with(func(w *want) { w.keepAlive = false })},
		{"GET /x HTTP/1.0", "", with(func(w *want) { w.keepAlive = false })},
		{"GET /x HTTP/1.0", "Connection: Keep-Alive\r\n", none},
		{"GET /x HTTP/1.0", "Connection: keep-alive, close\r\n", with(func(w *want) { w.keepAlive = false })},
		{"POST /x HTTP/1.1", "Content-Length: 005\r\n", with(func(w *want) { w.framing, w.length = FramingLength, 5 })},
		{"POST /x HTTP/1.1", "Content-Length: 0\r\nExpect: 100-continue\r\n", with(func(w *want) { w.framing, w.length = FramingLength, 0 })},
		{"POST /x HTTP/1.1", "Content-Length: 1\r\nExpect: 100-continue\r\n", with(func(w *want) { w.framing, w.length, w.expect = FramingLength, 1, true })},
		{"POST /x HTTP/1.0", "Content-Length: 1\r\nExpect: 100-continue\r\n", with(func(w *want) { w.framing, w.length, w.keepAlive = FramingLength, 1, false })},
		{"POST /x HTTP/1.1", "Transfer-Encoding: Chunked\r\n", with(func(w *want) { w.framing = FramingChunked })},
		{"GET /x HTTP/1.1", "Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n", with(func(w *want) { w.upgrade = "websocket" })},
		{"GET /x HTTP/1.1", "Upgrade: websocket\r\n", none},
		{"GET /x HTTP/1.1", "Connection: upgrade\r\n", none},
		{"GET /x HTTP/1.1", "Connection: upgrade\r\nUpgrade: h2c\r\n", none},
		{"GET /x HTTP/1.1", "Connection: upgrade\r\nUpgrade: websocket, H2C\r\n", none},
		{"GET /x HTTP/1.1", "Connection: upgrade\r\nUpgrade: TLS/1.0\r\n", none},
		{"GET /x HTTP/1.1", "Connection: upgrade\r\nUpgrade: websocket\r\nUpgrade: x\r\n", none},
		{"GET /x HTTP/1.0", "Connection: upgrade, keep-alive\r\nUpgrade: websocket\r\n", none},
		{"POST /x HTTP/1.1", "Connection: upgrade\r\nUpgrade: websocket\r\nContent-Length: 1\r\n", with(func(w *want) { w.framing, w.length = FramingLength, 1 })},
		{"TRACE /x HTTP/1.1", "Max-Forwards: 07\r\n", with(func(w *want) { w.max = 7 })},
		{"GET /x HTTP/1.1", "Max-Forwards: 7\r\n", none},
	}
	var h RequestHead
	for _, tt := range tests {
		if err := h.Parse([]byte(tt.line + "\r\nHost: a\r\n" + tt.fields + "\r\n")); err != nil {
			t.Errorf("%s %q: %v", tt.line, tt.fields, err)
			continue
		}
		got := want{h.Framing, h.ContentLength, h.KeepAlive, h.Expect100, string(h.Upgrade), h.MaxForwards}
		if got != tt.want {
			t.Errorf("%s %q: %+v, want %+v", tt.line, tt.fields, got, tt.want)
		}
	}
}

func TestRequestHeadHopByHop(t *testing.T) {
	raw := "GET /x HTTP/1.1\r\nHost: a\r\nConnection: close, X-Foo\r\nConnection: content-length, host, transfer-encoding, x-bar\r\n" +
		"x-foo: 1\r\nX-BAR: 2\r\nKeep-Alive: 3\r\nProxy-Connection: 4\r\nTE: 5\r\nUpgrade: 6\r\nProxy-Authorization: 7\r\n" +
		"HTTP2-Settings: 8\r\nContent-Length: 0\r\nTrailer: 9\r\nX-Keep: 10\r\n\r\n"
	var h RequestHead
	if err := h.Parse([]byte(raw)); err != nil {
		t.Fatal(err)
	}
	var kept []string
	for i := range h.Fields {
		if !h.IsHopByHop(&h.Fields[i]) {
			kept = append(kept, string(h.Fields[i].Name))
		}
	}
	if got := strings.Join(kept, " "); got != "Host Content-Length Trailer X-Keep" {
		t.Errorf("kept %q", got)
	}
}

func TestSwitches(t *testing.T) {
	for _, tt := range []struct {
		offered, answer string
		want            bool
	}{
		{"websocket", "WebSocket", true}, {"a, websocket", "websocket", true}, {"a/1, b", "b, a/1", true},
		{"websocket", "evil", false}, {"websocket", "websocket, evil", false}, {"websocket", "", false}, {"", "websocket", false},
	} {
		if got := Switches([]byte(tt.offered), []byte(tt.answer)); got != tt.want {
			t.Errorf("offered %q, answered %q: %v, want %v", tt.offered, tt.answer, got, tt.want)
		}
	}
}
