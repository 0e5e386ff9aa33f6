package sessiontier

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestHerdIsBounded: 2,000 sessions at once, on nodes of which one is stopped, open no more connections than there are slots.
func TestHerdIsBounded(t *testing.T) {
	servers := startServers(t, 2)
	const connections = 16
	p := openTier(t, servers, func(c *Config) { c.Connections, c.Timeout = connections, time.Second })
	for i := range 2000 {
		p.mustSave(t, key(fmt.Sprint("s", i)), rec("1.1", "node1", "a"))
	}
	servers[0].pause()
	var most, failed int
	var mu sync.Mutex
	var herd sync.WaitGroup
	begun := time.Now()
	for i := range 2000 {
		herd.Go(func() {
			_, err := p.Claim(ctxFor(t, 2*time.Minute), key(fmt.Sprint("s", i)), "node2")
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				failed++
				if failed%200 == 1 {
					t.Log(err)
				}
			}
			if i%100 == 0 {
				most = max(most, openSockets(t, servers))
			}
		})
	}
	herd.Wait()
	servers[0].resume()
	t.Logf("2000 claims with one of two nodes stopped: %v, %d failed, at most %d connections", time.Since(begun), failed, most)
	if limit := 2*connections + 4; most == 0 || most > limit { // the prober's and a dying link's on top
		t.Errorf("%d connections open, want at most %d", most, limit)
	}
	if failed > 0 {
		t.Errorf("%d claims failed", failed)
	}
}

// openSockets counts this process's connections to the servers.
func openSockets(t *testing.T, servers []*memcachedServer) int {
	table, err := os.ReadFile("/proc/net/tcp")
	if err != nil {
		t.Error(err)
	}
	open := 0
	for _, s := range servers {
		// Remote address in the third column, established in the fourth.
		at := netip.MustParseAddrPort(s.at)
		ip := at.Addr().As4()
		open += strings.Count(string(table), fmt.Sprintf("%02X%02X%02X%02X:%04X 01 ", ip[3], ip[2], ip[1], ip[0], at.Port()))
	}
	return open
}

// badServer answers every connection in one bad way.
func badServer(t *testing.T, answer func(c net.Conn)) Node {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() {
				defer c.Close()
				if err := c.SetDeadline(time.Now().Add(2 * time.Second)); err != nil {
					t.Error(err)
				}
				answer(c)
			})
		}
	})
	t.Cleanup(func() { l.Close(); all.Wait() })
	return Node{Name: "bad", Address: l.Addr().String()}
}

// reply is the head of an answer in memcached's binary protocol.
func reply(extras, keyLength int, status uint16, total uint32, id uint64) []byte {
	b := make([]byte, 24)
	b[0], b[4] = 0x81, byte(extras)
	binary.BigEndian.PutUint16(b[2:], uint16(keyLength))
	binary.BigEndian.PutUint16(b[6:], status)
	binary.BigEndian.PutUint32(b[8:], total)
	binary.BigEndian.PutUint64(b[16:], id)
	return b
}

// fitting is a connection whose next answer is made to fit a request, as far as a client can tell from its head: opcode and serial number.
type fitting struct {
	net.Conn
	request []byte // at least its head
	written int
}

// Write implements net.Conn.
func (f *fitting) Write(p []byte) (int, error) {
	p = bytes.Clone(p)
	for i := range p {
		if at := f.written + i; at == opcodeAt || at >= serialAt && at < serialAt+4 {
			p[i] = f.request[at]
		}
	}
	f.written += len(p)
	return f.Conn.Write(p)
}

