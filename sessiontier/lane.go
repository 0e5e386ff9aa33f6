package sessiontier

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"slices"
	"sync"
	"time"
)

// lane is one connection to a server, and carries the exchanges of many goroutines at once: what they ask goes out together, in one write
// for all that have something to say at that moment, and the answers, which come in the order of the requests, are cut apart and given to
// those who wait. It belongs to its two goroutines, which end with the connection.
//
// The connection is closed at once when it breaks, or when an answer is not the one that is due: whoever waits gets the error. An answer
// that is not there in time fails its own exchange only, and is thrown away when it comes.
type lane struct {
	conn  net.Conn
	limit int64 // bytes of an answer after its head

	mu      sync.Mutex
	more    sync.Cond // out is no longer empty, or err is set
	out     batch     // what is to be written next
	due     []answer  // those that are outstanding, in the order of the requests
	waiting int       // how many of due somebody still waits for
	serial  uint32    // of the last request
	written uint32    // serial number of the last request that was sent
	armed   time.Time // conn's deadline for reading, no later than that of any of due; zero: none
	retired bool      // the connection is closed when nobody waits any more
	err     error     // why it ended; nil: it is in use
}

// answer is one that is outstanding.
type answer struct {
	serial   uint32
	opcode   byte
	deadline time.Time
	to       *stream // nil: nobody waits for it any more
}

// The head of a message in memcached's binary protocol: where what is.
const (
	replyHead   = 24
	opcodeAt    = 1
	keyLengthAt = 2
	extrasAt    = 4
	replyLength = 8
	serialAt    = 12 // "opaque": a number of the client's, which the server sends back
	replyMagic  = 0x81
	readRoom    = 16 << 10 // bytes that are read at once
	keepRoom    = 64 << 10 // buffers that have grown beyond this are given back
	opcodeGet   = 0
	startingDue = 8 // answers outstanding for which there is room at once
)

var (
	errHugeReply  = errors.New("a reply of more bytes than any that is kept here")
	errWrongReply = errors.New("a reply that is not the one that is due")
	errRetired    = errors.New("the connection is given up")
)

// newLane takes over a connection. running ends when the lane's goroutines have.
func newLane(conn net.Conn, limit int64, running *sync.WaitGroup) *lane {
	l := &lane{conn: conn, limit: limit, due: make([]answer, 0, startingDue)}
	l.more.L = &l.mu
	running.Go(l.write)
	running.Go(l.read)
	return l
}

// send puts a request, in two parts, in line. head must be whole and may be changed afterwards; value must not. It does not wait for anything:
// s hears of the answer, or of the end of the lane.
func (l *lane) send(s *stream, head, value []byte) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil {
		return l.err
	}
	l.serial++
	if l.out.add(head, value, l.serial) {
		l.more.Signal()
	}
	l.due = append(l.due, answer{serial: l.serial, opcode: head[opcodeAt], deadline: s.deadline, to: s})
	l.waiting++
	if l.armed.IsZero() || s.deadline.Before(l.armed) {
		l.arm(s.deadline)
	}
	return nil
}

// arm sets the connection's deadline for reading; zero: none. It is called with mu held.
func (l *lane) arm(deadline time.Time) {
	l.armed = deadline
	if err := l.conn.SetReadDeadline(deadline); err != nil {
		l.end(err)
	}
}

// write is the goroutine that writes. It lets all others that can run go first: those that have something to send put it in line meanwhile,
// and one system call, one packet and one wake-up of the server do for all of them. Where nothing else runs it costs no time.
func (l *lane) write() {
	var b batch
	l.mu.Lock()
	defer l.mu.Unlock()
	for {
		for l.out.empty() && l.err == nil {
			l.more.Wait()
		}
		if l.err != nil {
			return
		}
		l.mu.Unlock()
		runtime.Gosched()
		l.mu.Lock()
		b, l.out = l.out, b
		last := l.serial
		l.mu.Unlock()
		err := b.writeTo(l.conn)
		l.mu.Lock()
		l.written = last
		if err != nil {
			l.end(err)
		}
	}
}

