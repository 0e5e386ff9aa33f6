package http2front

import (
	"bytes"
	"net/http"
	"strings"
	"testing"

	"rehydra/proxy/http1"
)

// parse reads a head as the proxy does.
func parse(raw []byte) (h http1.RequestHead, err error) {
	return h, h.Parse(raw)
}

func TestHead(t *testing.T) {
	for _, c := range []struct {
		name    string
		request http.Request
		want    string // "" wants it refused
	}{
		{"plain", http.Request{Method: "GET", RequestURI: "/a?b=%20", Host: "h"}, "GET /a?b=%20 HTTP/1.1\r\nHost: h\r\n\r\n"},
		{"options", http.Request{Method: "OPTIONS", RequestURI: "*", Host: "h"}, "OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n"},
		{"length", http.Request{Method: "PUT", RequestURI: "/", Host: "h", ContentLength: 7, Header: http.Header{"Content-Length": {"7"}}},
			"PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 7\r\n\r\n"},
		{"no length", http.Request{Method: "PUT", RequestURI: "/", Host: "h", ContentLength: -1}, "PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"},
		{"an empty body", http.Request{Method: "POST", RequestURI: "/", Host: "h", Header: http.Header{"Content-Length": {"0"}}},
			"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n"},
		{"Host beside :authority", http.Request{Method: "GET", RequestURI: "/", Host: "h", Header: http.Header{"Host": {"h"}}}, "GET / HTTP/1.1\r\nHost: h\r\n\r\n"},
		{"values of one name", http.Request{Method: "GET", RequestURI: "/", Host: "h", Header: http.Header{"X": {"1", "2"}}}, "GET / HTTP/1.1\r\nHost: h\r\nX: 1\r\nX: 2\r\n\r\n"},
		{"another Host", http.Request{Method: "GET", RequestURI: "/", Host: "h", Header: http.Header{"Host": {"other"}}}, ""},
		{"two Hosts", http.Request{Method: "GET", RequestURI: "/", Host: "h", Header: http.Header{"Host": {"h", "h"}}}, ""},
		{"no Host", http.Request{Method: "GET", RequestURI: "/"}, ""},
		{"user in Host", http.Request{Method: "GET", RequestURI: "/", Host: "u@h"}, ""},
		{"an absolute path", http.Request{Method: "GET", RequestURI: "http://other/", Host: "h"}, ""},
		{"a path without slash", http.Request{Method: "GET", RequestURI: "a", Host: "h"}, ""},
		{"a space in the path", http.Request{Method: "GET", RequestURI: "/a b", Host: "h"}, ""},
		{"a version in the path", http.Request{Method: "GET", RequestURI: "/a HTTP/1.1", Host: "h"}, ""},
		{"a line end in the path", http.Request{Method: "GET", RequestURI: "/ HTTP/1.1\r\nX: y", Host: "h"}, ""},
		{"a line end in a value", http.Request{Method: "GET", RequestURI: "/", Host: "h", Header: http.Header{"X": {"a\r\nRehydra-Have: 1"}}}, ""},
		{"a line end in a name", http.Request{Method: "GET", RequestURI: "/", Host: "h", Header: http.Header{"X\r\nY": {"a"}}}, ""},
		{"a line end in the host", http.Request{Method: "GET", RequestURI: "/", Host: "h\r\nX: y"}, ""},
		{"a line end in the method", http.Request{Method: "GET / HTTP/1.1\r\nX: y\r\n", RequestURI: "/", Host: "h"}, ""},
		{"a method of two words", http.Request{Method: "GET /x", RequestURI: "/", Host: "h"}, ""},
		{"a length without a body", http.Request{Method: "PUT", RequestURI: "/", Host: "h", Header: http.Header{"Content-Length": {"7"}}}, ""},
		{"two lengths", http.Request{Method: "PUT", RequestURI: "/", Host: "h", ContentLength: 7, Header: http.Header{"Content-Length": {"7", "7"}}}, ""},
		{"a length that is none", http.Request{Method: "PUT", RequestURI: "/", Host: "h", Header: http.Header{"Content-Length": {"-1"}}}, ""},
		{"a tunnel", http.Request{Method: "CONNECT", RequestURI: "h:443", Host: "h:443"}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			raw := appendHead(nil, &c.request)
			_, err := parse(raw)
			if c.want == "" {
				if err == nil {
					t.Errorf("not refused: %q", raw)
				}
				return
			}
			if err != nil || string(raw) != c.want {
				t.Errorf("got %q (%v), wanted %q", raw, err, c.want)
			}
		})
	}
}

// FuzzHead: what a client of HTTP/2 sends becomes a head that says the same, or is refused. Nothing in one field reaches another.
func FuzzHead(f *testing.F) {
	f.Add("GET", "/a", "h", "X", "y", "", int64(0))
	f.Add("POST", "/a", "h", "Content-Length", "3", "3", int64(3))
	f.Add("POST", "/ HTTP/1.1\r\nX: y\r\n\r\n", "h\r\n", "A\nB", "c\x00", "d", int64(-1))
	f.Fuzz(func(t *testing.T, method, path, host, name, value, second string, length int64) {
		r := &http.Request{Method: method, RequestURI: path, Host: host, ContentLength: max(length, -1), Header: http.Header{name: {value}}}
		fields := 1
		if second != "" {
			r.Header[name] = append(r.Header[name], second)
			fields++
		}
		raw := appendHead(nil, r)
		h, err := parse(raw)
		if err != nil {
			return
		}
		if string(h.Method) != method || string(h.RawTarget) != path || string(h.Authority) != strings.Trim(host, " \t") {
			t.Errorf("%q %q %q became %q", method, path, host, raw)
		}
		if n := bytes.Count(raw, []byte("\n")); n > 2+1+1+fields {
			t.Errorf("%d lines for %d fields: %q", n, fields, raw)
		}
	})
}