// TestNodeThatAnswersNonsense: beside a good node, a bad one costs no session and no crash.
func TestNodeThatAnswersNonsense(t *testing.T) {
	each := func(answer []byte) func(net.Conn) {
		return func(c net.Conn) {
			request := make([]byte, 4096)
			for {
				if _, err := c.Read(request); err != nil {
					return
				}
				if _, err := (&fitting{Conn: c, request: request}).Write(answer); err != nil {
					return
				}
			}
		}
	}
	other := sampleEnvelope()
	foreign, err := encodePlain(&other, key("another"))
	if err != nil {
		t.Fatal(err)
	}
	for name, answer := range map[string]func(net.Conn){
		"garbage":        each([]byte(strings.Repeat("HTTP/1.1 400 Bad Request\r\n", 3))),
		"closes":         func(net.Conn) {},
		"short extras":   each(append(reply(2, 0, 0, 2, 7), 1, 2)),
		"negative value": each(reply(200, 60000, 0, 1, 7)),
		"1 GiB":          each(reply(4, 0, 0, 1<<30, 7)),
		"no id":          each(append(reply(4, 0, 0, 4, 0), 0, 0, 0, 0)),
		"another key":    each(append(append(reply(4, 0, 0, uint32(4+len(foreign)), 7), 0, 0, 0, 0), foreign...)),
		"unknown status": each(reply(0, 0, 0x86, 0, 0)),
		"out of memory":  each(reply(0, 0, 0x82, 0, 0)),
		"slow drip": func(c net.Conn) {
			request := make([]byte, 24)
			if _, err := io.ReadFull(c, request); err != nil {
				return
			}
			f := &fitting{Conn: c, request: request}
			for _, b := range reply(4, 0, 0, 4, 7) {
				if _, err := f.Write([]byte{b}); err != nil {
					return
				}
				time.Sleep(30 * time.Millisecond) // the drip
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bad := badServer(t, answer)
			servers := startServers(t, 1)
			p := openTier(t, servers, func(c *Config) { c.Nodes, c.Copies, c.Timeout = append(c.Nodes, bad), 2, 2*time.Second })
			for i := range 4 {
				k := key(fmt.Sprint("s", i))
				err := p.Save(ctxFor(t, patience), k, rec("1.1", "node1", "a"))
				if err != nil && !errors.Is(err, ErrIncomplete) || errors.Is(err, ErrUnavailable) {
					t.Fatal(err)
				}
				p.wantRecord(t, k, "1.1", "node1", "a")
				p.mustClaim(t, k, "node2", "2.0")
				if err := p.End(t.Context(), k, time.Minute); err != nil {
					t.Fatal(err)
				}
				p.wantLookup(t, k, ErrEnded)
			}
		})
	}
}

func TestTakeSlotGivesUpInTime(t *testing.T) {
	servers := startServers(t, 1)
	p := openTier(t, servers, func(c *Config) { c.Connections = 1 })
	p.nodes[0].slots <- struct{}{} // taken
	if _, err := p.Lookup(ctxFor(t, 50*time.Millisecond), key("any")); !errors.Is(err, ErrUnavailable) {
		t.Errorf("Lookup without a slot: %v, want %v", err, ErrUnavailable)
	}
	<-p.nodes[0].slots
	p.wantLookup(t, key("any"), ErrNotFound)
	if !p.Stats().Nodes[0].Up {
		t.Error("a node whose slots were all taken counts as down")
	}
}

// TestOldOpinion: a process that stood still does not go on with what it thought of a node before: others may have used it since.
func TestOldOpinion(t *testing.T) {
	t.Parallel()
	servers := startServers(t, 2)
	k := key("opinion")
	other := openTier(t, servers, nil)
	p := openTier(t, servers, func(c *Config) { c.Retry = time.Hour }) // as if its prober stood still
	p.mustSave(t, k, rec("1.1", "node1", "a"))
	for _, i := range []int{0, 1} {
		servers[i].kill()
		p.wantSave(t, k, rec("1.2", "node1", "b"), ErrIncomplete)
		p.waitNode(t, i, false)
		servers[i].start()
		other.waitNode(t, i, true)
		other.mustSave(t, k, rec("1.3", "node1", "c"))
		if p.nodes[i].reachable() {
			t.Fatal("a node that was found down just now is asked again")
		}
		p.nodes[i].askedAt.Add(-int64(2 * p.nodes[i].holds)) // it stood still for so long
		servers[1-i].kill()                                  // what is to be seen is on that node alone
		p.wantRecord(t, k, "1.3", "node1", "c")
		servers[1-i].start()
		other.waitNode(t, 1-i, true)
		p.nodes[1-i].askedAt.Add(-int64(2 * p.nodes[1-i].holds))
		p.wantRecord(t, k, "1.3", "node1", "c")
	}
}
