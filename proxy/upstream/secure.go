package upstream

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"time"
)

// secured is TLS over a connection to a backend.
type secured struct {
	conn *tls.Conn
	link *link
	with *tls.Config // what it was made with
	one  [1]byte
}

// ErrUnannounced is the end of a connection that TLS did not announce (close_notify): somebody may have cut it. crypto/tls takes io.EOF and
// io.ErrUnexpectedEOF between two records for an end that was announced, and a body that ends with its connection would look whole (RFC 9112,
// section 9.8).
var ErrUnannounced = fmt.Errorf("the connection ended without a word of TLS: %w", io.ErrUnexpectedEOF)

// link is what lies below TLS: the connection with its rolling time-outs. They cannot lie above, since a TLS connection is of no use after
// a write that timed out.
type link struct {
	net.Conn
	c       *Conn
	records records
	probing bool // nothing is to be read, see silent
}

// NetConn is the connection below.
func (l *link) NetConn() net.Conn { return l.Conn }

// SyscallConn is that of the connection below.
func (l *link) SyscallConn() (syscall.RawConn, error) { return l.c.raw, nil }

func (l *link) Read(p []byte) (int, error) {
	if l.probing {
		return 0, os.ErrDeadlineExceeded // the one error after which crypto/tls goes on
	}
	n, err := l.c.readRaw(p)
	l.records.pass(p[:n])
	if errors.Is(err, io.EOF) {
		err = ErrUnannounced
	}
	return n, err
}

func (l *link) Write(p []byte) (int, error) { return l.c.writeRaw(p) }

// secure makes c speak TLS.
func (c *Conn) secure(ctx context.Context, config *tls.Config) error {
	l := &link{Conn: c.net, c: c}
	s := &secured{conn: tls.Client(l, config), link: l, with: config}
	if err := s.conn.HandshakeContext(ctx); err != nil {
		return fmt.Errorf("cannot speak TLS: %w", err)
	}
	c.secured = s
	return nil
}

// silent reports whether TLS holds nothing that was not read: no answer too many that was decrypted or waits to be, and no part of one. What
// the system holds is for the look below (socket.Calls.Silent), which finds what TLS has not read yet.
func (s *secured) silent() bool {
	if s.link.records.within() {
		return false
	}
	s.link.probing = true
	n, err := s.conn.Read(s.one[:])
	s.link.probing = false
	return n == 0 && errors.Is(err, os.ErrDeadlineExceeded)
}

// records follows the records of TLS in a stream (RFC 8446, section 5.1): a type, two bytes of version, two of length, and the rest.
type records struct {
	header [5]byte
	got    int // bytes of header
	left   int // of the record, behind its header
}

// pass takes in the next bytes of the stream.
func (r *records) pass(p []byte) {
	for len(p) > 0 {
		if r.left > 0 {
			n := min(r.left, len(p))
			r.left -= n
			p = p[n:]
			continue
		}
		n := copy(r.header[r.got:], p)
		p = p[n:]
		if r.got += n; r.got == len(r.header) {
			r.got, r.left = 0, int(r.header[3])<<8|int(r.header[4])
		}
	}
}

// within reports whether a record has begun and not ended.
func (r *records) within() bool { return r.got > 0 || r.left > 0 }

// made reports whether c was made as the backend is to be reached now: a reload may change that.
func (b *Backend) made(c *Conn) bool {
	if c.secured == nil {
		return b.cfg.TLS == nil
	}
	return c.secured.with == b.cfg.TLS
}

// dialTLS makes c speak TLS as its backend wants it, before end.
func (b *Backend) dialTLS(c *Conn, end time.Time) error {
	config := b.cfg.TLS
	if config == nil {
		return nil
	}
	if err := c.net.SetDeadline(end); err != nil {
		return err
	}
	if err := c.secure(context.Background(), config); err != nil {
		return err
	}
	var none time.Time
	return c.net.SetDeadline(none)
}
