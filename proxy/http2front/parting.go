package http2front

import (
	"sync/atomic"

	"golang.org/x/net/http2"
)

// parting lets one connection go. x/net can tell all of a server's clients that their connections take no new requests, or the one whose request it is answering, but
// not one that has none. It does so by itself when its client says that it goes: so we say that in the client's place, between two of its frames.
type parting struct {
	asked  atomic.Bool // the connection is to go
	spoken atomic.Bool // the client has sent a frame: before its first one, which must be SETTINGS, nothing can be said for it
	said   bool        // all or some of farewell was read
	left   []byte      // the rest of it
	at     position
}

// farewell is a GOAWAY frame of a client: a head, the last stream that it takes of ours, and no error (RFC 9113, section 6.8).
const farewell = "\x00\x00\x08\x07\x00\x00\x00\x00\x00" + "\x00\x00\x00\x00" + "\x00\x00\x00\x00"

// take returns what is to be read before the client's next byte.
func (p *parting) take(b []byte) (n int) {
	if !p.said && p.asked.Load() && p.spoken.Load() && p.at.between() {
		p.said, p.left = true, []byte(farewell)
	}
	n = copy(b, p.left)
	p.left = p.left[n:]
	return n
}

// passed looks at what the client sent.
func (p *parting) passed(b []byte) {
	if p.at.move(b) && !p.spoken.Load() {
		p.spoken.Store(true)
	}
}

// frameHead is the length of the head of a frame.
const frameHead = 9

// position is where in a client's frames a reader is.
type position struct {
	head  [frameHead]byte
	have  int  // bytes of the head
	rest  int  // bytes to the end of the frame whose head there was, or of the preface
	block bool // fields go on in the next frame, and nothing else may come before it (RFC 9113, section 6.10)

	gone bool   // there was a GOAWAY
	code uint32 // its last four bytes: the error, where the client is told nothing more of it (section 6.8)

	answer bool // something of an answer has passed: a DATA frame, or one with fields
}

// between reports whether a frame may begin here.
func (p *position) between() bool { return p.have == 0 && p.rest == 0 && !p.block }

// move goes on behind b, and reports whether a head of a frame ended there.
func (p *position) move(b []byte) (head bool) {
	for len(b) > 0 {
		if p.rest > 0 {
			n := min(p.rest, len(b))
			p.answer = p.answer || p.answers()
			if http2.FrameType(p.head[3]) == http2.FrameGoAway {
				p.keep(b[:n])
			}
			p.rest, b = p.rest-n, b[n:]
			continue
		}
		n := copy(p.head[p.have:], b)
		p.have, b = p.have+n, b[n:]
		if p.have < frameHead {
			break
		}
		p.have, head = 0, true
		p.answer = p.answer || p.answers()
		p.rest = int(p.head[0])<<16 | int(p.head[1])<<8 | int(p.head[2])
		if kind := http2.FrameType(p.head[3]); kind == http2.FrameHeaders || kind == http2.FrameContinuation {
			p.block = http2.Flags(p.head[4])&http2.FlagHeadersEndHeaders == 0 // which is the same bit in both
		}
	}
	return head
}

// answers reports whether the frame whose head there was last belongs to an answer.
func (p *position) answers() bool {
	switch http2.FrameType(p.head[3]) {
	case http2.FrameData, http2.FrameHeaders, http2.FrameContinuation:
		return true
	}
	return false
}

// keep notes what is in a GOAWAY.
func (p *position) keep(b []byte) {
	p.gone = true
	for _, c := range b {
		p.code = p.code<<8 | uint32(c)
	}
}
