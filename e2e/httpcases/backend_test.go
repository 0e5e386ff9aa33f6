package httpcases

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"
)

// probeTarget is the request that is made after a case to see that the proxy lives. It is answered and not recorded.
const probeTarget = "/still-there"

// backends is the scripted servers behind the proxy during one case, and what they saw.
type backends struct {
	answers [][]op // of the script; never empty
	probe   []op
	nodes   []*node
	wg      sync.WaitGroup

	mu       sync.Mutex
	conns    []*backendConn
	requests []*seen
	started  int // requests whose answer was chosen
	played   int // answers that were played to their end
	invalid  []string
	last     time.Time // of the last thing that happened
}

type node struct {
	name     string
	listener net.Listener
}

// seen is one complete request at a backend.
type seen struct {
	*message
	node string
	conn *backendConn
}

// backendConn is one connection from the proxy. Its fields are guarded by backends.mu.
type backendConn struct {
	*net.TCPConn
	node     string
	raw      []byte // everything that arrived
	rest     []byte // what is not part of a complete request yet
	taken    bool   // {continue} took the request off already; used by serve only
	tunnel   bool   // 101 was sent: rest is the tunnel
	answered bool   // carried an answer of the script
	ended    bool   // the proxy closed or reset it
	lastRead time.Time
	changed  chan struct{} // capacity 1
}

// startBackends listens n times and answers by the case's script.
func startBackends(c *testCase, defaultAnswer string, n int) (*backends, error) {
	b := &backends{last: time.Now()}
	scripts := c.Backend
	if len(scripts) == 0 {
		scripts = []string{defaultAnswer}
	}
	var err error
	for _, s := range scripts {
		ops, err := parseScript(s, n)
		if err != nil {
			return nil, err
		}
		b.answers = append(b.answers, ops)
	}
	if b.probe, err = parseScript(defaultAnswer, 0); err != nil {
		return nil, err
	}
	for i := range c.Backends {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			b.close()
			return nil, fmt.Errorf("cannot start a backend: %w", err)
		}
		nd := &node{name: fmt.Sprintf("node%d", i+1), listener: l}
		b.nodes = append(b.nodes, nd)
		b.wg.Go(func() { b.accept(nd) })
	}
	return b, nil
}

func (b *backends) close() {
	for _, n := range b.nodes {
		n.listener.Close()
	}
	b.mu.Lock()
	for _, c := range b.conns {
		c.Close()
	}
	b.mu.Unlock()
	b.wg.Wait()
}

func (b *backends) accept(n *node) {
	for {
		conn, err := n.listener.Accept()
		if err != nil {
			return
		}
		c := &backendConn{TCPConn: conn.(*net.TCPConn), node: n.name, changed: make(chan struct{}, 1)}
		b.mu.Lock()
		b.conns = append(b.conns, c)
		b.mu.Unlock()
		b.wg.Go(func() { b.read(c) })
		b.wg.Go(func() { b.serve(c) })
	}
}

// read collects bytes until the connection ends.
func (b *backends) read(c *backendConn) {
	buf := make([]byte, 64<<10)
	for {
		n, err := c.Read(buf)
		b.mu.Lock()
		c.raw = append(c.raw, buf[:n]...)
		c.rest = append(c.rest, buf[:n]...)
		c.lastRead = time.Now()
		if n > 0 {
			b.last = c.lastRead
		}
		if err != nil {
			// Closed here (net.ErrClosed) is not closed by the proxy.
			c.ended = !errors.Is(err, net.ErrClosed)
		}
		b.mu.Unlock()
		c.signal()
		if err != nil {
			close(c.changed)
			return
		}
	}
}

func (c *backendConn) signal() {
	select {
	case c.changed <- struct{}{}:
	default:
	}
}

// serve answers the requests of one connection, one after the other.
func (b *backends) serve(c *backendConn) {
	defer c.Close()
	for {
		m := b.until(c, func(m *message) bool { return true })
		if m == nil {
			return
		}
		ops := b.choose(m)
		early := ops[0].name == "headers" || ops[0].name == "silence"
		if !early && !b.take(c) {
			return
		}
		alive := b.play(c, m, ops)
		b.mu.Lock()
		if !b.special(m) {
			b.played++
			b.last = time.Now()
		}
		tunnel := c.tunnel
		b.mu.Unlock()
		if alive && tunnel {
			for range c.changed { // until it ends
			}
			return
		}
		if !alive || early && !b.take(c) {
			return
		}
	}
}

// until waits for a request in c.rest whose head is whole and that is good. nil: the connection ended before that, or what
// arrived is not a request.
func (b *backends) until(c *backendConn, good func(*message) bool) *message {
	for open := true; ; {
		b.mu.Lock()
		m, err := parseRequest(c.rest)
		if err != nil {
			b.invalid = append(b.invalid, fmt.Sprintf("%s got a request that is not valid: %v", c.node, err))
		}
		b.mu.Unlock()
		if err != nil || m != nil && good(m) {
			return m
		}
		if !open {
			return nil
		}
		_, open = <-c.changed
	}
}

// take waits until the request in c.rest is complete, takes it off and records it. It does so once for each request.
func (b *backends) take(c *backendConn) bool {
	if c.taken {
		c.taken = false
		return true
	}
	m := b.until(c, func(m *message) bool { return m.complete })
	if m == nil {
		return false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	c.rest = c.rest[m.size:]
	b.last = time.Now()
	if !b.special(m) {
		b.requests = append(b.requests, &seen{message: m, node: c.node, conn: c})
	}
	return true
}

func target(m *message) string { return strings.Split(m.start, " ")[1] }

// special says whether a request is not part of the case: the probe and the session protocol.
func (b *backends) special(m *message) bool {
	return target(m) == probeTarget || strings.Contains(target(m), "/.rehydra")
}

func (b *backends) choose(m *message) []op {
	if target(m) == probeTarget {
		return b.probe
	}
	if b.special(m) {
		return []op{{name: "send", bytes: "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"}}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	i := min(b.started, len(b.answers)-1)
	b.started++
	return b.answers[i]
}

// play answers. It returns false when the connection is of no more use.
func (b *backends) play(c *backendConn, m *message, ops []op) bool {
	for _, o := range ops {
		switch o.name {
		case "send":
			b.mu.Lock()
			c.answered = c.answered || !b.special(m)
			if strings.HasPrefix(o.bytes, "HTTP/1.1 101") {
				c.tunnel = true
			}
			b.mu.Unlock()
			if _, err := c.Write([]byte(o.bytes)); err != nil {
				return false
			}
		case "echo":
			t := target(m)
			if _, err := fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(t), t); err != nil {
				return false
			}
		case "sleep":
			time.Sleep(o.wait) // the case says for how long the backend does nothing
		case "silence":
			b.silence(c, o.wait)
		case "continue":
			if strings.EqualFold(strings.Join(m.values("Expect"), ","), "100-continue") {
				if _, err := c.Write([]byte("HTTP/1.1 100 Continue\r\n\r\n")); err != nil {
					return false
				}
			}
			if !b.take(c) {
				return false
			}
			c.taken = true
		case "close", "rst":
			if o.name == "rst" {
				c.SetLinger(0)
			}
			return false
		}
	}
	return true
}

func (b *backends) silence(c *backendConn, d time.Duration) {
	for {
		select {
		case _, open := <-c.changed:
			if !open {
				return
			}
		case <-time.After(d):
			return
		}
	}
}
