package nonsticky

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"rehydra/e2e/harness"
)

func (c *cluster) parallel(t *testing.T) {
	for _, lock := range []string{"all", "auto"} {
		t.Run(lock, func(t *testing.T) {
			p := c.proxy(t, []string{`lock = "` + lock + `"`, `lock_timeout = "60s"`, `lock_expiry = "5m"`})
			parallelAdds(t, p, p)
		})
	}
}

func (c *cluster) parallelProxies(t *testing.T) {
	lock := []string{`lock = "all"`, `lock_timeout = "60s"`, `lock_expiry = "5m"`}
	parallelAdds(t, c.proxy(t, lock), c.proxy(t, lock))
}

// parallelAdds adds many values at once, by two proxies; each must be there in the end.
func parallelAdds(t *testing.T, p1, p2 *harness.Proxy) {
	t.Helper()
	u := begin(t, p1, "v0")
	u.add(p1, "w0")
	for range 2 { // what changes at times does not count as reading when it only reads
		u.want(p1, http.MethodPost, writer+"?op=show")
	}
	values := numbered("v", 16)
	var answers []func() page
	for i, v := range values {
		p := p1
		if i%2 == 1 {
			p = p2
		}
		answers = append(answers, u.later(p, http.MethodPost, addTarget(v)+"&ms=20"))
	}
	for i, wait := range answers {
		if got := wait(); got.status != http.StatusOK {
			t.Errorf("%s: status %d\n%s", values[i], got.status, got.text)
		}
	}
	u.wantList(u.read(p1), true, append(values, "v0", "w0")...)
	u.wantList(u.read(p2), true, append(values, "v0", "w0")...)
	for _, p := range []*harness.Proxy{p1, p2} {
		for _, name := range []string{"fenced", "conflicts", "lost"} {
			wantCounter(t, p, name, 0)
		}
	}
}

// locked are the lines of [session] for a kind of lock that nobody loses and everybody waits for.
func locked(lock ...string) []string {
	return append([]string{`lock_timeout = "60s"`, `lock_expiry = "5m"`}, lock...)
}

// readerUnderWriter lets requests that do not lock take the session to and fro while one that does changes it: the change is
// not lost, and nobody is refused.
func (c *cluster) readerUnderWriter(t *testing.T) {
	p := c.proxy(t, locked(`lock = "pattern"`, `lock_pattern = '^`+writer+`$'`))
	u := begin(t, p, "a")
	values := []string{"a"}
	for _, v := range numbered("v", 5) {
		added := u.hold(p, addTarget(v))
		c.waitLocked(t, u.base())
		for range 6 {
			u.wantList(u.read(p), false, values...)
		}
		values = append(values, v)
		if got := added.wait(); got.status != http.StatusOK {
			t.Fatalf("%s: status %d\n%s", v, got.status, got.text)
		}
		for range 3 {
			u.wantList(u.read(p), false, values...)
		}
	}
	wantCounter(t, p, "fenced", 0)
	wantCounter(t, p, "conflicts", 0)
}

func (c *cluster) readersDoNotBlock(t *testing.T) {
	p := c.proxy(t, locked(`lock = "auto"`))
	u := begin(t, p, "a")
	u.read(p) // teaches the proxy that this page only reads
	added := u.hold(p, addTarget("b"))
	c.waitLocked(t, u.base())
	u.wantList(u.read(p), false, "a") // is answered beside the other
	// A page that nobody knows waits.
	waits := u.later(p, http.MethodGet, writer)
	if got := added.wait(); got.status != http.StatusOK {
		t.Errorf("status %d", got.status)
	}
	u.wantList(waits(), false, "a", "b")
	if got := u.want(p, http.MethodGet, reader+"?op=append&k=list&v=c"); got.line("value list") != "a,b,c" {
		t.Errorf("%s", got.text)
	}
	// What was seen to change locks from then on.
	added = u.hold(p, addTarget("d"))
	c.waitLocked(t, u.base())
	waits = u.later(p, http.MethodGet, reader)
	added.wait()
	u.wantList(waits(), false, "a", "b", "c", "d")
}

func (c *cluster) pattern(t *testing.T) {
	p := c.proxy(t, locked(`lock = "pattern"`, `lock_pattern = '^`+writer+`$'`))
	u := begin(t, p, "a")
	added := u.hold(p, addTarget("b"))
	c.waitLocked(t, u.base())
	u.wantList(u.read(p), false, "a") // does not match, and is answered beside the other
	waits := u.later(p, http.MethodPost, addTarget("c"))
	if got := added.wait(); got.status != http.StatusOK {
		t.Errorf("status %d", got.status)
	}
	u.wantList(waits(), false, "a", "b", "c")
}

func (c *cluster) endUnlocks(t *testing.T) {
	p := c.proxy(t, locked(`lock = "all"`))
	u := begin(t, p, "a")
	ending := u.hold(p, writer+"?op=invalidate")
	c.waitLocked(t, u.base())
	base := u.base()
	waits := u.later(p, http.MethodGet, reader) // finds the session ended, long before the lock expires
	if got := ending.wait(); got.status != http.StatusOK {
		t.Errorf("status %d of the end", got.status)
	}
	if got := waits(); got.status != http.StatusOK || got.line("value list") != "" {
		t.Errorf("after the end: status %d\n%s", got.status, got.text)
	}
	harness.Eventually(t, "no lock is left", func() bool { return len(keys(t, c.mem, "l1:", base)) == 0 })
}

