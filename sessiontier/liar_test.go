package sessiontier

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"reflect"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rainycape/memcache"
)

// startLiar starts a memcached that says of itself what a good one says, and answers every exchange about a session with lie. This is the one
// kind of server that cannot be had as a real process.
func startLiar(t *testing.T, lie func(c net.Conn, opcode byte, key string) error) Node {
	return badServer(t, func(c net.Conn) {
		for {
			first := make([]byte, 1)
			if _, err := io.ReadFull(c, first); err != nil {
				return
			}
			if first[0] == 's' { // the text protocol: "stats settings" and "stats", in one go
				if _, err := c.Read(make([]byte, 1024)); err != nil {
					return
				}
				if _, err := io.WriteString(c, "END\r\nSTAT pid 1\r\nEND\r\n"); err != nil {
					return
				}
				continue
			}
			head := make([]byte, replyHead)
			head[0] = first[0]
			if _, err := io.ReadFull(c, head[1:]); err != nil {
				return
			}
			body := make([]byte, binary.BigEndian.Uint32(head[replyLength:]))
			if _, err := io.ReadFull(c, body); err != nil {
				return
			}
			extras, keyLength := int(head[extrasAt]), int(binary.BigEndian.Uint16(head[keyLengthAt:]))
			key := string(body[extras : extras+keyLength])
			var err error
			if key == probeKey {
				_, err = (&fitting{Conn: c, request: head}).Write(reply(0, 0, 1, 0, 0)) // not found
			} else {
				err = lie(&fitting{Conn: c, request: head}, head[opcodeAt], key)
			}
			if err != nil {
				return
			}
		}
	})
}

// TestLyingNode: whatever a node answers, no foreign session comes of it, no crash, and no more memory than its honest answers would take.
func TestLyingNode(t *testing.T) {
	other := sampleEnvelope()
	other.state = []byte("foreign")
	foreign, err := encodePlain(&other, key("another"))
	if err != nil {
		t.Fatal(err)
	}
	write := func(parts ...[]byte) func(net.Conn, byte, string) error {
		return func(c net.Conn, _ byte, _ string) error {
			_, err := c.Write(bytes.Join(parts, nil))
			return err
		}
	}
	extras := make([]byte, 4)
	for name, lie := range map[string]func(net.Conn, byte, string) error{
		"a length of 1 GiB":               write(reply(4, 0, 0, 1<<30, 7), extras),
		"a length of 4 GiB":               write(reply(4, 0, 0, 1<<32-1, 7), extras),
		"a refusal of 1 GiB":              write(reply(0, 0, 0x82, 1<<30, 7)),
		"another session":                 write(reply(4, 0, 0, uint32(4+len(foreign)), 7), extras, foreign),
		"another session and its key":     write(reply(4, 3, 0, uint32(7+len(foreign)), 7), extras, []byte("abc"), foreign),
		"two answers":                     write(reply(4, 0, 0, uint32(4+len(foreign)), 7), extras, foreign, reply(4, 0, 0, uint32(4+len(foreign)), 7), extras, foreign),
		"an answer to another request":    another(append(append(reply(4, 0, 0, uint32(4+len(foreign)), 7), extras...), foreign...)),
		"garbage":                         write([]byte(strings.Repeat("garbage", 20))),
		"an answer that is never whole":   write(reply(4, 0, 0, 1000, 7), extras),
		"a head that says nothing":        write(reply(0, 0, 0, 0, 0)),
		"lengths that contradict":         write(reply(255, 65535, 0, 3, 7), extras),
		"a drip, one byte every 50 ms":    drip(append(reply(4, 0, 0, uint32(4+len(foreign)), 7), append(extras, foreign...)...)),
		"another session under this name": echo(foreign),
	} {
		t.Run(name, func(t *testing.T) {
			node := startLiar(t, lie)
			p := openTier(t, nil, func(c *Config) {
				c.Kind, c.Nodes, c.Copies, c.Timeout = KindMemcached, []Node{node}, 1, 100*time.Millisecond
			})
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			var all sync.WaitGroup
			for i := range 20 {
				all.Go(func() {
					k := key(fmt.Sprint("k", i))
					if r, err := p.Lookup(ctxFor(t, 2*time.Second), k); err == nil {
						t.Errorf("a look-up returned version %s with state %q", r.Version, r.State)
					}
					if r, err := p.Claim(ctxFor(t, 2*time.Second), k, "node2"); err == nil {
						t.Errorf("a claim returned version %s with state %q", r.Version, r.State)
					}
					// A write is believed where the answer cannot be told from a good one; it must end in time.
					if err := p.Save(ctxFor(t, 2*time.Second), k, rec("1.2", "node1", "mine")); err != nil && !errors.Is(err, ErrUnavailable) {
						t.Errorf("Save: %v", err)
					}
				})
			}
			all.Wait()
			runtime.ReadMemStats(&after)
			if bytes := after.TotalAlloc - before.TotalAlloc; bytes > 64<<20 {
				t.Errorf("60 exchanges took %d bytes of memory", bytes)
			}
		})
	}
}

// another sends an answer that is good in all but its serial number.
func another(answer []byte) func(net.Conn, byte, string) error {
	return func(c net.Conn, opcode byte, _ string) error {
		answer := bytes.Clone(answer)
		answer[opcodeAt] = opcode
		binary.BigEndian.PutUint32(answer[serialAt:], 1<<31)
		_, err := c.(*fitting).Conn.Write(answer)
		return err
	}
}

// drip sends an answer one byte at a time.
func drip(answer []byte) func(net.Conn, byte, string) error {
	return func(c net.Conn, _ byte, _ string) error {
		for _, b := range answer {
			if _, err := c.Write([]byte{b}); err != nil {
				return err
			}
			time.Sleep(50 * time.Millisecond) // the drip
		}
		return nil
	}
}

// echo answers with a copy that names the key that was asked for, and belongs to another session.
func echo(foreign []byte) func(net.Conn, byte, string) error {
	return func(c net.Conn, _ byte, key string) error {
		value := bytes.Clone(foreign)
		_, base, _ := strings.Cut(key[len(storeKeyPrefix):], ":")
		at := bytes.Index(value, []byte("another"))
		copy(value[at:at+len("another")], base+strings.Repeat("x", len("another")))
		_, err := c.Write(append(append(reply(4, 0, 0, uint32(4+len(value)), 7), 0, 0, 0, 0), value...))
		return err
	}
}

// TestLibraryIsAsExpected: the fields of the client library that are filled from outside are those that they are taken for.
func TestLibraryIsAsExpected(t *testing.T) {
	list, ok := reflect.TypeFor[memcache.Client]().FieldByName("freeconn")
	if !ok || list.Type.Kind() != reflect.Map || list.Type.Key().Kind() != reflect.String || list.Type.Elem().Kind() != reflect.Chan {
		t.Fatalf("the client's idle connections are %v", list.Type)
	}
	conn := list.Type.Elem().Elem().Elem()
	if conn.NumField() != 2 {
		t.Errorf("a connection has %d fields, want 2", conn.NumField())
	}
	if id, ok := reflect.TypeFor[memcache.Item]().FieldByName("casid"); !ok || id.Type.Kind() != reflect.Uint64 {
		t.Errorf("an item's id is %v, want a uint64", id.Type)
	}
	for name, want := range map[string]reflect.Type{"nc": reflect.TypeFor[net.Conn](), "addr": reflect.TypeFor[*memcache.Addr]()} {
		if f, ok := conn.FieldByName(name); !ok || f.Type != want {
			t.Errorf("a connection's %s is %v, want %v", name, f.Type, want)
		}
	}
}
