package upstream

import (
	"errors"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"rehydra/e2e/harness"
)

func acquire(t testing.TB, b *Backend) *Conn {
	t.Helper()
	c, err := b.Acquire(nil, time.Now(), LookNow)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// roundTrip sends text to an echo server and reads it back.
func roundTrip(t testing.TB, c *Conn, text string) {
	t.Helper()
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, len(text))
	if _, err := io.ReadFull(c.R, got); err != nil || string(got) != text {
		t.Fatalf("got %q, %v; want %q", got, err, text)
	}
}

func TestReuseLastFirst(t *testing.T) {
	s := serve(t, "127.0.0.1:0", echo)
	b := onePool(t, s.addr, Timeouts{})
	one, two := acquire(t, b), acquire(t, b)
	if one.Reused || two.Reused {
		t.Error("a new connection says that it is reused")
	}
	roundTrip(t, one, "one")
	roundTrip(t, two, "two")
	b.Release(one, time.Now())
	b.Release(two, time.Now())
	if one.R != nil || two.R != nil {
		t.Error("an idle connection holds a reader")
	}
	if c := acquire(t, b); c != two || !c.Reused {
		t.Errorf("got connection %p, reused %v; want the one used last, %p", c, c.Reused, two)
	}
	roundTrip(t, two, "again")
	if c := acquire(t, b); c != one {
		t.Error("the second one is not the one that was idle")
	}
	if st := b.Stats(); st.Dialed != 2 || st.Reused != 2 || st.Open != 2 || st.Idle != 0 {
		t.Errorf("stats %+v, want 2 dialed, 2 reused, 2 open, 0 idle", st)
	}
	one.Close()
	two.Close()
	two.Close()
	if st := b.Stats(); st.Open != 0 {
		t.Errorf("%d open, want 0", st.Open)
	}
}

// What a look must find before a request is put on a connection.
func TestUnusableIdleConnections(t *testing.T) {
	for _, tc := range []struct {
		name string
		do   func(client *Conn, server net.Conn)
	}{
		{"closed", func(_ *Conn, s net.Conn) { s.Close() }},
		{"reset", func(_ *Conn, s net.Conn) { _ = s.(*net.TCPConn).SetLinger(0); s.Close() }},
		{"half closed", func(_ *Conn, s net.Conn) { _ = s.(*net.TCPConn).CloseWrite() }},
		{"surplus bytes", func(_ *Conn, s net.Conn) { _, _ = s.Write([]byte("HTTP/1.1 200 OK\r\n")) }},
		{"closed here", func(c *Conn, _ net.Conn) { c.net.Close() }},
	} {
		for when, look := range map[string]Look{"looked at": LookNow, "asked": LookAsking} {
			t.Run(tc.name+", "+when, func(t *testing.T) {
				accepted := make(chan net.Conn, 2)
				s := serve(t, "127.0.0.1:0", func(c net.Conn) { accepted <- c; hold(c) })
				b := onePool(t, s.addr, Timeouts{})
				c := acquire(t, b)
				b.Release(c, time.Now())
				tc.do(c, <-accepted)
				eventually(t, "the look sees it", func() bool { return !c.usable() })
				fresh, err := b.Acquire(nil, time.Now(), look)
				stale := uint64(1)
				if err == nil && fresh == c && look == LookAsking { // else the watch was there first
					want := ErrStale
					if tc.name == "closed here" { // as by a client that has left: that says nothing of the backend
						want, stale = net.ErrClosed, 0
					}
					if n, err := c.Ask([]byte("request"), time.Now()); n != 0 || !errors.Is(err, want) {
						t.Errorf("asked %d bytes, %v, wanted %v", n, err, want)
					}
					c.Close()
					fresh, err = b.Acquire(nil, time.Now(), look)
				}
				if err != nil {
					t.Fatal(err)
				}
				defer fresh.Close()
				if fresh == c || fresh.Reused {
					t.Error("the connection was reused")
				}
				if st := b.Stats(); st.Stale != stale || st.Open != 1 || st.Reused != 0 {
					t.Errorf("stats %+v, want %d stale, none reused, 1 open", st, stale)
				}
			})
		}
	}
}

// An answer that is there before its request, as of a server that turns everybody away, is not waited for.
func TestAskOfOneThatSpokeFirst(t *testing.T) {
	s := serve(t, "127.0.0.1:0", func(c net.Conn) {
		_, _ = io.WriteString(c, "HTTP/1.1 503 Service Unavailable\r\n\r\n")
		_ = c.(*net.TCPConn).CloseWrite()
		hold(c)
	})
	b := onePool(t, s.addr, Timeouts{FirstByte: time.Minute})
	c, err := b.Acquire(nil, time.Now(), LookAsking)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	eventually(t, "it has spoken", func() bool { return !c.calls.Silent(c.raw) })
	if n, err := c.Ask([]byte("request"), time.Now()); n != len("request") || err != nil {
		t.Fatalf("asked %d bytes, %v", n, err)
	}
	began := time.Now()
	if line, err := c.R.ReadString('\n'); err != nil || line != "HTTP/1.1 503 Service Unavailable\r\n" || time.Since(began) > 30*time.Second {
		t.Errorf("read %q, %v after %v, wanted what was there", line, err, time.Since(began))
	}
}

