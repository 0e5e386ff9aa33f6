package streams

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"rehydra/e2e/harness"
)

// counter is a stream of n bytes in which every eight are their own position, so that nothing can be lost, doubled or moved.
type counter struct{ at, n int64 }

func (c *counter) Read(p []byte) (int, error) {
	if c.at == c.n {
		return 0, io.EOF
	}
	p = p[:min(int64(len(p)), c.n-c.at)]
	p = p[:len(p)&^7]
	for i := 0; i < len(p); i += 8 {
		binary.LittleEndian.PutUint64(p[i:], uint64(c.at)+uint64(i))
	}
	c.at += int64(len(p))
	return len(p), nil
}

// check reads such a stream to its end.
func check(r io.Reader, n int64) error {
	buffer := make([]byte, 1<<18)
	have := 0 // bytes that are there but are not eight
	for at := int64(0); ; {
		got, err := r.Read(buffer[have:])
		have += got
		whole := have &^ 7
		for i := 0; i < whole; i += 8 {
			if v := binary.LittleEndian.Uint64(buffer[i:]); v != uint64(at)+uint64(i) {
				return fmt.Errorf("at %d is %d", at+int64(i), v)
			}
		}
		at += int64(whole)
		have = copy(buffer, buffer[whole:have])
		if errors.Is(err, io.EOF) && at == n && have == 0 {
			return nil
		}
		if err != nil {
			return fmt.Errorf("ended at %d of %d: %w", at+int64(have), n, err)
		}
	}
}

// TestRelay: 1 GB goes each way through a tunnel at the same time and arrives byte for byte; each side ends its own stream (half-close).
func TestRelay(t *testing.T) {
	c := start(t)
	const size = 1 << 30
	near, far := c.tunnel(false, 1)
	began := time.Now()
	var all sync.WaitGroup
	for _, way := range []struct {
		name     string
		from, to net.Conn
	}{{"to the backend", near, far}, {"to the client", far, near}} {
		all.Go(func() {
			// Without the wrapper a connection would not read from counter in pieces of this size.
			if _, err := io.CopyBuffer(struct{ io.Writer }{way.from}, &counter{n: size}, make([]byte, 1<<18)); err != nil {
				t.Errorf("%s: cannot send: %v", way.name, err)
			}
			if err := way.from.(*net.TCPConn).CloseWrite(); err != nil {
				t.Errorf("%s: cannot end the stream: %v", way.name, err)
			}
		})
		all.Go(func() {
			if err := check(way.to, size); err != nil {
				t.Errorf("%s: %v", way.name, err)
			}
		})
	}
	all.Wait()
	took := time.Since(began)
	t.Logf("1 GiB each way at once in %v: %.0f MB/s in all", took.Round(time.Millisecond), 2*size/1e6/took.Seconds())
	c.WaitMetric(t, "rehydra_tunnels", 0)
	e := c.WaitEvent(t, "the tunnel's event", func(e harness.Event) bool { return e.Text("path") == "/raw" })
	if got, _ := e["bytes"].(float64); got < size {
		t.Errorf("%v bytes logged", e["bytes"])
	}
}

// TestRelayTLS: the same with TLS before it, less of it, and with one way silent while the other moves.
func TestRelayTLS(t *testing.T) {
	t.Parallel()
	c := start(t)
	const size = 64 << 20
	near, far := c.tunnel(true, 2)
	for _, way := range []struct{ from, to net.Conn }{{near, far}, {far, near}} {
		sent := make(chan error, 1)
		go func() {
			_, err := io.Copy(struct{ io.Writer }{way.from}, &counter{n: size})
			sent <- err
		}()
		if err := check(io.LimitReader(way.to, size), size); err != nil {
			t.Error(err)
		}
		if err := <-sent; err != nil {
			t.Error(err)
		}
	}
}

// TestSilence: a tunnel on which nothing moves either way for pool.timeout.tunnel ends; one on which a byte moves now and then, one way only, does not.
func TestSilence(t *testing.T) {
	t.Parallel()
	const limit = 3 * time.Second
	c := start(t, fmt.Sprintf("tunnel = %q", limit))
	near, far := c.tunnel(false, 1)
	for !outlives(t, far, near, limit) { // the machine was too busy to tell
		near, far = c.tunnel(false, 1)
	}
	for _, end := range []net.Conn{near, far} {
		if err := end.SetReadDeadline(time.Now().Add(patience)); err != nil {
			t.Fatal(err)
		}
		if n, err := end.Read(make([]byte, 1)); n != 0 || isTimeout(err) {
			t.Errorf("it stays open: %d, %v", n, err)
		}
	}
	c.WaitEvent(t, "the tunnel's end", func(e harness.Event) bool { return e.Text("failure") == "tunnel silent" })
}

// TestPause: a tunnel on which nothing moves for longer than a request, an answer or the next request may take goes on, with TLS and without.
func TestPause(t *testing.T) {
	t.Parallel()
	const limit = 5 * time.Second // which a handshake has too
	line := func(name string) string { return fmt.Sprintf("%s = %q", name, limit) }
	c := startWith(t, []string{line("header_timeout"), line("body_timeout"), line("keep_alive_timeout")}, line("first_byte"), line("idle"))
	type tunnel struct{ near, far net.Conn }
	var tunnels []tunnel
	for _, secure := range []bool{false, true} {
		near, far := c.tunnel(secure, 1)
		tunnels = append(tunnels, tunnel{near, far})
	}
	<-time.After(limit * 3 / 2) // however long it takes, nothing may happen
	for i, tun := range tunnels {
		for _, way := range []struct{ from, to net.Conn }{{tun.near, tun.far}, {tun.far, tun.near}} {
			sent := make(chan error, 1)
			go func() {
				_, err := io.WriteString(way.from, "pong")
				sent <- err
			}()
			if err := way.to.SetReadDeadline(time.Now().Add(patience)); err != nil {
				t.Fatal(err)
			}
			got := make([]byte, len("pong"))
			if _, err := io.ReadFull(way.to, got); err != nil || string(got) != "pong" {
				t.Errorf("tunnel %d: %q, %v", i, got, err)
			}
			if err := <-sent; err != nil {
				t.Errorf("tunnel %d: %v", i, err)
			}
		}
	}
}

// outlives sends a byte now and then for longer than the limit. It reports whether that could be done without a pause that comes near the limit: what
// happens after one proves nothing.
func outlives(t *testing.T, from, to net.Conn, limit time.Duration) bool {
	t.Helper()
	tick := time.NewTicker(limit / 10)
	defer tick.Stop()
	last := time.Now()
	for end := last.Add(limit * 3 / 2); time.Now().Before(end); <-tick.C {
		_, err := from.Write([]byte("x"))
		if err == nil {
			_, err = io.ReadFull(to, make([]byte, 1))
		}
		if time.Since(last) > limit/2 {
			t.Log("a pause of ", time.Since(last))
			return false
		}
		if err != nil {
			t.Fatalf("it ended while it was in use: %v", err)
		}
		last = time.Now()
	}
	return true
}

func isTimeout(err error) bool {
	var ne net.Error
	return errors.As(err, &ne) && ne.Timeout()
}
