package http2front

import (
	"errors"
	"math"
	"os"
	"sync/atomic"
	"time"

	"rehydra/proxy/upstream"
)

// farewells are the GOAWAY frames among what x/net writes. After one with an error it writes nothing more that matters.
type farewells struct {
	at     position
	secure bool         // what is written goes by TLS
	well   atomic.Bool  // the last one was without an error, and nothing has gone wrong since
	behind atomic.Int64 // at the most so many bytes were written behind the last one of an answer
}

// passed looks at what was written, and at how that ended.
func (f *farewells) passed(b []byte, err error) {
	f.at.answer = false
	f.at.move(b)
	switch {
	case f.at.answer:
		f.behind.Store(0)
	case f.secure:
		f.behind.Add(int64(len(b) + (len(b)/leastRecord+1)*recordRoom))
	default:
		f.behind.Add(int64(len(b)))
	}
	switch {
	case err != nil:
		f.well.Store(false) // and there is no other write
	case f.at.gone && f.at.between():
		f.well.Store(f.at.code == 0)
	}
}

const (
	// leastRecord is how much crypto/tls puts into a record where there is more, at the least.
	leastRecord = 1 << 10
	// recordRoom is what a record takes besides, at the most, with the ciphers that HTTP/2 allows: those of TLS 1.2 with AES.
	recordRoom = 5 + 8 + 16
)

// owed returns how many bytes the kernel holds, if something of an answer is among them. Of a client that has vanished it holds the GOAWAY and whatever else it was told
// meanwhile, which is no reason to wait for it. ok is false where the kernel cannot be asked.
func (g *guard) owed() (held int, ok bool) {
	held, ok = upstream.Unsent(g.Conn)
	if int64(held) <= g.farewell.behind.Load() {
		held = 0
	}
	return held, ok
}

const (
	// lookTime is how often it is looked how much a client has taken that says nothing.
	lookTime = 250 * time.Millisecond
	// leaveBytes is how much a client may send that nobody wants any more: as much of requests as it may send ahead, and windows for the rest of the answers.
	leaveBytes = 2 * connectionWindow
)

// linger lets the client take what the kernel holds for it. For x/net an answer has ended when it was written, which may be megabytes before a slow client has it. A connection
// that is closed then answers whatever the client sends with a reset, which takes the rest away, and a client that reads does send (WINDOW_UPDATE). So all that comes is read and
// thrown away until the client has everything, and was told that nothing more comes, and has closed its side or says nothing any more. One that takes nothing for as long as limit,
// or sends more than it may, gets no more.
func (g *guard) linger(limit time.Duration) {
	w := waste{guard: g, spare: leaveBytes}
	if w.untilTaken(limit) && g.tellEnd() {
		w.untilSilent(limit)
	}
}

// tellEnd ends our side: by TLS's word for it, if that is spoken. It does not wait for room, since the kernel holds next to nothing.
func (g *guard) tellEnd() bool {
	half, ok := g.Conn.(interface{ CloseWrite() error })
	return ok && half.CloseWrite() == nil
}

// waste is what a client sends when nobody wants it any more.
type waste struct {
	guard *guard
	spare int // how much more it may be
	bytes [4 << 10]byte
}

// untilTaken returns true when the client has taken all that the kernel held for it, and false where it does not, or has gone.
func (w *waste) untilTaken(limit time.Duration) bool {
	now := time.Now()
	least, due := math.MaxInt, now
	for ; ; now = time.Now() {
		held, ok := w.guard.owed()
		switch {
		case !ok:
			return false
		case held == 0:
			return true
		case held < least:
			least, due = held, now.Add(limit)
		case !now.Before(due):
			return false
		}
		if open := w.read(now.Add(min(lookTime, due.Sub(now)))); !open {
			return false
		}
	}
}

// untilSilent returns when the client has closed its side, or has said nothing for a while: one that is still to read what its kernel has says something at times. All of that
// has the limit, too.
func (w *waste) untilSilent(limit time.Duration) {
	due := time.Now().Add(limit)
	for silent := false; !silent; {
		spare, until := w.spare, time.Now().Add(lingerTime)
		if due.Before(until) {
			until = due
		}
		if open := w.read(until); !open || !time.Now().Before(due) {
			return
		}
		silent = w.spare == spare && !time.Now().Before(until) // before: it was roused (see part)
	}
}

// read throws away what comes next, if something does until then. It returns false when nothing more can, or is to.
func (w *waste) read(until time.Time) (open bool) {
	if w.guard.SetReadDeadline(until) != nil {
		return false
	}
	n, err := w.guard.Conn.Read(w.bytes[:])
	w.spare -= n
	return w.spare > 0 && (err == nil || errors.Is(err, os.ErrDeadlineExceeded))
}