func (c *cluster) abortUnlocks(t *testing.T) {
	p := c.proxy(t, locked(`lock = "all"`))
	u := begin(t, p, "a")
	ctx, cancel := context.WithCancel(t.Context())
	gone := make(chan error, 1)
	go func() {
		_, err := u.do(ctx, p, http.MethodPost, addTarget("b")+"&ms=12000")
		gone <- err
	}()
	c.waitLocked(t, u.base())
	cancel()
	if err := <-gone; err == nil {
		t.Error("the request was answered before the client went")
	}
	// The application goes on, and the lock is kept until what it did is stored.
	u.wantList(u.add(p, "c"), false, "a", "b", "c")
	if left := keys(t, c.mem, "l1:", u.base()); len(left) != 0 {
		t.Errorf("locks are left: %q", left)
	}
}

func (c *cluster) deadHolder(t *testing.T) {
	lock := []string{`lock = "all"`, `lock_timeout = "60s"`, `lock_expiry = "12s"`}
	p1, p2 := c.proxy(t, lock), c.proxy(t, lock)
	u := begin(t, p1, "a")
	body, feed := io.Pipe() // never ends
	defer feed.Close()
	cut := make(chan error, 1)
	go func() { _, _ = feed.Write([]byte("x")) }() // the head goes out with it
	go func() {
		_, err := u.doWith(context.WithoutCancel(t.Context()), p1, http.MethodPost, addTarget("b"), body)
		cut <- err
	}()
	c.waitLocked(t, u.base())
	p1.Kill(t)
	feed.CloseWithError(io.ErrUnexpectedEOF) // a client that sends waits for that, too
	if err := <-cut; err == nil {
		t.Error("the request was answered")
	}
	got := u.add(p2, "c") // waits until the lock of the dead proxy is over
	if list := got.line("value list"); !strings.HasPrefix(list, "a,") || !strings.HasSuffix(list, "c") {
		t.Errorf("the list is %q", list)
	}
}

func (c *cluster) noLockInTime(t *testing.T) {
	const patience = 1500 * time.Millisecond
	refuse := c.proxy(t, []string{`lock = "all"`, `lock_timeout = "1500ms"`, `lock_expiry = "5m"`})
	goOn := c.proxy(t, []string{`lock = "all"`, `lock_timeout = "1500ms"`, `lock_expiry = "5m"`, `lock_failure = "go-on"`})
	u := begin(t, refuse, "a")
	added := u.hold(refuse, addTarget("b"))
	c.waitLocked(t, u.base())
	got, err := u.do(t.Context(), refuse, http.MethodGet, reader)
	if err != nil {
		t.Fatal(err)
	}
	if got.status != http.StatusServiceUnavailable || got.retryAfter == "" {
		t.Errorf("status %d with Retry-After %q, wanted 503 with one", got.status, got.retryAfter)
	}
	if got.took < patience {
		t.Errorf("the lock was waited for %v only", got.took)
	}
	if got := u.read(goOn); got.took < patience { // is answered, beside the holder
		t.Errorf("a request that goes on without the lock took %v, wanted %v at least", got.took, patience)
	}
	if got := added.wait(); got.status != http.StatusOK {
		t.Errorf("status %d of the holder", got.status)
	}
	u.wantList(u.read(refuse), false, "a", "b")
}

// lockLost lets a request take longer than its lock lives. Another one gets the lock, and changes the session: what the first
// did is refused, since it would undo that.
func (c *cluster) lockLost(t *testing.T) {
	p := c.proxy(t, []string{`lock = "all"`, `lock_timeout = "60s"`, `lock_expiry = "1s"`})
	u := begin(t, p, "a")
	late := u.hold(p, addTarget("late"))
	c.waitHeld(t, late)
	var values []string
	for len(values) < 2 { // at least one of two is made at the other node
		values = append(values, numbered("v", len(values)+1)[len(values)])
		u.add(p, values[len(values)-1])
	}
	got := late.wait()
	list := u.read(p).line("value list")
	switch got.status {
	case http.StatusServiceUnavailable:
		if list != "a,v1,v2" {
			t.Errorf("the list is %q after the late change was refused", list)
		}
		wantCounter(t, p, "fenced", 1)
	case http.StatusOK: // the session came back to the node of the late request, before it used the session
		if list != "a,v1,v2,late" {
			t.Errorf("the list is %q after the late change was made", list)
		}
	default:
		t.Errorf("status %d of the late request\n%s", got.status, got.text)
	}
	wantCounter(t, p, "conflicts", 0)
}

// conflicts changes a session at two nodes at once, without a lock: the last write wins.
func (c *cluster) conflicts(t *testing.T) {
	p1, p2 := c.proxy(t, []string{`lock = "none"`}, "node1"), c.proxy(t, []string{`lock = "none"`}, "node2")
	u := begin(t, p1, "a")
	u.read(p2)
	u.read(p1) // p2 knows the session, p1's node has it
	first := u.hold(p1, addTarget("one"))
	c.waitHeld(t, first)
	second := u.hold(p2, addTarget("two"))
	c.waitHeld(t, second)
	for _, h := range []held{first, second} {
		if got := h.wait(); got.status != http.StatusOK {
			t.Errorf("status %d, wanted 200: the last write wins\n%s", got.status, got.text)
		}
	}
	u.wantList(u.read(p1), false, "a", "two")
	if n := counter(t, p1, "conflicts") + counter(t, p2, "conflicts"); n != 1 {
		t.Errorf("%v conflicts counted, wanted 1", n)
	}
	wantCounter(t, p1, "fenced", 0)
	wantCounter(t, p2, "fenced", 0)
}
