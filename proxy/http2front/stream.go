package http2front

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Stream is one request as a connection: reading gives an HTTP/1.1 head and then the body, what is written must be the answer to it. There is
// one request on it. Deadlines are as those of net.Pipe, and so is the rest: nothing is buffered, a write ends when the client's side
// has taken it.
type Stream struct {
	net.Conn // the far end of a pipe

	near    net.Conn
	request *http.Request
	head    []byte // that was not read yet
	running sync.WaitGroup
	once    sync.Once
	last    atomic.Bool
	uploads atomic.Bool // the client was told to send the body, and its end was not read
}

// Context ends when the client gives the request up, and at its end.
func (s *Stream) Context() context.Context { return s.request.Context() }

// GRPC reports whether the request is one of gRPC (not of gRPC-Web, which needs nothing but HTTP/1.1).
func (s *Stream) GRPC() bool {
	kind, ok := strings.CutPrefix(strings.ToLower(s.request.Header.Get("Content-Type")), "application/grpc")
	return ok && (kind == "" || strings.ContainsRune("+; ", rune(kind[0])))
}

// Last makes the connection take no new requests (GOAWAY) once the answer to this one begins.
func (s *Stream) Last() { s.last.Store(true) }

// Read reads the head, which is there at once, and then the body. The client is told to send it (100) when it is read first.
func (s *Stream) Read(p []byte) (int, error) {
	if len(s.head) > 0 {
		n := copy(p, s.head)
		s.head = s.head[n:]
		return n, nil
	}
	s.once.Do(func() {
		if s.request.ContentLength != 0 {
			s.uploads.Store(true)
			s.running.Go(s.upload)
		}
	})
	return s.Conn.Read(p)
}

// exchange has one request answered. An error means that the answer is not whole.
func (k *connection) exchange(w http.ResponseWriter, r *http.Request) error {
	near, far := net.Pipe()
	s := &Stream{Conn: far, near: near, request: r, head: appendHead(nil, r)}
	s.running.Go(func() {
		defer func() { _ = far.Close() }() // it never fails
		k.answer(s)
	})
	d := newDownload(w, s, k.front.config.StallTimeout)
	err := d.run()
	_ = near.Close() // it never fails
	if err == nil && s.uploads.Load() {
		err = s.linger(d)
	}
	if err == nil {
		d.end()
	}
	_ = r.Body.Close() // nor does this: an upload that waits for the client ends
	s.running.Wait()
	return err
}

const (
	lingerTime  = time.Second
	lingerBytes = 1 << 20
)

// linger throws away what the client still sends after it got the answer, for a while, before the stream ends. Ending it with RST_STREAM at once, as
// RFC 9113 (section 8.1) lets a server do, makes some clients (curl before 8.1) forget the answer.
func (s *Stream) linger(d *download) error {
	if err := d.flush(); err != nil {
		return err
	}
	over := time.AfterFunc(lingerTime, func() { _ = s.request.Body.Close() }) // it never fails
	defer over.Stop()
	s.running.Wait() // until then another reads the body
	if s.uploads.Load() {
		_, _ = io.CopyN(io.Discard, s.request.Body, lingerBytes) // whatever ends it
	}
	return nil
}
