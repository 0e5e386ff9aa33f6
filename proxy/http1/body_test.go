package http1

import (
	"bufio"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

func TestBody(t *testing.T) {
	reset := errors.New("connection reset by peer")
	tests := []struct {
		name    string
		in      io.Reader
		framing Framing
		length  int64
		want    string
		err     error
		rest    string
	}{
		{"none", strings.NewReader("next"), FramingNone, 0, "", nil, "next"},
		{"length", strings.NewReader("hellonext"), FramingLength, 5, "hello", nil, "next"},
		{"length 0", strings.NewReader("next"), FramingLength, 0, "", nil, "next"},
		{"length cut", strings.NewReader("hel"), FramingLength, 5, "hel", io.ErrUnexpectedEOF, ""},
		{"length cut at once", strings.NewReader(""), FramingLength, 5, "", io.ErrUnexpectedEOF, ""},
		{"length and EOF together", iotest.DataErrReader(strings.NewReader("hello")), FramingLength, 5, "hello", nil, ""},
		{"length reset", io.MultiReader(strings.NewReader("hel"), iotest.ErrReader(reset)), FramingLength, 5, "hel", reset, ""},
		{"until close", strings.NewReader("hello"), FramingUntilClose, -1, "hello", nil, ""},
		{"until reset", io.MultiReader(strings.NewReader("hello"), iotest.ErrReader(reset)), FramingUntilClose, -1, "hello", reset, ""},
		{"chunked", strings.NewReader("5\r\nhello\r\n0\r\n\r\nnext"), FramingChunked, -1, "hello", nil, "next"},
		{"chunked cut", strings.NewReader("5\r\nhello\r\n"), FramingChunked, -1, "hello", io.ErrUnexpectedEOF, ""},
		{"chunked reset", io.MultiReader(strings.NewReader("5\r\nhello\r\n"), iotest.ErrReader(reset)), FramingChunked, -1, "hello", reset, ""},
	}
	var b Body
	for _, tt := range tests {
		r := bufio.NewReader(tt.in)
		b.Reset(r, tt.framing, tt.length, testLimits, true)
		got, err := io.ReadAll(&b)
		if string(got) != tt.want || err != tt.err || b.Done() != (tt.err == nil) {
			t.Errorf("%s: %q, %v, done %v", tt.name, got, err, b.Done())
		}
		if rest, _ := io.ReadAll(r); tt.err == nil && string(rest) != tt.rest {
			t.Errorf("%s: rest %q", tt.name, rest)
		}
	}
}