func TestUsableAfterItsDeadline(t *testing.T) {
	s := serve(t, "127.0.0.1:0", echo)
	b := onePool(t, s.addr, Timeouts{})
	c := acquire(t, b)
	defer c.Close()
	c.SetReadTimeout(time.Millisecond)
	b.Release(c, time.Now())
	eventually(t, "the deadline passes", func() bool { return time.Now().After(c.read.at) })
	if again := acquire(t, b); again != c {
		t.Fatal("a deadline of the request before made the connection unusable")
	}
	roundTrip(t, c, "hello")
}

func TestReleaseCloses(t *testing.T) {
	for _, tc := range []struct {
		name string
		do   func(*testing.T, *Conn, *Backend)
	}{
		{"surplus in the reader", func(t *testing.T, c *Conn, _ *Backend) {
			_, _ = io.WriteString(c, "two")
			if _, err := c.R.ReadByte(); err != nil {
				t.Fatal(err)
			}
			eventually(t, "more in the reader", func() bool { _, err := c.R.Peek(2); return err == nil })
		}},
		{"a read failed", func(t *testing.T, c *Conn, _ *Backend) {
			c.SetReadTimeout(time.Millisecond)
			if _, err := c.R.ReadByte(); !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Fatalf("error %v, want a time-out", err)
			}
		}},
		{"closed", func(_ *testing.T, c *Conn, _ *Backend) { c.Close() }},
		{"the backend was out", func(_ *testing.T, _ *Conn, b *Backend) { b.ReportRefused(errOut) }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := serve(t, "127.0.0.1:0", echo)
			tab := table(t, io.Discard, nil, Config{Name: "p", MaxIdle: 2, Backends: []BackendConfig{{Route: "n1", Address: s.addr}}})
			b := tab.Pools()[0].Backends()[0]
			c := acquire(t, b)
			tc.do(t, c, b)
			b.Release(c, time.Now())
			if !c.closed.Load() || slices.Contains(b.shared.idle.conns, c) {
				t.Error("the connection is kept")
			}
		})
	}
}

// Where enough are idle, one that is neither the newest nor the oldest goes.
func TestEnoughAreIdle(t *testing.T) {
	s := serve(t, "127.0.0.1:0", echo)
	for most, kept := range map[int][]bool{-1: {false, false, false}, 1: {true, false, false}, 2: {true, false, true}, 3: {true, true, true}} {
		tab := table(t, io.Discard, nil, Config{Name: "p", MaxIdle: most, Backends: []BackendConfig{{Route: "n1", Address: s.addr}}})
		b := tab.Pools()[0].Backends()[0]
		conns := []*Conn{must(b.AcquireFresh(nil)), must(b.AcquireFresh(nil)), must(b.AcquireFresh(nil))}
		for _, c := range conns {
			b.Release(c, time.Now())
		}
		for i, c := range conns {
			if got := !c.closed.Load(); got != kept[i] {
				t.Errorf("at most %d: connection %d is kept: %v, wanted %v", most, i, got, kept[i])
			}
		}
	}
}

func must(c *Conn, err error) *Conn {
	if err != nil {
		panic(err)
	}
	return c
}

func TestOutClosesIdle(t *testing.T) {
	s := serve(t, "127.0.0.1:0", echo)
	b := onePool(t, s.addr, Timeouts{})
	c := acquire(t, b)
	b.Release(c, time.Now())
	b.ReportReset(b.Epoch(), errOut)
	if st := b.Stats(); st.Open != 0 || st.Idle != 0 {
		t.Errorf("%d open, %d idle after it went out; want none", st.Open, st.Idle)
	}
}

func TestKeepAlive(t *testing.T) {
	s := serve(t, "127.0.0.1:0", echo)
	b := onePool(t, s.addr, Timeouts{KeepAlive: time.Second})
	start := time.Now()
	one, two, three := acquire(t, b), acquire(t, b), acquire(t, b)
	b.Release(one, start)
	b.Release(two, start.Add(500*time.Millisecond))
	b.Release(three, start.Add(2*time.Second))
	if n := b.shared.idle.reap(start.Add(400 * time.Millisecond)); n != 1 || !one.closed.Load() {
		t.Errorf("%d reaped, want the first", n)
	}
	c, err := b.Acquire(nil, start.Add(2100*time.Millisecond), LookNow)
	if err != nil || c != three {
		t.Fatalf("got %p, %v; want the one that is young enough", c, err)
	}
	fresh, err := b.Acquire(nil, start.Add(2100*time.Millisecond), LookNow)
	if err != nil || fresh.Reused || !two.closed.Load() {
		t.Errorf("got %+v, %v; want a fresh one and the old one closed", fresh, err)
	}
	three.Close()
	fresh.Close()
}

