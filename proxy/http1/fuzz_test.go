package http1

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"net/http/httputil"
	"testing"
)

// FuzzRequestHead: whatever is accepted can be written again and then means the same, holds no byte that could be
// read otherwise, and is understood by another parser in the same way.
func FuzzRequestHead(f *testing.F) {
	f.Add([]byte("GET /x?y HTTP/1.1\r\nHost: a.test\r\nCookie: a=b\r\n\r\n"))
	f.Add([]byte("POST http://b.test HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nConnection: close, x\r\nX: 1\r\n\r\n"))
	f.Add([]byte("OPTIONS * HTTP/1.0\r\nConnection: keep-alive\r\nTransfer_Encoding: chunked\r\n\r\n"))
	f.Add([]byte("PUT /;a=b HTTP/1.1\r\nHost: [::1]:8\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		var h, again RequestHead
		if h.Parse(raw) != nil {
			return
		}
		out := AppendRequestLine(nil, h.Method, h.Target)
		hosts := 0
		for i := range h.Fields {
			field := &h.Fields[i]
			if !ValidFieldName(field.Name) || !ValidFieldValue(field.Value) {
				t.Fatalf("accepted field %q: %q", field.Name, field.Value)
			}
			if field.Known == Host {
				hosts++
				out = AppendField(out, "Host", h.Authority)
				continue
			}
			out = AppendField(out, field.Name, field.Value)
		}
		if hosts == 0 {
			out = AppendField(out, "Host", "none")
		}
		out = append(out, "\r\n"...)
		if err := again.Parse(out); err != nil {
			t.Fatalf("%q was accepted, %q was not: %v", raw, out, err)
		}
		if again.Framing != h.Framing || again.ContentLength != h.ContentLength ||
			!bytes.Equal(again.Target, h.Target) || !bytes.Equal(again.Path, h.Path) ||
			hosts == 1 && (!bytes.Equal(again.Authority, h.Authority) || len(again.Fields) != len(h.Fields)) {
			t.Fatalf("%q became %q", raw, out)
		}
		compareRequest(t, out, &again)
	})
}

// compareRequest asks net/http. It refuses some that are valid; where it accepts, the meaning must be ours.
func compareRequest(t *testing.T, raw []byte, h *RequestHead) {
	theirs, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(raw)))
	if err != nil {
		return
	}
	length := h.ContentLength
	if h.Framing == FramingNone {
		length = 0
	}
	if theirs.Method != string(h.Method) || theirs.ContentLength != length ||
		(len(theirs.TransferEncoding) > 0) != (h.Framing == FramingChunked) || theirs.Host != string(h.Authority) ||
		theirs.RequestURI != string(h.Target) {
		t.Fatalf("%q: net/http reads %s %s, host %q, length %d, coding %v", raw, theirs.Method, theirs.RequestURI,
			theirs.Host, theirs.ContentLength, theirs.TransferEncoding)
	}
}

// FuzzResponseHead: as FuzzRequestHead.
func FuzzResponseHead(f *testing.F) {
	f.Add([]byte("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nSet-Cookie: a=b\r\n\r\n"), false)
	f.Add([]byte("HTTP/1.1 200\r\nTransfer-Encoding: chunked\r\nRehydra-Session: id=\"a\"\r\n\r\n"), true)
	f.Add([]byte("HTTP/1.0 304 \r\nConnection: x, y\r\nX:\ty\r\n\r\n"), false)
	f.Fuzz(func(t *testing.T, raw []byte, toHead bool) {
		var h, again ResponseHead
		if h.Parse(raw, toHead) != nil {
			return
		}
		out := AppendStatusLine(nil, h.Status, h.Reason)
		for i := range h.Fields {
			field := &h.Fields[i]
			if !ValidFieldName(field.Name) || !ValidFieldValue(field.Value) {
				t.Fatalf("accepted field %q: %q", field.Name, field.Value)
			}
			out = AppendField(out, field.Name, field.Value)
		}
		out = append(out, "\r\n"...)
		if err := again.Parse(out, toHead); err != nil {
			t.Fatalf("%q was accepted, %q was not: %v", raw, out, err)
		}
		if again.Status != h.Status || again.Framing != h.Framing || again.ContentLength != h.ContentLength ||
			!bytes.Equal(again.Reason, h.Reason) || len(again.Fields) != len(h.Fields) {
			t.Fatalf("%q became %q", raw, out)
		}
	})
}

// FuzzChunkedReader: what is accepted is what net/http's reader reads, ends at the same byte, and does not depend on how it
// arrives.
func FuzzChunkedReader(f *testing.F) {
	f.Add([]byte("3\r\nabc\r\n0\r\n\r\n"), uint8(7))
	f.Add([]byte("3;a=\"b\"\r\nabc\r\nA\r\n0123456789\r\n00\r\nX: y\r\n\r\nnext"), uint8(1))
	f.Fuzz(func(t *testing.T, raw []byte, size uint8) {
		body, trailers, rest, err := readChunked(bytes.NewReader(raw), 8192, 1+int(size))
		if err != nil {
			return
		}
		theirs := bufio.NewReader(bytes.NewReader(raw))
		want, err := io.ReadAll(httputil.NewChunkedReader(theirs))
		if err != nil || !bytes.Equal(body, want) {
			t.Fatalf("%q: %q, net/http: %q, %v", raw, body, want, err)
		}
		tail, _ := io.ReadAll(theirs)
		if !bytes.HasSuffix(tail, rest) || len(trailers) == 0 && string(tail) != "\r\n"+string(rest) {
			t.Fatalf("%q: %q is left, net/http leaves %q", raw, rest, tail)
		}
		out := AppendLastChunk(AppendChunk(nil, body), trailers, nil)
		again, trailersAgain, rest, err := readChunked(bytes.NewReader(out), 4096, 100)
		if err != nil || !bytes.Equal(again, body) || len(trailersAgain) != len(trailers) || len(rest) > 0 {
			t.Fatalf("%q became %q: %v", raw, out, err)
		}
	})
}
