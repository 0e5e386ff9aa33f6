package http1

import (
	"bufio"
	"bytes"
	"io"
	"strings"
	"testing"
)

const browserRequest = "GET /shop/cart;jsessionid=0123456789ABCDEF0123456789ABCDEF.node1?item=42&count=1 HTTP/1.1\r\n" +
	"Host: shop.example.com\r\n" +
	"Connection: keep-alive\r\n" +
	"User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36\r\n" +
	"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8\r\n" +
	"Accept-Encoding: gzip, deflate, br\r\nAccept-Language: en-GB,en;q=0.9\r\n" +
	"Cookie: JSESSIONID=0123456789ABCDEF0123456789ABCDEF.node1; theme=dark\r\n" +
	"Referer: https://shop.example.com/shop/\r\nUpgrade-Insecure-Requests: 1\r\nX-Forwarded-For: 1.2.3.4\r\n\r\n"

const tomcatResponse = "HTTP/1.1 200 \r\nRehydra-Adapter: 1\r\nRehydra-Session: id=\"ABC.node2\"; app=\"localhost/shop\"; version=2.8; ttl=1800; state=same\r\n" +
	"Set-Cookie: JSESSIONID=0123456789ABCDEF0123456789ABCDEF.node1; Path=/shop; HttpOnly\r\nContent-Type: text/html;charset=UTF-8\r\n" +
	"Content-Length: 1024\r\nDate: Sun, 22 Nov 2026 20:13:00 GMT\r\nKeep-Alive: timeout=20\r\nConnection: keep-alive\r\n\r\n"

// hotPaths are the steps that every request takes; none may allocate once warm.
func hotPaths(tb testing.TB) map[string]func() {
	must := func(err error) {
		if err != nil && err != io.EOF {
			tb.Fatal(err)
		}
	}
	var req RequestHead
	var resp ResponseHead
	request, response := []byte(browserRequest), []byte(tomcatResponse)
	var rewritten RequestHead
	must(rewritten.Parse(request))
	absolute := []byte("GET http://b.test?q HTTP/1.1\r\nHost: a.test\r\n\r\n")
	stream := bytes.NewReader(nil)
	r := bufio.NewReaderSize(stream, 4096)
	rewind := func(b []byte) { stream.Reset(b); r.Reset(stream) }
	chunks := AppendLastChunk(AppendChunk(nil, bytes.Repeat([]byte("x"), 16<<10)), []Field{{Name: []byte("X"), Value: []byte("y")}}, nil)
	long := []byte(strings.Replace(browserRequest, "item=42", "item="+strings.Repeat("4", 8000), 1))
	var body Body
	var scratch, out []byte
	buf := make([]byte, 32<<10)
	return map[string]func(){
		"RequestHead":         func() { must(req.Parse(request)) },
		"RequestHeadAbsolute": func() { must(req.Parse(absolute)) },
		"ResponseHead":        func() { must(resp.Parse(response, false)) },
		"ReadRequestHead": func() {
			rewind(request)
			_, s, err := ReadRequestHead(r, scratch, 65536)
			scratch = s
			must(err)
		},
		"ReadLongRequestHead": func() {
			rewind(long)
			_, s, err := ReadRequestHead(r, scratch, 65536)
			scratch = s
			must(err)
		},
		"ChunkedBody": func() {
			rewind(chunks)
			body.Reset(r, FramingChunked, -1, testLimits, true)
			for !body.Done() {
				_, err := body.Read(buf)
				must(err)
			}
		},
		"Rewrite": func() {
			out = AppendRequestLine(out[:0], rewritten.Method, rewritten.Target)
			for i := range rewritten.Fields {
				if f := &rewritten.Fields[i]; !rewritten.IsHopByHop(f) {
					out = AppendField(out, f.Name, f.Value)
				}
			}
		},
	}
}

func TestHotPathsDoNotAllocate(t *testing.T) {
	for name, f := range hotPaths(t) {
		f()
		if n := testing.AllocsPerRun(100, f); n != 0 {
			t.Errorf("%s: %v allocations, want none", name, n)
		}
	}
}

func BenchmarkHotPaths(b *testing.B) {
	for name, f := range hotPaths(b) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				f()
			}
		})
	}
}
