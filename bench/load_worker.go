package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A worker asks one request after the other, going round its connections and its sessions.
type worker struct {
	g        *generator
	head     requestHead
	security *tls.Config // nil: none
	source   net.Addr    // nil: the kernel's choice
	buffer   int         // bytes of a connection's reader
	links    []*link     // nil: not connected yet
	sessions []*user
	turn     int
	request  []byte

	answered atomic.Int64

	inside  int      // answers within the measured time
	outside int      // and before and after it
	micros  []uint32 // how long each measured answer took
}

// A link is one connection.
type link struct {
	net.Conn
	r *bufio.Reader
}

// A user is one session.
type user struct {
	id   []byte // empty: not known yet
	node []byte // the backend that must answer; empty: any
}

// newUser returns the session with that number, with its id unless the backends give ids.
func newUser(number int, spec *LoadSpec) *user {
	if spec.Follow {
		return &user{}
	}
	route := spec.Routes[number%len(spec.Routes)]
	return &user{id: fmt.Appendf(nil, "7F%030d.%s", number, route), node: []byte(route)}
}

// work asks and reads until the phase is ending.
func (w *worker) work(ctx context.Context) error {
	w.micros = make([]uint32, 0, 1<<16)
	defer context.AfterFunc(ctx, w.interrupt)()
	for {
		var due time.Time
		if w.g.pacer != nil {
			var ok bool
			if due, ok = w.g.pacer.next(ctx); !ok {
				return nil
			}
		}
		before := w.g.phase.Load()
		if due.IsZero() && before == ending {
			return nil
		}
		begin := time.Now()
		if err := w.ask(ctx); err != nil {
			return err
		}
		end := time.Now()
		w.note(before, begin, end, due)
	}
}

// note counts an answer. One at a constant rate counts by when it was due, and has taken from then.
func (w *worker) note(before int32, begin, end, due time.Time) {
	w.answered.Add(1)
	after := w.g.phase.Load()
	if before == measuring && after == measuring {
		w.inside++
	} else {
		w.outside++
	}
	switch {
	case !due.IsZero():
		if before != warming && !due.Before(w.g.start()) {
			w.micros = append(w.micros, uint32(end.Sub(due).Microseconds()))
		}
	case before == measuring && after == measuring:
		w.micros = append(w.micros, uint32(end.Sub(begin).Microseconds()))
	}
}

// ask makes one request and reads its answer.
func (w *worker) ask(ctx context.Context) error {
	at, session := w.turn%len(w.links), w.sessions[w.turn%len(w.sessions)]
	w.turn++
	l := w.links[at]
	if l == nil {
		var err error
		if l, err = w.connect(ctx); err != nil {
			return err
		}
		w.links[at] = l
	}
	w.fill(session)
	if _, err := l.Write(w.request); err != nil {
		return fmt.Errorf("cannot send: %w", err)
	}
	if err := readAnswer(l.r, session, w.g.spec); err != nil {
		return err
	}
	if !w.g.spec.Fresh {
		return nil
	}
	w.links[at] = nil
	_, err := l.r.ReadByte()
	l.Close()
	if err == nil {
		return errors.New("there is more after the answer")
	}
	return nil
}

// fill writes the session's next request into w.request.
func (w *worker) fill(session *user) {
	w.request = append(w.request[:0], w.head.beforeCount...)
	if w.head.counts {
		w.request = strconv.AppendInt(w.request, w.g.count.Add(1), 10)
	}
	w.request = append(w.request, w.head.beforeCookie...)
	if len(session.id) > 0 {
		w.request = append(append(w.request, "; JSESSIONID="...), session.id...)
	}
	w.request = append(w.request, w.head.rest...)
}

// ioTime bounds all that happens on one connection: nothing that hangs may keep a round from ending.
const ioTime = 2 * time.Minute

func (w *worker) connect(ctx context.Context) (*link, error) {
	dialer := net.Dialer{LocalAddr: w.source, Timeout: 10 * time.Second}
	if w.source != nil {
		dialer.Control = lateBind
	}
	conn, err := dialer.DialContext(ctx, "tcp", w.g.spec.Address)
	if err != nil {
		return nil, fmt.Errorf("cannot connect: %w", err)
	}
	if err := conn.SetDeadline(time.Now().Add(ioTime)); err != nil {
		conn.Close()
		return nil, fmt.Errorf("cannot connect: %w", err)
	}
	if w.security != nil {
		secure := tls.Client(conn, w.security)
		if err := secure.HandshakeContext(ctx); err != nil {
			conn.Close()
			return nil, fmt.Errorf("cannot shake hands: %w", err)
		}
		conn = secure
	}
	return &link{Conn: conn, r: bufio.NewReaderSize(conn, w.buffer)}, nil
}

