package sessiontier

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// listed is one key that a memcached server holds, as it lists them.
type listed struct {
	key  string
	cas  uint64        // the id of the value that was there when it was listed
	left time.Duration // until it expires, by the server's own clock; 0: it does not
	at   time.Time     // when that was
}

// life is how long the value is still to be kept, from now on; ended: it expired since.
func (l *listed) life(now time.Time) (life time.Duration, ended bool) {
	if l.left == 0 {
		return 0, false
	}
	life = l.left - now.Sub(l.at)
	return life, life <= 0
}

var (
	errNoList  = errors.New("it does not list its keys (memcached before 1.4.31, or with its crawler or its text protocol switched off)")
	errCrawler = errors.New("its crawler is busy")
	errList    = errors.New("it lists its keys in a way that cannot be read")
)

// The limits of what is read of a listing. A line holds a key of at most 250 bytes, three each when encoded, and a few numbers.
const (
	maxListLine = 2048
	maxListTime = 15 * time.Minute
	listPause   = 10 * time.Second // the longest between two reads
)

// lister reads the keys of a memcached server over a connection of its own, in the text protocol, which alone can list them
// ("lru_crawler metadump" in memcached's protocol.txt). Nothing that the server sends makes it keep more than a line.
type lister struct {
	conn  net.Conn
	lines *bufio.Reader
	end   time.Time
	now   int64 // the server's clock, in seconds since 1970
	at    time.Time
	items int // the server held when the listing began
}

// openLister connects and asks how many items there are, and what time it is at the server. It must be closed.
func openLister(ctx context.Context, address string, timeout time.Duration) (*lister, error) {
	at := placeOf(address)
	dialer := net.Dialer{Timeout: timeout}
	conn, err := dialer.DialContext(ctx, at.network, at.address)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errDown, err)
	}
	l := newLister(conn)
	if err := l.readStats(); err != nil {
		l.close()
		return nil, err
	}
	return l, nil
}

func newLister(conn net.Conn) *lister {
	return &lister{conn: conn, lines: bufio.NewReaderSize(conn, maxListLine), end: time.Now().Add(maxListTime)}
}

func (l *lister) close() { _ = l.conn.Close() } // nothing is lost when it fails

func (l *lister) send(command string) error {
	if err := l.conn.SetWriteDeadline(time.Now().Add(listPause)); err != nil {
		return fmt.Errorf("%w: %w", errDown, err)
	}
	if _, err := io.WriteString(l.conn, command+"\r\n"); err != nil {
		return fmt.Errorf("%w: %w", errDown, err)
	}
	return nil
}

// line returns the next line without its end; it is valid until the next call.
func (l *lister) line() ([]byte, error) {
	deadline := time.Now().Add(listPause)
	if deadline.After(l.end) {
		deadline = l.end
	}
	if err := l.conn.SetReadDeadline(deadline); err != nil {
		return nil, fmt.Errorf("%w: %w", errDown, err)
	}
	line, err := l.lines.ReadSlice('\n')
	switch {
	case errors.Is(err, bufio.ErrBufferFull):
		return nil, fmt.Errorf("%w: a line of more than %d bytes", errList, maxListLine)
	case err != nil:
		return nil, fmt.Errorf("%w: %w", errDown, err)
	}
	return bytes.TrimRight(line, "\r\n"), nil
}

// maxStats is how many lines of "stats" are read; memcached 1.6 has about 80.
const maxStats = 1000

