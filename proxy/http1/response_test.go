package http1

import "testing"

func TestResponseHeadRefuses(t *testing.T) {
	ok := "HTTP/1.1 200 OK\r\n"
	tests := []struct {
		name, raw string
		refused   bool
	}{
		{"plain", ok + "\r\n", false},
		{"empty reason", "HTTP/1.1 200 \r\n\r\n", false},
		{"no reason, no space", "HTTP/1.1 200\r\n\r\n", false},
		{"obs-text reason", "HTTP/1.1 200 \xe9\r\n\r\n", false},
		{"names with _", ok + "x_y: 1\r\n\r\n", false},
		{"odd connection option", ok + "Connection: a b\r\n\r\n", false},
		{"leading empty line", "\r\n" + ok + "\r\n", true},
		{"control in reason", "HTTP/1.1 200 a\x00\r\n\r\n", true},
		{"bare LF", "HTTP/1.1 200 OK\nX: y\r\n\r\n", true},
		{"fold", ok + "X: a\r\n b\r\n\r\n", true},
		{"space before colon", ok + "X : b\r\n\r\n", true},
		{"NUL", ok + "X: a\x00b\r\n\r\n", true},
		{"status 099", "HTTP/1.1 099 OK\r\n\r\n", true},
		{"status 600", "HTTP/1.1 600 OK\r\n\r\n", true},
		{"status 2000", "HTTP/1.1 2000 OK\r\n\r\n", true},
		{"status 20", "HTTP/1.1 20 OK\r\n\r\n", true},
		{"status letters", "HTTP/1.1 2xx OK\r\n\r\n", true},
		{"HTTP/2", "HTTP/2.0 200 OK\r\n\r\n", true},
		{"no HTTP", "ICY 200 OK\r\n\r\n", true},
		{"garbage", "hello\r\n\r\n", true},
		{"two lengths", ok + "Content-Length: 2\r\nContent-Length: 3\r\n\r\n", true},
		{"length and coding", ok + "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", true},
		{"unknown coding", ok + "Transfer-Encoding: foo\r\n\r\n", true},
		{"coding in 1.0", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", true},
	}
	var h ResponseHead
	for _, tt := range tests {
		want := 0
		if tt.refused {
			want = 502
		}
		if got := statusOf(t, h.Parse([]byte(tt.raw), false)); got != want {
			t.Errorf("%s: status %d, want %d", tt.name, got, want)
		}
	}
}

func TestResponseHeadMeaning(t *testing.T) {
	type want struct {
		framing   Framing
		length    int64
		keepAlive bool
		upgrade   string
	}
	tests := []struct {
		raw  string
		head bool
		want want
	}{
		{"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", false, want{FramingLength, 2, true, ""}},
		{"HTTP/1.1 200 OK\r\nContent-Length: 44\r\n\r\n", true, want{FramingNone, 44, true, ""}},
		{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", false, want{FramingChunked, -1, true, ""}},
		{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", true, want{FramingNone, -1, true, ""}},
		{"HTTP/1.1 200 OK\r\n\r\n", false, want{FramingUntilClose, -1, false, ""}},
		{"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", false, want{FramingLength, 0, false, ""}},
		{"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", false, want{FramingLength, 0, false, ""}},
		{"HTTP/1.0 200 OK\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n", false, want{FramingLength, 0, true, ""}},
		{"HTTP/1.1 304 Not Modified\r\nContent-Length: 1234\r\n\r\n", false, want{FramingNone, 1234, true, ""}},
		{"HTTP/1.1 204 No Content\r\n\r\n", false, want{FramingNone, -1, true, ""}},
		{"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n", false, want{FramingNone, 5, false, ""}},
		{"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n", false, want{FramingNone, -1, true, ""}},
		{"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n", false, want{FramingNone, -1, false, "websocket"}},
		{"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n", false, want{FramingNone, -1, false, ""}},
		{"HTTP/1.1 426 Upgrade Required\r\nUpgrade: websocket\r\nConnection: upgrade\r\nContent-Length: 0\r\n\r\n", false, want{FramingLength, 0, true, ""}},
	}
	var h ResponseHead
	for _, tt := range tests {
		if err := h.Parse([]byte(tt.raw), tt.head); err != nil {
			t.Errorf("%q: %v", tt.raw, err)
			continue
		}
		if got := (want{h.Framing, h.ContentLength, h.KeepAlive, string(h.Upgrade)}); got != tt.want {
			t.Errorf("%q: %+v, want %+v", tt.raw, got, tt.want)
		}
	}
}

func TestResponseHeadFields(t *testing.T) {
	raw := "HTTP/1.1 200 Fine enough\r\nSet-Cookie: a=1\r\nRehydra-Session: id=\"A.n\"\r\nset-cookie: b=2\r\nrehydra-state:\tYQ\r\n\r\n"
	var h ResponseHead
	if err := h.Parse([]byte(raw), false); err != nil {
		t.Fatal(err)
	}
	if h.Count(SetCookie) != 2 || h.Count(Date) != 0 || !h.Has(RehydraSession) || h.Has(RehydraNeed) {
		t.Errorf("fields are %q", h.Fields)
	}
	if s := string(h.Get(RehydraState)); s != "YQ" {
		t.Errorf("state %q", s)
	}
	if s := string(AppendStatusLine(nil, h.Status, h.Reason)); s != "HTTP/1.1 200 Fine enough\r\n" {
		t.Errorf("status line %q", s)
	}
}
