package sessiontier

import (
	"encoding/binary"
	"io"
	"net"
	"time"
)

// stream is a connection as the client library sees it: one exchange at a time, each on the lane that suits it. The library uses it from one
// goroutine at a time.
type stream struct {
	net.Conn // nil: the library calls no other methods than those below
	lanes    *lanes
	deadline time.Time
	held     []byte // the beginning of a request whose value is yet to come
	asked    bool   // an answer is to come

	heard chan struct{} // the answer is there, as what follows
	reply []byte
	err   error
	read  int // bytes of reply
}

func newStream(ls *lanes) *stream {
	return &stream{lanes: ls, heard: make(chan struct{}, 1)}
}

// Write implements net.Conn. The library writes head and key of a request first and its value after them; both go out together.
func (s *stream) Write(p []byte) (int, error) {
	head, value := s.held, p
	if len(head) == 0 {
		if len(p) < replyHead {
			return 0, io.ErrShortWrite
		}
		head, value = p, nil
	}
	length := replyHead + int64(binary.BigEndian.Uint32(head[replyLength:]))
	if int64(len(head)+len(value)) < length {
		s.held = append(s.held, p...)
		return len(p), nil
	}
	l, err := s.lanes.of(head[opcodeAt], len(head)+len(value))
	if err != nil {
		return 0, err
	}
	if err := l.send(s, head, value); err != nil {
		return 0, err
	}
	s.held, s.asked = s.held[:0], true
	return len(p), nil
}

// hear is called by the lane, once for each request that it took: with the answer, which it uses again, or why there is none.
func (s *stream) hear(reply []byte, err error) {
	s.reply, s.err = append(s.reply[:0], reply...), err
	s.heard <- struct{}{}
}

// Read implements net.Conn. It waits until the lane has said what became of the request, which it does by the deadline.
func (s *stream) Read(p []byte) (int, error) {
	if s.asked {
		<-s.heard
		s.asked, s.read = false, 0
	}
	if s.err != nil {
		return 0, s.err
	}
	if s.read == len(s.reply) {
		return 0, io.ErrUnexpectedEOF
	}
	n := copy(p, s.reply[s.read:])
	if s.read += n; s.read == len(s.reply) && cap(s.reply) > keepRoom {
		s.reply, s.read = nil, 0
	}
	return n, nil
}

// SetDeadline implements net.Conn: it is that of the next request.
func (s *stream) SetDeadline(t time.Time) error {
	s.deadline = t
	return nil
}

// Close implements net.Conn. The library closes a connection whose exchange failed, which is no reason to close the lane. It has heard of
// its answer by then, so nobody writes to it.
func (s *stream) Close() error { return nil }
