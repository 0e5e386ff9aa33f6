package sessiontier

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"
)

const goodStats = "STAT pid 1\r\nSTAT time 1700000000\r\nSTAT curr_items 3\r\nSTAT version 1.6.18 of today\r\nEND\r\n"

// hangUp is the answer of a server that hangs up.
const hangUp = ""

// asSocket is a pipe of which, as of a socket, deadlines may be set when the other side has hung up: the next read tells.
type asSocket struct{ net.Conn }

func (a asSocket) SetReadDeadline(at time.Time) error {
	if err := a.Conn.SetReadDeadline(at); err != nil && !errors.Is(err, io.ErrClosedPipe) {
		return err
	}
	return nil
}

// listFrom lists the keys of a server that answers "stats" and then "lru_crawler metadump hash" and "all" with the given texts. It hangs up when there is no
// command in patience: where the client waits for the rest of an answer while the server waits for a command.
func listFrom(t testing.TB, patience time.Duration, stats, hash, all string) ([]listed, error) {
	t.Helper()
	near, far := net.Pipe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer far.Close()
		request := make([]byte, 4096)
		for _, answer := range []string{stats, hash, all} {
			if err := far.SetReadDeadline(time.Now().Add(patience)); err != nil {
				return
			}
			if _, err := far.Read(request); err != nil || answer == hangUp {
				return
			}
			if cut, ok := strings.CutSuffix(answer, "<cut>"); ok {
				_, _ = io.WriteString(far, cut) // the client may have had enough
				return
			}
			if _, err := io.WriteString(far, answer); err != nil {
				return
			}
		}
		_, _ = far.Read(request) // until the client hangs up
	}()
	l := newLister(asSocket{near})
	defer func() { l.close(); <-done }()
	if err := l.readStats(); err != nil {
		return nil, err
	}
	var items []listed
	err := l.each(t.Context(), storeKeyPrefix, func([]byte) bool { return true }, func(i listed) { items = append(items, i) })
	return items, err
}

func TestListing(t *testing.T) {
	const ours = "key=r1%3Aabc%3AX%2F1 exp=1700000100 la=1699999999 cas=12 fetch=no cls=1 size=71\n"
	const old = "CLIENT_ERROR invalid class id\r\n"
	for _, c := range []struct {
		name             string
		stats, hash, all string
		want             []string // keys
		err              error    // nil: none
	}{
		{"empty", goodStats, "END\r\n", "", nil, nil},
		{"ours and others", goodStats, "key=q exp=-1 la=1 cas=2 fetch=no cls=1 size=61\n" + ours + "key=l1%3Ax%3AY exp=-1 cas=1\nEND\r\n", "", []string{"r1:abc:X/1"}, nil},
		{"no hash", goodStats, old, ours + "END\r\n", []string{"r1:abc:X/1"}, nil},
		{"no hash, as 1.6 says it", goodStats, "BADCLASS invalid class id\r\n", ours + "END\r\n", []string{"r1:abc:X/1"}, nil},
		{"busy", goodStats, "BUSY currently processing crawler request\r\n", "", nil, errCrawler},
		{"no crawler", goodStats, "CLIENT_ERROR lru crawler disabled\r\n", "", nil, errNoList},
		{"no such command", goodStats, "ERROR\r\n", "", nil, errNoList},
		{"hangs up", hangUp, "", "", nil, errNoList},
		{"another protocol", "HTTP/1.1 400 Bad Request\r\n\r\n", "", "", nil, errNoList},
		{"no time", "STAT pid 1\r\nEND\r\n", "", "", nil, errList},
		{"time that is none", "STAT time now\r\nEND\r\n", "", "", nil, errList},
		{"endless statistics", strings.Repeat("STAT a 1\r\n", 1001), "", "", nil, errList},
		{"cut", goodStats, ours + ours[:20] + "<cut>", "", nil, errDown},
		{"a line without end", goodStats, "key=" + strings.Repeat("x", 3000), "", nil, errList},
		{"a bad escape", goodStats, "key=r1%3A%zz exp=-1 cas=1\nEND\r\n", "", nil, errList},
		{"no id", goodStats, "key=r1%3Aabc exp=-1\nEND\r\n", "", nil, errList},
		{"an id twice", goodStats, "key=r1%3Aabc exp=-1 cas=1 cas=2\nEND\r\n", "", nil, errList},
		{"a key that is too long", goodStats, "key=r1%3A" + strings.Repeat("x", 250) + " exp=-1 cas=1\nEND\r\n", "", nil, errList},
		{"garbage between", goodStats, ours + "garbage\r\nEND\r\n", "", nil, errList},
	} {
		items, err := listFrom(t, time.Minute, c.stats, c.hash, c.all)
		if !errors.Is(err, c.err) || c.err == nil && err != nil {
			t.Errorf("%s: error %v, want %v", c.name, err, c.err)
		}
		var keys []string
		for _, i := range items {
			keys = append(keys, i.key)
		}
		if c.err == nil && !slices.Equal(keys, c.want) {
			t.Errorf("%s: keys %q, want %q", c.name, keys, c.want)
		}
	}
}