// interrupt is called when the load is given up, while the worker may be waiting for an answer that never comes.
func (w *worker) interrupt() {
	for _, l := range w.links {
		if l != nil {
			_ = l.SetDeadline(time.Unix(1, 0)) // a connection that is closed waits for nothing
		}
	}
}

func (w *worker) close() {
	for _, l := range w.links {
		if l != nil {
			l.Close()
		}
	}
}

// sourceAddress returns an address of the loopback for each worker: with one for all, a load of short connections runs out of ports.
func sourceAddress(i int) net.Addr {
	return &net.TCPAddr{IP: net.IPv4(127, 0, byte(1+i/250), byte(1+i%250))}
}

// lateBind leaves the choice of a port to connect(2), which needs only a free pair of addresses; bind(2) would need a free port.
func lateBind(_, _ string, raw syscall.RawConn) error {
	var failed error
	err := raw.Control(func(fd uintptr) {
		failed = unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1)
	})
	return errors.Join(err, failed)
}

// clientTLS returns what a client needs that trusts the certificate ca only, nil without one. Every server gets the same work: TLS 1.3, X25519.
func clientTLS(ca string) (*tls.Config, error) {
	if ca == "" {
		return nil, nil
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM([]byte(ca)) {
		return nil, errors.New("cannot trust the certificate: it is no PEM")
	}
	return &tls.Config{
		RootCAs: roots, ServerName: serverName, MinVersion: tls.VersionTLS13, CurvePreferences: []tls.CurveID{tls.X25519},
	}, nil
}

// readAnswer reads one answer and checks its status, who made it, and that all of it is there.
func readAnswer(r *bufio.Reader, session *user, spec *LoadSpec) error {
	line, err := r.ReadSlice('\n')
	if err != nil {
		return fmt.Errorf("cannot read the answer: %w", err)
	}
	if !bytes.HasPrefix(line, []byte("HTTP/1.1 200")) {
		return fmt.Errorf("answer %q, wanted a 200", bytes.TrimSpace(line))
	}
	length, fromOwn := -1, false
	for {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return fmt.Errorf("cannot read the answer's head: %w", err)
		}
		line = bytes.TrimRight(line, "\r\n")
		if len(line) == 0 {
			break
		}
		name, value, _ := bytes.Cut(line, []byte(":"))
		value = bytes.TrimSpace(value)
		switch {
		case len(name) == 14 && bytes.EqualFold(name, []byte("content-length")):
			if length, err = strconv.Atoi(string(value)); err != nil {
				return fmt.Errorf("cannot read the answer's length: %w", err)
			}
		case len(name) == 6 && bytes.EqualFold(name, []byte("x-node")):
			fromOwn = bytes.Equal(value, session.node)
		case spec.Follow && bytes.EqualFold(name, []byte("set-cookie")):
			session.follow(value)
		}
	}
	if spec.Follow {
		return session.readPage(r, length)
	}
	if spec.Body >= 0 && length != spec.Body || !fromOwn {
		return fmt.Errorf("answer of %d bytes, from the session's own backend: %v; wanted %d bytes from %s", length, fromOwn, spec.Body, session.node)
	}
	start, err := r.Peek(len(session.node))
	if err != nil {
		return fmt.Errorf("cannot read the page: %w", err)
	}
	if !bytes.Equal(start, session.node) {
		return errors.New("the page is another backend's")
	}
	if _, err := r.Discard(length); err != nil {
		return fmt.Errorf("cannot read the page: %w", err)
	}
	return nil
}

// follow takes over the session id of a Set-Cookie.
func (u *user) follow(value []byte) {
	if id, ok := bytes.CutPrefix(value, []byte("JSESSIONID=")); ok {
		id, _, _ = bytes.Cut(id, []byte(";"))
		u.id = append(u.id[:0], id...)
		_, node, _ := bytes.Cut(u.id, []byte("."))
		u.node = node
	}
}

// readPage reads a page of the test application, which must be of the session's node and of the session.
func (u *user) readPage(r *bufio.Reader, length int) error {
	if length < 0 || length > r.Size() {
		return fmt.Errorf("a page of %d bytes, wanted its length and at most %d", length, r.Size())
	}
	page, err := r.Peek(length)
	if err != nil {
		return fmt.Errorf("cannot read the page: %w", err)
	}
	if len(u.node) == 0 || !bytes.Contains(page, append([]byte("node "), u.node...)) || !bytes.Contains(page, append([]byte("session "), u.id...)) {
		return fmt.Errorf("the page is not that of session %q at %q:\n%s", u.id, u.node, page)
	}
	_, err = r.Discard(length)
	return err
}
