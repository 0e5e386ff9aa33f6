package http1

import (
	"bufio"
	"bytes"
	"io"
)

// maxEmptyLines is how many CRLF before a request line are passed over. RFC 9112 section 2.2 asks for at least one: old
// clients send one after a body.
const maxEmptyLines = 2

// ReadRequestHead reads the head of one request, up to and including the empty line, at most max bytes of it.
//
// head lies in r's buffer if it fits there, else in scratch, which grows as needed and is returned to be given again.
// It is therefore valid until the next read from r or the next call: who reads a body while the head is in use copies it first.
//
// io.EOF means that the client closed before a first byte, io.ErrUnexpectedEOF that it did so within the head. A
// *ProtocolError has 414 or 431 for a head that is too long, and 400 where bytes arrived that no head can hold, found
// without waiting for its end. Other errors are those of r. After any error the connection is of no use.
func ReadRequestHead(r *bufio.Reader, scratch []byte, max int) (head, scratchOut []byte, err error) {
	for range maxEmptyLines {
		b, err := r.Peek(1)
		if err != nil {
			return nil, scratch, err
		}
		if b[0] != '\r' {
			break
		}
		if b, err = r.Peek(2); err != nil {
			return nil, scratch, unexpected(err)
		}
		if b[1] != '\n' {
			return nil, scratch, badRequest("a bare CR")
		}
		if _, err = r.Discard(2); err != nil {
			return nil, scratch, err
		}
	}
	return readHead(r, scratch, max, fromClient)
}

// ReadResponseHead reads the head of one response in the manner of [ReadRequestHead]; its *ProtocolError has status 502, and empty
// lines before the status line are an error.
func ReadResponseHead(r *bufio.Reader, scratch []byte, max int) (head, scratchOut []byte, err error) {
	head, scratch, err = readHead(r, scratch, max, fromBackend)
	if pe, ok := err.(*ProtocolError); ok {
		err = asResponse(pe)
	}
	return head, scratch, err
}

func readHead(r *bufio.Reader, scratch []byte, max int, from direction) (head, scratchOut []byte, err error) {
	// seen bytes of the buffer were searched already.
	for seen := 0; ; {
		if _, err := r.Peek(seen + 1); err != nil {
			if err == bufio.ErrBufferFull {
				return readLongHead(r, scratch, max, from)
			}
			return nil, scratch, headEOF(err, seen)
		}
		b, _ := r.Peek(r.Buffered())
		if n := headEnd(b, seen); n > 0 {
			if n > max {
				return nil, scratch, tooLong(b, from)
			}
			head = b[:n]
			_, err = r.Discard(n)
			return head, scratch, err
		}
		if err := checkPart(b, seen, max, from); err != nil {
			return nil, scratch, err
		}
		seen = len(b)
	}
}

// readLongHead goes on where the head does not fit r's buffer.
func readLongHead(r *bufio.Reader, scratch []byte, max int, from direction) (head, scratchOut []byte, err error) {
	scratch = scratch[:0]
	for {
		if _, err := r.Peek(1); err != nil {
			return nil, scratch, headEOF(err, len(scratch))
		}
		b, _ := r.Peek(r.Buffered())
		seen := len(scratch)
		scratch = append(scratch, b[:min(len(b), max+1-seen)]...)
		n := headEnd(scratch, seen)
		if n > max || n == 0 && len(scratch) > max {
			return nil, scratch, tooLong(scratch, from)
		}
		if n > 0 {
			_, err := r.Discard(n - seen)
			return scratch[:n], scratch, err
		}
		if err := checkPart(scratch, seen, max, from); err != nil {
			return nil, scratch, err
		}
		if _, err := r.Discard(len(scratch) - seen); err != nil {
			return nil, scratch, err
		}
	}
}

// headEnd returns the length of the head at the start of b, 0 if its end is not there yet. The first seen bytes were
// searched before.
func headEnd(b []byte, seen int) int {
	seen = max(seen-3, 0)
	if i := bytes.Index(b[seen:], []byte("\r\n\r\n")); i >= 0 {
		return seen + i + 4
	}
	return 0
}

// checkPart looks at a head whose end is not there, so that what can never become a head (a TLS handshake, bare LF, HTTP/0.9)
// is answered now and not when the time is up.
func checkPart(b []byte, seen, limit int, from direction) error {
	if len(b) > limit {
		return tooLong(b, from)
	}
	start := max(seen-1, 0) // a CR that was the last byte then
	for i := scanText(b, start); i < len(b); i = scanText(b, i+1) {
		switch {
		case b[i] == '\n' && i > 0 && b[i-1] == '\r':
		case b[i] == '\n':
			return badRequest("a line that ends with a bare LF")
		case b[i] != '\r':
			return badRequest("a control character in the head")
		case i+1 < len(b) && b[i+1] != '\n':
			return badRequest("a bare CR")
		}
	}
	if line, _, ok := cutLine(b); ok && from == fromClient {
		if i := bytes.LastIndexByte(line, ' '); i < 0 || !bytes.HasPrefix(line[i+1:], []byte("HTTP/")) {
			return badRequest("the request line has no version")
		}
	}
	return nil
}

func tooLong(b []byte, from direction) error {
	if from == fromClient && bytes.IndexByte(b, '\n') < 0 {
		return &ProtocolError{Status: 414, Reason: "the request line is too long"}
	}
	return &ProtocolError{Status: 431, Reason: "the head is too long"}
}

func headEOF(err error, seen int) error {
	if seen > 0 {
		return unexpected(err)
	}
	return err
}

// unexpected is for places where a message must go on.
func unexpected(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