func TestListedLife(t *testing.T) {
	for _, c := range []struct {
		exp   string
		left  time.Duration
		ended bool
	}{{"-1", 0, false}, {"1700000100", 70 * time.Second, false}, {"1700000030", 0, true}, {"1699999999", 0, true}, {"9000000000000", maxExpiry*time.Second - 30*time.Second, false}} {
		items, err := listFrom(t, time.Minute, goodStats, "key=r1%3Aabc exp="+c.exp+" cas=1\nEND\r\n", "")
		if err != nil || len(items) != 1 {
			t.Fatalf("%s: %v, %v", c.exp, items, err)
		}
		life, ended := items[0].life(items[0].at.Add(30 * time.Second))
		if ended != c.ended || !ended && life != c.left {
			t.Errorf("exp=%s: 30 s later %v is left, ended %t; want %v, %t", c.exp, life, ended, c.left, c.ended)
		}
	}
}

// TestListingEndsWithItsContext: a server that goes on for ever is left when the tier closes.
func TestListingEndsWithItsContext(t *testing.T) {
	near, far := net.Pipe()
	defer far.Close()
	ctx, cancel := context.WithCancel(t.Context())
	l := newLister(near)
	done := make(chan error, 1)
	go func() {
		done <- l.each(ctx, storeKeyPrefix, func([]byte) bool { return true }, func(listed) {})
	}()
	if _, err := far.Read(make([]byte, 100)); err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("the listing ended with %v, want %v", err, context.Canceled)
	}
}

func FuzzListing(f *testing.F) {
	f.Add([]byte(goodStats), []byte("key=r1%3Aabc%3AX exp=-1 la=1 cas=2 fetch=no cls=1 size=61\nEND\r\n"))
	f.Add([]byte("STAT time 1\r\nEND\r\n"), []byte("BUSY\r\n"))
	f.Fuzz(func(t *testing.T, stats, list []byte) {
		items, err := listFrom(t, 50*time.Millisecond, string(stats), string(list), "END\r\n")
		if err == nil && len(items) > bytes.Count(list, []byte("\n")) {
			t.Errorf("%d keys of %d lines", len(items), bytes.Count(list, []byte("\n")))
		}
		for _, i := range items {
			if !strings.HasPrefix(i.key, storeKeyPrefix) || len(i.key) > maxKeyLength || i.left < 0 {
				t.Errorf("listed %+v", i)
			}
		}
	})
}

// BenchmarkListing reads a line of a listing.
func BenchmarkListing(b *testing.B) {
	line := []byte("key=r1%3AAAAAAAAAAAAAAAAAAAAAAA%3A0123456789ABCDEF0123456789ABCDEF exp=1700000100 la=1699999999 cas=12 fetch=no cls=1 size=71")
	l := &lister{now: 1_700_000_000}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := l.parse(line); err != nil {
			b.Fatal(err)
		}
	}
}

// TestHealSlices: a node with more keys than are kept at once is walked in several listings, and no key is left out.
func TestHealSlices(t *testing.T) {
	servers := startServers(t, 2)
	p := openTier(t, servers, nil)
	const sessions = 300
	for i := range sessions {
		p.mustSave(t, key(fmt.Sprint("s", i)), rec("1.1", "node1", "a"))
	}
	servers[0].kill()
	servers[0].start()
	fresh := openTier(t, servers, func(c *Config) { c.healSlice = 40 })
	fresh.healer.rate = 100_000
	w := &walk{t: fresh.Tier, begun: time.Now(), next: time.Now()}
	if err := w.source(t.Context(), 1); err != nil || w.failed.Load() {
		t.Fatalf("walk: %v, failed %t", err, w.failed.Load())
	}
	if seen, copied := w.seen.Load(), w.copied.Load(); seen != sessions || copied != sessions {
		t.Errorf("%d sessions seen and %d copied, want %d", seen, copied, sessions)
	}
}
