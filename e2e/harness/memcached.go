package harness

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Memcached is a memcached of Debian's package, on a port of its own that it keeps over restarts.
type Memcached struct {
	*process
	address string
	options []string
}

// StartMemcached starts a memcached and returns when it answers.
func StartMemcached(t testing.TB, options ...string) *Memcached {
	t.Helper()
	m := &Memcached{address: FreeAddress(t), options: options}
	m.Restart(t)
	return m
}

// FreeAddress returns an address of the loopback network that nobody else uses: a server that goes down finds it free when it comes
// back, and nobody answers in its place. So the host is one of 127.0.0.0/8, from where no connection comes, and the port
// is below those that the system gives to whoever asks for any.
func FreeAddress(t testing.TB) string {
	t.Helper()
	var lc net.ListenConfig
	var err error
	for range 20 {
		address := fmt.Sprintf("127.%d.%d.%d:%d", 1+rand.N(254), rand.N(256), 1+rand.N(254), 10000+rand.N(20000))
		var l net.Listener
		if l, err = lc.Listen(t.Context(), "tcp", address); err == nil {
			l.Close()
			WaitRefused(t, address)
			return address
		}
	}
	t.Fatalf("no free address: %v", err)
	return ""
}

// WaitRefused returns when connections to address are refused. A listener that was closed may live on for a moment: in an Accept that is
// about to return, or in a child between its fork and its exec.
func WaitRefused(t testing.TB, address string) {
	t.Helper()
	Eventually(t, "connections to "+address+" are refused", func() bool {
		var d net.Dialer
		conn, err := d.DialContext(context.Background(), "tcp", address) // a test that is over closes listeners too
		if err == nil {
			conn.Close()
		}
		return errors.Is(err, syscall.ECONNREFUSED)
	})
}

// UnstartedMemcached returns a memcached that Restart starts.
func UnstartedMemcached(t testing.TB, options ...string) *Memcached {
	t.Helper()
	return &Memcached{address: FreeAddress(t), options: options}
}

// Address is its host:port.
func (m *Memcached) Address() string { return m.address }

// Restart starts it again, empty, at the same address, and returns when it answers.
func (m *Memcached) Restart(t testing.TB) {
	t.Helper()
	host, port, err := net.SplitHostPort(m.address)
	if err != nil {
		t.Fatal(err)
	}
	args := append([]string{"-l", host, "-p", port, "-U", "0", "-t", "2", "-u", "nobody"}, m.options...)
	m.process = startProcess(t, command("memcached", args...))
	Eventually(t, "memcached answers", func() bool {
		select {
		case <-m.exited:
			t.Fatalf("memcached ended: %v", m.err)
		default:
		}
		conn, err := m.dial(t)
		if err != nil {
			return false
		}
		conn.Close()
		return true
	})
}

func (m *Memcached) dial(t testing.TB) (net.Conn, error) {
	var d net.Dialer
	conn, err := d.DialContext(t.Context(), "tcp", m.address)
	if err == nil {
		conn.SetDeadline(time.Now().Add(patience))
	}
	return conn, err
}

// talk sends a command and calls answer with what comes back.
func (m *Memcached) talk(t testing.TB, command string, answer func(*bufio.Reader) error) {
	t.Helper()
	conn, err := m.dial(t)
	if err != nil {
		t.Fatalf("cannot reach memcached: %v", err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, command); err != nil {
		t.Fatalf("cannot write to memcached: %v", err)
	}
	if err := answer(bufio.NewReader(conn)); err != nil {
		t.Fatalf("cannot read the answer of memcached: %v", err)
	}
}

// eachLine calls f with each line up to END.
func eachLine(f func(line string)) func(*bufio.Reader) error {
	return func(r *bufio.Reader) error {
		for {
			line, err := r.ReadString('\n')
			if err != nil {
				return err
			}
			if line = strings.TrimSpace(line); line == "END" {
				return nil
			}
			f(line)
		}
	}
}

// Stat returns one of its counters, such as "cmd_get".
func (m *Memcached) Stat(t testing.TB, name string) (n int) {
	t.Helper()
	found := false
	m.talk(t, "stats\r\n", eachLine(func(line string) {
		var err error
		if value, ok := strings.CutPrefix(line, "STAT "+name+" "); ok {
			found = true
			if n, err = strconv.Atoi(value); err != nil {
				t.Fatalf("memcached says %q: %v", line, err)
			}
		}
	}))
	if !found {
		t.Fatalf("memcached has no counter %s", name)
	}
	return n
}

// Keys returns the keys of the session copies whose base id is base. It has the table of keys walked: a walk of the lists of use
// misses a key that moves meanwhile.
func (m *Memcached) Keys(t testing.TB, base string) (keys []string) {
	t.Helper()
	Eventually(t, "memcached lists its keys", func() bool { // it does so for one at a time, and rehydra asks too
		busy := false
		m.talk(t, "lru_crawler metadump hash\r\n", func(r *bufio.Reader) error {
			if first, err := r.Peek(1); err != nil || first[0] == 'B' {
				busy = true
				return err
			}
			return eachLine(func(line string) {
				key, ok := strings.CutPrefix(strings.SplitN(line, " ", 2)[0], "key=")
				if ok && strings.HasSuffix(key, "%3A"+base) {
					keys = append(keys, strings.ReplaceAll(key, "%3A", ":"))
				}
			})(r)
		})
		return !busy
	})
	return keys
}

// Get returns the value of a key; ok is false when there is none.
func (m *Memcached) Get(t testing.TB, key string) (value []byte, ok bool) {
	t.Helper()
	m.talk(t, "get "+key+"\r\n", func(r *bufio.Reader) error {
		line, err := r.ReadString('\n')
		if err != nil || line == "END\r\n" {
			return err
		}
		var name string
		var flags, size int
		if _, err := fmt.Sscanf(line, "VALUE %s %d %d", &name, &flags, &size); err != nil {
			return fmt.Errorf("%q: %w", line, err)
		}
		value, ok = make([]byte, size), true
		_, err = io.ReadFull(r, value)
		return err
	})
	return value, ok
}

// Set stores a value without an end of its life.
func (m *Memcached) Set(t testing.TB, key string, value []byte) {
	t.Helper()
	m.talk(t, fmt.Sprintf("set %s 0 0 %d\r\n%s\r\n", key, len(value), value), wantLine("STORED"))
}

// Delete removes a key that is there.
func (m *Memcached) Delete(t testing.TB, key string) {
	t.Helper()
	m.talk(t, "delete "+key+"\r\n", wantLine("DELETED"))
}

func wantLine(want string) func(*bufio.Reader) error {
	return func(r *bufio.Reader) error {
		line, err := r.ReadString('\n')
		if err == nil && strings.TrimSpace(line) != want {
			err = fmt.Errorf("it says %q, wanted %s", line, want)
		}
		return err
	}
}
