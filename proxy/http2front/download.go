package http2front

import (
	"bufio"
	"errors"
	"io"
	"net/http"
	"strconv"
	"sync"
	"time"

	"rehydra/proxy/http1"
)

const (
	// downloadPiece is how much of an answer is passed on at once. A client has the stall time-out for each.
	downloadPiece = 16 << 10
	// crawlPiece is that for a client which needed long for the last one: it is slow, and not gone. What is less x/net collects.
	crawlPiece = 4 << 10
	// crawlTime is what long is.
	crawlTime = time.Second
	// maxHead and maxFields bound the head and the trailers of an answer: those of a backend are checked already, and ours come on top.
	maxHead   = 1 << 20
	maxFields = 1 << 10
)

var errUnframed = errors.New("an answer whose end is that of the connection")

// download passes one answer from the pipe on to the client.
type download struct {
	w      http.ResponseWriter
	s      *Stream
	r      *bufio.Reader
	head   http1.ResponseHead
	body   http1.Body
	buffer []byte
	piece  int
	rest   bool // some of the answer may wait in w

	stall *time.Timer // resets the stream when the client takes nothing
	limit time.Duration

	mu  sync.Mutex
	due time.Time // until when the client may take what is being written; zero: nothing is, and w must not be touched
}

func newDownload(w http.ResponseWriter, s *Stream, limit time.Duration) *download {
	d := &download{w: w, s: s, r: bufio.NewReaderSize(s.near, downloadPiece), piece: downloadPiece, limit: limit}
	d.stall = time.AfterFunc(limit, d.reset)
	d.stall.Stop()
	return d
}

// reset ends the stream with RST_STREAM, which ends a write that waits. The timer may come late: to a write that has ended, or to the one after it, or
// to an answer that is complete. None of them may be cut for it.
func (d *download) reset() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.due.IsZero() || time.Now().Before(d.due) {
		return
	}
	_ = http.NewResponseController(d.w).SetWriteDeadline(time.Unix(1, 0)) // in the past; x/net has that
}

// begin gives the client its time for one write.
func (d *download) begin() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.due = time.Now().Add(d.limit)
	d.stall.Reset(d.limit)
}

// done is the end of that write. Once it returns nobody else uses w.
func (d *download) done() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.due = time.Time{}
	d.stall.Stop()
}

// end is to be called when the answer is whole and nothing more is to be written.
func (d *download) end() {
	if d.rest {
		// What waits in w goes out after us.
		_ = http.NewResponseController(d.w).SetWriteDeadline(time.Now().Add(d.limit)) // x/net has that
	}
}

// run passes the interim answers, the final one, its body and its trailers on. Its error says that it is not whole.
func (d *download) run() error {
	if err := d.readHead(); err != nil {
		return err
	}
	d.body.Reset(d.r, d.head.Framing, d.head.ContentLength, http1.TrailerLimits{Bytes: maxHead, Fields: maxFields}, true)
	if d.head.Framing == http1.FramingUntilClose {
		return errUnframed
	}
	for !d.body.Done() {
		if d.r.Buffered() == 0 {
			if err := d.flush(); err != nil { // the client need not wait for what is to come
				return err
			}
		}
		if d.buffer == nil {
			d.buffer = make([]byte, downloadPiece)
		}
		n, err := d.body.Read(d.buffer[:d.piece])
		if n > 0 {
			if err := d.write(d.buffer[:n]); err != nil {
				return err
			}
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
	}
	for _, f := range d.body.Trailers() {
		name := http.TrailerPrefix + http.CanonicalHeaderKey(string(f.Name))
		d.w.Header()[name] = append(d.w.Header()[name], string(f.Value))
	}
	return nil
}

// readHead reads heads until the final one, which it leaves in d.head and w.
func (d *download) readHead() error {
	d.head.MaxFields = maxFields
	for {
		raw, _, err := http1.ReadResponseHead(d.r, nil, maxHead)
		if err != nil {
			return err
		}
		// The body will be read over the head: nothing of it is used below but strings.
		if err := d.head.Parse(raw, d.s.request.Method == http.MethodHead); err != nil {
			return err
		}
		if d.head.Status == http.StatusContinue {
			continue // x/net says it when the body is read first, before which nobody else does
		}
		h := d.w.Header()
		for i := range d.head.Fields {
			if f := &d.head.Fields[i]; f.Known != http1.ContentLength && !d.head.IsHopByHop(f) {
				name := http.CanonicalHeaderKey(string(f.Name))
				h[name] = append(h[name], string(f.Value))
			}
		}
		if d.head.Status < 200 {
			d.w.WriteHeader(d.head.Status)
			clear(h)
			continue
		}
		d.finalHead(h)
		return nil
	}
}

// finalHead hands the status over, with the length, also that of an answer to HEAD. In a 304 it would be allowed and of no use, and some clients (Go's)
// wait for the body.
func (d *download) finalHead(h http.Header) {
	if d.head.ContentLength >= 0 && d.head.Status != http.StatusNoContent && d.head.Status != http.StatusNotModified {
		h["Content-Length"] = []string{strconv.FormatInt(d.head.ContentLength, 10)}
	}
	if h["Content-Type"] == nil {
		h["Content-Type"] = nil // the key alone keeps net/http from guessing one
	}
	if d.s.last.Load() {
		h["Connection"] = []string{"close"} // x/net makes a GOAWAY of it
	}
	d.w.WriteHeader(d.head.Status)
}

// write writes a piece of the body within the client's time.
func (d *download) write(p []byte) error {
	began := time.Now()
	d.begin()
	defer d.done()
	d.rest = true
	_, err := d.w.Write(p)
	switch took := time.Since(began); {
	case took > crawlTime:
		d.piece = crawlPiece
	case d.piece < downloadPiece:
		d.piece = min(2*d.piece, downloadPiece)
	}
	return err
}

// flush sends what waits in w.
func (d *download) flush() error {
	d.begin()
	defer d.done()
	d.rest = false
	return http.NewResponseController(d.w).Flush()
}