func (l *lister) readStats() error {
	// With blanks, since a server of the binary protocol only waits for 24 bytes before it hangs up.
	if err := l.send("stats" + strings.Repeat(" ", 24)); err != nil {
		return err
	}
	for n := range maxStats {
		line, err := l.line()
		if n == 0 && isBroken(err) {
			return fmt.Errorf("%w: it hangs up", errNoList) // it takes the binary protocol only, in which it answers
		}
		if err != nil {
			return err
		}
		if string(line) == "END" {
			break
		}
		word := bytes.Fields(line)
		if len(word) < 2 || string(word[0]) != "STAT" {
			return fmt.Errorf("%w: %q", errNoList, clip(line))
		}
		if len(word) != 3 {
			continue
		}
		switch string(word[1]) {
		case "time":
			l.now, err = strconv.ParseInt(string(word[2]), 10, 64)
			l.at = time.Now()
		case "curr_items":
			l.items, err = strconv.Atoi(string(word[2]))
		}
		if err != nil {
			return fmt.Errorf("%w: %q", errList, clip(line))
		}
	}
	if l.now <= 0 || l.items < 0 {
		return fmt.Errorf("%w: no time of its own", errList)
	}
	return nil
}

// each lists the keys that begin with prefix and that keep wants, until the listing ends or ctx does. What keep gets is in its
// encoded form, and valid during the call.
func (l *lister) each(ctx context.Context, prefix string, keep func(encoded []byte) bool, take func(listed)) error {
	stop := context.AfterFunc(ctx, l.close)
	defer stop()
	encoded := []byte("key=" + url.QueryEscape(prefix))
	first, err := l.begin()
	for line := first; err == nil; line, err = l.line() {
		if string(line) == "END" {
			return nil
		}
		if !bytes.HasPrefix(line, []byte("key=")) {
			return fmt.Errorf("%w: %q", errList, clip(line))
		}
		key, _, _ := bytes.Cut(line[len("key="):], []byte(" "))
		if !bytes.HasPrefix(line, encoded) || !keep(key) {
			continue
		}
		item, err := l.parse(line)
		if err != nil {
			return err
		}
		take(item)
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// begin asks for the list. A walk of the hash table shows each key once; servers that cannot (before 1.5.17) walk their lists of use,
// where a key that moves meanwhile may be missed.
func (l *lister) begin() (first []byte, err error) {
	for _, from := range [...]string{"hash", "all"} {
		if err := l.send("lru_crawler metadump " + from); err != nil {
			return nil, err
		}
		if first, err = l.line(); err != nil {
			return nil, err
		}
		switch {
		case bytes.HasPrefix(first, []byte("BADCLASS")) || bytes.HasPrefix(first, []byte("CLIENT_ERROR invalid")):
			continue
		case bytes.HasPrefix(first, []byte("BUSY")):
			return nil, errCrawler
		case string(first) == "END" || bytes.HasPrefix(first, []byte("key=")):
			return first, nil
		}
		break
	}
	return nil, fmt.Errorf("%w: %q", errNoList, clip(first))
}

// parse reads a line as `key=r1%3A... exp=1700000000 la=... cas=12 fetch=no cls=1 size=71`.
func (l *lister) parse(line []byte) (listed, error) {
	item := listed{at: l.at}
	var expires int64
	seen := 0
	for word := range bytes.FieldsSeq(line) {
		name, value, _ := bytes.Cut(word, []byte("="))
		var err error
		switch string(name) {
		case "key":
			item.key, err = url.PathUnescape(string(value))
		case "exp":
			expires, err = strconv.ParseInt(string(value), 10, 64)
		case "cas":
			item.cas, err = strconv.ParseUint(string(value), 10, 64)
		default:
			continue
		}
		if err != nil {
			return listed{}, fmt.Errorf("%w: %q", errList, clip(line))
		}
		seen++
	}
	if seen != 3 || len(item.key) > maxKeyLength {
		return listed{}, fmt.Errorf("%w: %q", errList, clip(line))
	}
	if expires > 0 { // -1: it does not expire
		item.left = max(time.Duration(min(expires-l.now, maxExpiry))*time.Second, 1)
	}
	return item, nil
}

// maxKeyLength is memcached's own limit; maxExpiry is a century, in seconds.
const (
	maxKeyLength = 250
	maxExpiry    = 100 * 365 * 24 * 3600
)

// clip is the beginning of a line, as it may stand in a log: keys end with session ids.
func clip(line []byte) []byte { return line[:min(len(line), 20)] }