func TestTableReaps(t *testing.T) {
	s := serve(t, "127.0.0.1:0", echo)
	tab := table(t, io.Discard, nil, Config{Name: "p", Timeouts: Timeouts{KeepAlive: 40 * time.Millisecond}, Health: HealthConfig{Interval: time.Hour},
		Backends: []BackendConfig{{Route: "n1", Address: s.addr}}})
	tab.Start()
	b := tab.Pools()[0].Backends()[0]
	b.Release(acquire(t, b), time.Now())
	eventually(t, "the idle connection is closed", func() bool { return b.Stats().Open == 0 })
}

func TestConnectErrors(t *testing.T) {
	t.Run("refused", func(t *testing.T) {
		addr := harness.FreeAddress(t)
		_, err := onePool(t, addr, Timeouts{}).Acquire(nil, time.Now(), LookNow)
		var ce *ConnectError
		if !errors.As(err, &ce) || !ce.Refused || ce.Timeout || ce.Local || ce.Address != addr {
			t.Fatalf("error %+v, want refused", ce)
		}
		if !strings.HasPrefix(err.Error(), `cannot connect to backend "`+addr+`": `) {
			t.Errorf("text %q", err)
		}
	})
	t.Run("timeout", func(t *testing.T) {
		s := fullBacklog(t)
		_, err := onePool(t, s, Timeouts{Connect: 50 * time.Millisecond}).Acquire(nil, time.Now(), LookNow)
		var ce *ConnectError
		if !errors.As(err, &ce) || !ce.Timeout || ce.Refused || ce.Local {
			t.Fatalf("error %v, want a time-out", err)
		}
	})
}

func TestRollingDeadline(t *testing.T) {
	var set []time.Time
	d := deadline{set: func(at time.Time) error { set = append(set, at); return nil }}
	d.roll()
	d.setTimeout(0)
	if len(set) != 0 {
		t.Fatal("set without a time-out")
	}
	before := time.Now()
	d.setTimeout(time.Hour)
	for range 100 {
		d.roll()
	}
	if len(set) != 1 || set[0].Before(before.Add(time.Hour)) || set[0].After(time.Now().Add(time.Hour+time.Hour/8)) {
		t.Fatalf("set to %v, want once, to an hour and at most an eighth more", set)
	}
	d.at = time.Now().Add(59 * time.Minute) // less than an hour is left: it rolls
	d.roll()
	d.setTimeout(time.Minute) // too far away now
	if len(set) != 3 || time.Until(set[2]) > 68*time.Second {
		t.Fatalf("set %d times, last to %v; want 3, last to a minute", len(set), set[len(set)-1])
	}
	d.setTimeout(0)
	if len(set) != 4 || !set[3].IsZero() {
		t.Fatal("the deadline stays when there is no time-out any more")
	}
}

// A time-out that is set while a read waits holds for that read.
func TestTimeoutOfAWaitingRead(t *testing.T) {
	s := serve(t, "127.0.0.1:0", hold)
	b := onePool(t, s.addr, Timeouts{})
	c := acquire(t, b)
	defer c.Close()
	c.SetReadTimeout(0)
	result := make(chan error)
	go func() { _, err := c.R.ReadByte(); result <- err }()
	c.SetReadTimeout(20 * time.Millisecond)
	if err := <-result; !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("error %v, want a time-out", err)
	}
}

// A transfer slower than the time-out, but steady, is not cut.
func TestSteadyTransferIsNotCut(t *testing.T) {
	const gap, timeout, n = 300 * time.Millisecond, 2 * time.Second, 10 // a loaded machine may stand still for some of it
	s := serve(t, "127.0.0.1:0", func(c net.Conn) {
		tick := time.NewTicker(gap)
		defer tick.Stop()
		for range n {
			<-tick.C
			if _, err := c.Write([]byte("x")); err != nil {
				return
			}
		}
	})
	b := onePool(t, s.addr, Timeouts{FirstByte: timeout})
	c := acquire(t, b)
	defer c.Close()
	if got, err := io.ReadAll(c.R); err != nil || len(got) != n {
		t.Errorf("read %d bytes, %v; want %d in more than the time-out", len(got), err, n)
	}
}
