package http1

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

// endless gives s and then waits for ever, which a test sees as errWaits.
type endless struct{ r io.Reader }

var errWaits = errors.New("it waits for more")

func (e endless) Read(p []byte) (int, error) {
	n, err := e.r.Read(p)
	if err == io.EOF {
		err = errWaits
	}
	return n, err
}

func TestReadRequestHead(t *testing.T) {
	head := "GET /x HTTP/1.1\r\nHost: a.test\r\n\r\n"
	long := "GET /x HTTP/1.1\r\nHost: a.test\r\nX: " + strings.Repeat("a", 500) + "\r\n\r\n"
	tests := []struct {
		name, in string
		max      int
		head     string
		status   int
		err      error
	}{
		{"head", head + "rest", 1000, head, 0, nil},
		{"exactly max", head, len(head), head, 0, nil},
		{"one over max", head, len(head) - 1, "", 431, nil},
		{"larger than the buffer", long + "rest", 1000, long, 0, nil},
		{"larger, exactly max", long, len(long), long, 0, nil},
		{"larger, over max", long, len(long) - 1, "", 431, nil},
		{"endless field", "GET / HTTP/1.1\r\nX: " + strings.Repeat("a", 5000), 1000, "", 431, nil},
		{"endless target", "GET /" + strings.Repeat("a", 5000), 1000, "", 414, nil},
		{"empty line first", "\r\n" + head, 1000, head, 0, nil},
		{"two empty lines first", "\r\n\r\n" + head, 1000, head, 0, nil},
		{"LF first", "\nGET /x", 1000, "", 400, nil},
		{"CR first", "\rX: y\r\n\r\n", 1000, "", 400, nil},
		{"nothing", "", 1000, "", 0, errWaits},
		{"half", head[:20], 1000, "", 0, errWaits},
		{"LF in a part", "GET /x HTTP/1.1\nHost: a.test\n\n", 1000, "", 400, nil},
		{"HTTP/0.9", "GET /x\r\n", 1000, "", 400, nil},
		{"TLS", "\x16\x03\x01\x02\x00\x01\x00", 1000, "", 400, nil},
		{"CR in a part", "GET /x HTTP/1.1\r\nX: \ry", 1000, "", 400, nil},
	}
	for _, tt := range tests {
		for _, oneByte := range []bool{false, true} {
			var in io.Reader = endless{strings.NewReader(tt.in)}
			if oneByte {
				in = iotest.OneByteReader(in)
			}
			r := bufio.NewReaderSize(in, 64)
			got, _, err := ReadRequestHead(r, nil, tt.max)
			if tt.err != nil {
				if err != tt.err {
					t.Errorf("%s (one byte: %v): error %v, want %v", tt.name, oneByte, err, tt.err)
				}
				continue
			}
			if status := statusOf(t, err); status != tt.status || string(got) != tt.head {
				t.Errorf("%s (one byte: %v): status %d head %q", tt.name, oneByte, status, got)
				continue
			}
			if rest := strings.TrimPrefix(strings.TrimLeft(tt.in, "\r\n"), tt.head); err == nil && rest != "" {
				b, _ := r.Peek(len(rest))
				if string(b) != rest {
					t.Errorf("%s: %q is left, want %q", tt.name, b, rest)
				}
			}
		}
	}
}

func TestReadHeadEOF(t *testing.T) {
	for in, want := range map[string]error{"": io.EOF, "\r\n": io.EOF, "G": io.ErrUnexpectedEOF, "\r": io.ErrUnexpectedEOF,
		"GET / HTTP/1.1\r\nX: " + strings.Repeat("a", 100): io.ErrUnexpectedEOF} {
		_, _, err := ReadRequestHead(bufio.NewReaderSize(strings.NewReader(in), 32), nil, 1000)
		if err != want {
			t.Errorf("%q: %v, want %v", in, err, want)
		}
	}
}

func TestReadResponseHead(t *testing.T) {
	head := "HTTP/1.1 200 OK\r\nX: " + strings.Repeat("a", 100) + "\r\n\r\n"
	r := bufio.NewReaderSize(strings.NewReader(head+"body"), 32)
	got, scratch, err := ReadResponseHead(r, nil, 1000)
	if err != nil || string(got) != head || cap(scratch) < len(head) {
		t.Fatalf("head %q, error %v", got, err)
	}
	if b, _ := io.ReadAll(r); string(b) != "body" {
		t.Errorf("rest %q", b)
	}
	_, _, err = ReadResponseHead(bufio.NewReader(strings.NewReader(head)), scratch, 50)
	if got := statusOf(t, err); got != 502 {
		t.Errorf("too long: status %d, want 502", got)
	}
	if _, _, err = ReadResponseHead(bufio.NewReader(bytes.NewReader(nil)), nil, 50); err != io.EOF {
		t.Errorf("nothing: %v, want io.EOF", err)
	}
}