// read is the goroutine that reads.
func (l *lane) read() {
	room := make([]byte, readRoom)
	have := 0
	for {
		n, err := l.conn.Read(room[have:])
		have += n
		l.mu.Lock()
		used := l.take(room[:have])
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			l.expire(time.Now())
		case err != nil:
			l.end(err)
		}
		if l.retired && l.waiting == 0 {
			l.end(errRetired)
		}
		err = l.err
		l.mu.Unlock()
		if err != nil {
			return
		}
		have = copy(room, room[used:have])
		switch {
		case have == len(room): // no more than twice of what has come, however long the reply says it is
			room = append(room, make([]byte, len(room))...)
		case len(room) > keepRoom && have < readRoom:
			room = append(make([]byte, 0, readRoom), room[:have]...)[:readRoom]
		}
	}
}

// take gives the whole answers in b to those who wait for them, and returns how many bytes they were. It is called with mu held.
func (l *lane) take(b []byte) (used int) {
	given := 0
	for len(b)-used >= replyHead {
		reply := b[used:]
		length := int64(binary.BigEndian.Uint32(reply[replyLength:]))
		if err := l.check(reply, length, l.due[given:]); err != nil {
			l.due = slices.Delete(l.due, 0, given)
			l.end(err)
			return used
		}
		if int64(len(reply)) < replyHead+length {
			break
		}
		reply = reply[:replyHead+length]
		used += len(reply)
		if to := l.due[given].to; to != nil {
			l.waiting--
			to.hear(reply, nil)
		}
		given++
	}
	l.due = slices.Delete(l.due, 0, given)
	return used
}

// check refuses a reply that cannot be the one that is due, by its head.
func (l *lane) check(head []byte, length int64, due []answer) error {
	switch {
	case len(due) == 0:
		return fmt.Errorf("%w: none is", errWrongReply)
	case head[0] != replyMagic || head[opcodeAt] != due[0].opcode || binary.BigEndian.Uint32(head[serialAt:]) != due[0].serial:
		return fmt.Errorf("%w: magic 0x%02x, opcode 0x%02x", errWrongReply, head[0], head[opcodeAt])
	case length > l.limit:
		return fmt.Errorf("%w: %d, at most %d", errHugeReply, length, l.limit)
	case int64(head[extrasAt])+int64(binary.BigEndian.Uint16(head[keyLengthAt:])) > length:
		return fmt.Errorf("%w: its lengths contradict", errWrongReply)
	}
	return nil
}

// expire fails the exchanges whose time is over. Their answers are still due, and thrown away when they come. If one was not even sent in its time the
// server reads no more, and the write that hangs must be ended. It is called with mu held.
func (l *lane) expire(now time.Time) {
	var next time.Time
	for i := range l.due {
		a := &l.due[i]
		switch {
		case a.to == nil:
		case !a.deadline.After(now):
			l.waiting--
			a.to.hear(nil, os.ErrDeadlineExceeded)
			a.to = nil
			if int32(a.serial-l.written) > 0 {
				_ = l.conn.SetWriteDeadline(now) // of a connection that ended: then the write has too
			}
		case next.IsZero() || a.deadline.Before(next):
			next = a.deadline
		}
	}
	l.arm(next)
}

// end closes the connection and tells those who wait why. It is called with mu held.
func (l *lane) end(err error) {
	if l.err != nil {
		return
	}
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF // whoever waits has not got all, or anything
	}
	l.err = err
	for _, a := range l.due {
		if a.to != nil {
			a.to.hear(nil, err)
		}
	}
	l.due, l.waiting = nil, 0
	_ = l.conn.Close() // nothing of it is wanted any more
	l.more.Signal()
}

// retire closes the connection as soon as nobody waits for an answer; they come by then, or are overdue.
func (l *lane) retire() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.retired = true; l.waiting == 0 {
		l.end(errRetired)
	}
}

// broken is why the lane ended; nil: it is in use.
func (l *lane) broken() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err
}
