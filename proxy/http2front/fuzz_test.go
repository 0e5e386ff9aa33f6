package http2front

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"rehydra/proxy/http1"
)

// pieces is a body that comes in pieces of a size, and breaks off where it is to.
type pieces struct {
	data []byte
	size int
	end  error
}

func (p *pieces) Read(b []byte) (int, error) {
	if len(p.data) == 0 {
		return 0, p.end
	}
	n := copy(b[:min(len(b), p.size)], p.data)
	p.data = p.data[n:]
	return n, nil
}

func (p *pieces) Close() error { return nil }

// FuzzUpload: the body of a request by HTTP/2 is read by our reader of HTTP/1.1 as it was sent, with the trailers that may be written down; one that breaks off does
// not look whole.
func FuzzUpload(f *testing.F) {
	f.Add([]byte("hello"), uint16(2), false, false, "X-Sum", "1")
	f.Add([]byte("0\r\n\r\nGET / HTTP/1.1\r\n\r\n"), uint16(1), true, false, "X\r\nY", "1\r\n\r\nGET /")
	f.Add(bytes.Repeat([]byte("x"), 70000), uint16(50000), false, true, "X", "1")
	f.Add([]byte{}, uint16(1), false, false, "X", "a\x00b")
	f.Add([]byte("0"), uint16(0), false, false, "X:", "a")
	f.Fuzz(func(t *testing.T, data []byte, size uint16, declared, cut bool, name, value string) {
		body := &pieces{data: data, size: int(size) + 1, end: io.EOF}
		if cut {
			body.end = io.ErrUnexpectedEOF
		}
		r := &http.Request{Method: "POST", RequestURI: "/", Host: "h", Header: http.Header{}, ContentLength: -1, Body: body, Trailer: http.Header{name: {value}}}
		if declared && len(data) > 0 {
			r.ContentLength = int64(len(data))
			if cut {
				r.ContentLength++
			}
			r.Header["Content-Length"] = []string{strconv.FormatInt(r.ContentLength, 10)}
		}
		near, far := net.Pipe()
		defer far.Close()
		s := &Stream{Conn: far, near: near, request: r, head: appendHead(nil, r)}
		defer func() { near.Close(); s.running.Wait() }()
		if err := far.SetDeadline(time.Now().Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		reader := bufio.NewReader(s)
		raw, _, err := http1.ReadRequestHead(reader, nil, 1<<16)
		if err != nil {
			t.Fatal(err)
		}
		head, err := parse(raw)
		if err != nil {
			t.Fatalf("%q: %v", raw, err)
		}
		var b http1.Body
		b.Reset(reader, head.Framing, head.ContentLength, http1.TrailerLimits{Bytes: maxHead, Fields: maxFields}, true)
		got, err := io.ReadAll(&b)
		broken := err != nil || !b.Done()
		if invalid := brokenTrailer(err); broken && !cut && !invalid {
			t.Errorf("%q came as %q and broke off: %v", data, got, err)
		}
		if cut && !broken {
			t.Errorf("%q broke off, and looks whole", data)
		}
		if !bytes.HasPrefix(data, got) || !broken && len(got) != len(data) {
			t.Errorf("%q came as %q", data, got)
		}
		for _, field := range b.Trailers() {
			if string(field.Name) != name || string(field.Value) != strings.Trim(value, " \t") {
				t.Errorf("the trailer %q: %q came as %q: %q", name, value, field.Name, field.Value)
			}
		}
		if reader.Buffered() > 0 {
			t.Errorf("%d bytes follow the body", reader.Buffered())
		}
	})
}

// brokenTrailer reports whether a trailer section was refused, as one with a name that is none is.
func brokenTrailer(err error) bool {
	var protocol *http1.ProtocolError
	return errors.As(err, &protocol)
}

// answerFrom is the near end of a pipe on which an answer comes.
type answerFrom struct {
	net.Conn
	*bytes.Reader
}

func (a answerFrom) Read(p []byte) (int, error) { return a.Reader.Read(p) }

// answered takes an answer as x/net does.
type answered struct {
	header http.Header
	status int
	length string
	body   []byte
}

func (a *answered) Header() http.Header { return a.header }
func (a *answered) Flush()              {}

func (a *answered) Write(p []byte) (int, error) {
	a.body = append(a.body, p...)
	return len(p), nil
}

func (a *answered) WriteHeader(status int) {
	if status >= 200 {
		a.status, a.length = status, a.header.Get("Content-Length")
	}
}

// FuzzDownload: what is written for an answer in HTTP/1.1 becomes one of HTTP/2 that says the same, or none that looks whole. Without its last byte it never looks whole.
func FuzzDownload(f *testing.F) {
	for _, answer := range []string{
		"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n0\r\nX-Trailer: yes\r\n\r\n",
		"HTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n", "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n",
		"HTTP/1.1 200 OK\r\nConnection: close, X-A\r\nX-A: 1\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\nhello", "HTTP/1.1 101 Switching Protocols\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
	} {
		f.Add([]byte(answer), false)
		f.Add([]byte(answer), true)
	}
	f.Fuzz(func(t *testing.T, answer []byte, head bool) {
		method := "GET"
		if head {
			method = "HEAD"
		}
		run := func(answer []byte) (w *answered, left int, err error) {
			near := answerFrom{Reader: bytes.NewReader(answer)}
			w = &answered{header: http.Header{}}
			d := newDownload(w, &Stream{near: near, request: &http.Request{Method: method}}, time.Hour)
			err = d.run()
			return w, near.Len() + d.r.Buffered(), err
		}
		w, left, err := run(answer)
		for name, values := range w.header {
			for _, v := range append(slices.Clone(values), name) {
				if brokenLine(v) {
					t.Errorf("%q has a line end in %s: %q", answer, name, v)
				}
			}
		}
		if err != nil {
			return
		}
		if w.status < 200 || w.status > 999 || head && len(w.body) > 0 {
			t.Errorf("%q became %d with the body %q", answer, w.status, w.body)
		}
		if w.length != "" && !head && w.length != strconv.Itoa(len(w.body)) {
			t.Errorf("%q has the length %s and the body %q", answer, w.length, w.body)
		}
		if cut, _, err := run(answer[:len(answer)-left-1]); err == nil {
			t.Errorf("%q without its last byte looks whole: %d %q", answer[:len(answer)-left], cut.status, cut.body)
		}
	})
}
