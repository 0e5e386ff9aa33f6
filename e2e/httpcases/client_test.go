package httpcases

import (
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"syscall"
	"time"
)

// client is one scripted connection to the proxy, and what came back on it.
type client struct {
	conn    *net.TCPConn
	methods []string // of its requests; missing ones are not HEAD
	to10    bool     // it speaks HTTP/1.0
	ended   chan struct{}
	started time.Time

	mu       sync.Mutex
	got      []byte
	arrivals []arrival
	end      error     // nil while open; io.EOF or the reset
	endAt    time.Time // when the proxy closed
	played   bool
	closed   bool // by this side
}

// arrival says how many bytes there were at a time.
type arrival struct {
	size int
	at   time.Time
}

func dialClient(address string, c *testCase, script string) (*client, error) {
	conn, err := net.DialTimeout("tcp", address, patience)
	if err != nil {
		return nil, fmt.Errorf("cannot connect to the proxy: %w", err)
	}
	cl := &client{conn: conn.(*net.TCPConn), methods: c.Methods, ended: make(chan struct{}), started: time.Now()}
	cl.to10 = strings.Contains(script, " HTTP/1.0\\r\\n")
	go cl.read()
	return cl, nil
}

// close ends the connection and waits for its reader.
func (cl *client) close() {
	cl.conn.Close()
	<-cl.ended
}

func (cl *client) read() {
	defer close(cl.ended)
	buf := make([]byte, 64<<10)
	for {
		n, err := cl.conn.Read(buf)
		cl.mu.Lock()
		if n > 0 {
			cl.got = append(cl.got, buf[:n]...)
			cl.arrivals = append(cl.arrivals, arrival{len(cl.got), time.Now()})
		}
		if err != nil && !errors.Is(err, net.ErrClosed) {
			cl.end, cl.endAt = err, time.Now()
		}
		cl.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// play runs the script. It stops early when the proxy closed: there is nobody to send to.
func (cl *client) play(ops []op) {
	defer func() {
		cl.mu.Lock()
		cl.played = true
		cl.mu.Unlock()
	}()
	responses := 0
	for _, o := range ops {
		switch o.name {
		case "send":
			if _, err := cl.conn.Write([]byte(o.bytes)); err != nil {
				return
			}
		case "sleep":
			select {
			case <-time.After(o.wait):
			case <-cl.ended:
				return
			}
		case "response":
			responses++
			cl.awaitResponses(responses, patience)
		case "shutwr":
			if err := cl.conn.CloseWrite(); err != nil {
				return
			}
		case "close", "rst":
			if o.name == "rst" {
				cl.conn.SetLinger(0)
			}
			cl.mu.Lock()
			cl.closed = true
			cl.mu.Unlock()
			cl.conn.Close()
			return
		}
	}
}

// awaitResponses polls until n complete final responses have arrived, the time is up or the connection has ended.
func (cl *client) awaitResponses(n int, d time.Duration) {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for until := time.Now().Add(d); time.Now().Before(until); {
		if a := cl.answers(); len(a.finals) >= n || a.err != nil {
			return
		}
		select {
		case <-tick.C:
		case <-cl.ended:
			return
		}
	}
}

// answers is everything a client received, read as HTTP.
type answers struct {
	finals  []*message // complete ones; 101 is the last
	partial *message   // an incomplete one after them; without fields while its head is incomplete
	interim []*message
	tunnel  string // what follows 101
	raw     string
	reset   bool
	end     bool
	endAt   time.Time
	lastAt  time.Time     // of the last byte, else of the start
	headAt  time.Duration // from the start to the end of the first final head; 0: none
	played  bool
	err     error // what is not valid
}

func (cl *client) answers() *answers {
	cl.mu.Lock()
	defer cl.mu.Unlock()
	a := &answers{raw: string(cl.got), end: cl.end != nil, endAt: cl.endAt, lastAt: cl.started, played: cl.played}
	a.reset = a.end && cl.end != io.EOF && (errors.Is(cl.end, syscall.ECONNRESET) || errors.Is(cl.end, syscall.EPIPE))
	if n := len(cl.arrivals); n > 0 {
		a.lastAt = cl.arrivals[n-1].at
	}
	for b := cl.got; len(b) > 0; {
		toHead := len(a.finals) < len(cl.methods) && cl.methods[len(a.finals)] == "HEAD"
		m, err := parseResponse(b, toHead, cl.to10, a.end && !a.reset)
		if err != nil {
			a.err = fmt.Errorf("what the client got is not valid: %w", err)
			return a
		}
		if m != nil && a.headAt == 0 && (m.status() >= 200 || m.status() == 101) {
			headEnd := len(cl.got) - len(b) + strings.Index(string(b), "\r\n\r\n") + 4
			a.headAt = cl.timeOf(headEnd).Sub(cl.started)
		}
		switch {
		case m == nil:
			a.partial = &message{}
			return a
		case !m.complete:
			a.partial = m
			return a
		case m.status() == 101:
			a.finals = append(a.finals, m)
			a.tunnel = string(b[m.size:])
			return a
		case m.status() < 200:
			a.interim = append(a.interim, m)
		default:
			a.finals = append(a.finals, m)
		}
		b = b[m.size:]
	}
	return a
}

// timeOf says when the byte before offset had arrived.
func (cl *client) timeOf(offset int) time.Time {
	for _, a := range cl.arrivals {
		if a.size >= offset {
			return a.at
		}
	}
	return time.Now()
}
