package proxy

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"rehydra/jvmroute"
	"rehydra/proxy/upstream"
)

// crowded is a server with little room that speaks both protocols over TLS.
type crowded struct {
	*Server
	t      *testing.T
	config *tls.Config
	goOn   chan struct{} // ends the requests of /slow, and begins the answers to /late
}

// newCrowded makes one. each is how many may come from one address, if that is limited.
func newCrowded(t *testing.T, most int, loops bool, each ...int) *crowded {
	t.Helper()
	return newCrowdedWith(t, loops, func(limits *Limits) {
		limits.Connections = most
		if len(each) > 0 {
			limits.ConnectionsEach = each[0]
		}
	})
}

// newCrowdedWith makes one with other limits.
func newCrowdedWith(t *testing.T, loops bool, change func(*Limits)) *crowded {
	t.Helper()
	w := &crowded{t: t, goOn: make(chan struct{})}
	backend := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/slow", "/late":
			select {
			case <-w.goOn:
			case <-r.Context().Done(): // a test that failed
			}
		}
		switch r.URL.Path {
		case "/large", "/late":
			_, _ = rw.Write(make([]byte, largeBody))
		}
	}))
	t.Cleanup(backend.Close)
	table, err := upstream.NewTable([]upstream.Config{{Name: "shop", Backends: []upstream.BackendConfig{
		{Route: "node1", Address: strings.TrimPrefix(backend.URL, "http://")},
	}}}, nil, zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(table.Close)
	finder, err := jvmroute.NewFinder("JSESSIONID", "jsessionid")
	if err != nil {
		t.Fatal(err)
	}
	limits := Limits{HeaderTimeout: time.Hour, BodyTimeout: time.Hour, KeepAliveTimeout: time.Hour, HeaderBytes: 4096, HeaderCount: 20}
	change(&limits)
	w.Server = NewServer(limits, &Routing{Table: table, Finder: finder}, nil, zerolog.New(zerolog.NewTestWriter(t)))
	if loops {
		OwnLoops(t, w.Server)
	}
	if err := w.SpeakHTTP2(10); err != nil {
		t.Fatal(err)
	}
	front, config := tlsFront(t)
	front.TLS.NextProtos = []string{"h2", "http/1.1"}
	w.config = config
	w.SetFront(front)
	if err := w.ListenTLS([]string{"127.0.0.1:0"}); err != nil {
		t.Fatal(err)
	}
	w.Start()
	t.Cleanup(func() {
		ended, cancel := context.WithCancel(context.Background())
		cancel()
		w.Shutdown(ended)
	})
	return w
}

// largeBody is the length of the answers to /large and /late: the kernel takes all of it.
const largeBody = 1 << 20

// guest is a client of a crowded server.
type guest struct {
	*tls.Conn
	t      *testing.T
	at     *client
	framer *http2.Framer
	r      *bufio.Reader
}

// come connects, and returns when the server has got through the handshake.
func (w *crowded) come(protocol string) *guest {
	w.t.Helper()
	return w.comeFrom("127.0.0.1", protocol)
}

// comeFrom is come for a client with another address.
func (w *crowded) comeFrom(address, protocol string) *guest {
	w.t.Helper()
	raw, err := (&net.Dialer{Timeout: patience, LocalAddr: &net.TCPAddr{IP: net.ParseIP(address)}}).DialContext(w.t.Context(), "tcp", w.Addresses()[0])
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { raw.Close() })
	raw.SetDeadline(time.Now().Add(patience))
	config := w.config.Clone()
	config.NextProtos = []string{protocol}
	g := &guest{Conn: tls.Client(raw, config), t: w.t}
	if err := g.Handshake(); err != nil {
		w.t.Fatalf("no room for one that speaks %s: %v", protocol, err)
	}
	eventually(w.t, "the server has it", func() bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		for c := range w.clients {
			if c.raw.RemoteAddr().String() == raw.LocalAddr().String() {
				g.at = c
			}
		}
		return g.at != nil
	})
	if protocol != "h2" {
		g.r = bufio.NewReader(g)
		return g
	}
	g.framer = http2.NewFramer(g, g)
	_, err = io.WriteString(g, http2.ClientPreface)
	if err == nil {
		err = g.framer.WriteSettings()
	}
	if err != nil {
		w.t.Fatal(err)
	}
	return g
}

// send begins a request by HTTP/2.
func (g *guest) send(stream uint32, path string) {
	g.t.Helper()
	g.sendTo(g.framer, stream, path)
}

// sendTo writes the beginning of a request to a framer.
func (g *guest) sendTo(framer *http2.Framer, stream uint32, path string) {
	g.t.Helper()
	var block bytes.Buffer
	encoder := hpack.NewEncoder(&block)
	for _, f := range [][2]string{{":method", "GET"}, {":scheme", "https"}, {":authority", "shop.test"}, {":path", path}} {
		_ = encoder.WriteField(hpack.HeaderField{Name: f[0], Value: f[1]}) // to memory
	}
	if err := framer.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: block.Bytes(), EndStream: true, EndHeaders: true}); err != nil {
		g.t.Fatal(err)
	}
}

// until reads frames to the first of a kind.
func (g *guest) until(kind http2.FrameType) http2.Frame {
	g.t.Helper()
	for {
		f, err := g.framer.ReadFrame()
		if err != nil {
			g.t.Fatalf("waiting for %v: %v", kind, err)
		}
		if f.Header().Type == kind {
			return f
		}
	}
}

// ask has a request answered, and returns when the server has noted its end.
func (g *guest) ask(stream uint32) {
	g.t.Helper()
	before := g.at.used.Load()
	if g.framer != nil {
		g.send(stream, "/")
		g.until(http2.FrameHeaders)
		eventually(g.t, "it is quiet", func() bool { return g.at.used.Load() != before && g.at.state.Load() == stateQuiet })
		return
	}
	if _, err := io.WriteString(g, "GET / HTTP/1.1\r\nHost: shop.test\r\n\r\n"); err != nil {
		g.t.Fatal(err)
	}
	resp, err := http.ReadResponse(g.r, nil)
	if err != nil {
		g.t.Fatal(err)
	}
	resp.Body.Close()
	eventually(g.t, "it is idle", func() bool { return g.at.used.Load() != before && g.at.state.Load() == stateIdle })
}

// age makes it so that g has waited for a while, in which its kernel acknowledged what it got.
func (g *guest) age(d time.Duration) {
	g.t.Helper()
	g.acknowledged()
	g.rest(d)
}

// rest is age for one that may still be taking an answer.
func (g *guest) rest(d time.Duration) { g.at.used.Store(time.Now().Add(-d).UnixNano()) }

// acknowledged waits until the server's kernel holds nothing for g.
func (g *guest) acknowledged() {
	g.t.Helper()
	eventually(g.t, "all that it was sent is acknowledged", func() bool {
		held, ok := upstream.Unsent(g.at.raw)
		return ok && held == 0
	})
}

// TestHTTP2MakesRoom: of the connections without a request the one that waits for longest makes room, whichever protocol it speaks; one of HTTP/2 is told so, and
// its place is free before it has gone. One with a request is left alone.
func TestHTTP2MakesRoom(t *testing.T) {
	for _, loops := range []bool{true, false} {
		t.Run(map[bool]string{true: "loops", false: "goroutines"}[loops], func(t *testing.T) {
			w := newCrowded(t, 4, loops)
			one, two, silent, busy := w.come("h2"), w.come("http/1.1"), w.come("h2"), w.come("h2")
			one.ask(1)
			two.ask(0)
			busy.send(1, "/slow")
			eventually(t, "it is busy", func() bool { return busy.at.state.Load() == stateStreams })
			silent.until(http2.FrameSettings)
			silent.until(http2.FrameSettings) // which says that its own were read
			busy.age(time.Hour)
			one.age(40 * time.Minute)
			two.age(30 * time.Minute)
			silent.age(20 * time.Minute)

			w.come("h2").ask(1)
			if f := one.until(http2.FrameGoAway).(*http2.GoAwayFrame); f.ErrCode != http2.ErrCodeNo || f.LastStreamID != 1 {
				t.Errorf("it was told %v", f)
			}
			if two.at.state.Load() != stateIdle || silent.at.state.Load() != stateQuiet {
				t.Error("a younger one was closed too")
			}
			one.send(3, "/") // which crossed the GOAWAY: no answer comes, and the end
			for {
				f, err := one.framer.ReadFrame()
				if err != nil {
					break
				}
				if f.Header().StreamID == 3 {
					t.Errorf("got %v for a request that it was told nobody would look at", f)
				}
			}

			w.come("http/1.1").ask(0)
			if _, err := two.Read(make([]byte, 1)); err == nil {
				t.Error("the next oldest one is open")
			}

			w.come("h2").ask(1)
			if f := silent.until(http2.FrameGoAway).(*http2.GoAwayFrame); f.ErrCode != http2.ErrCodeNo || f.LastStreamID != 0 {
				t.Errorf("the one without a request was told %v", f)
			}

			close(w.goOn)
			busy.until(http2.FrameHeaders)
			if n := w.counts.reclaimed.Load(); n != 3 {
				t.Errorf("%d made room, wanted 3", n)
			}
			eventually(t, "those that were told have gone", func() bool { return w.Connections() == 4 && len(w.crowd.slots) == 4 })
			w.mu.Lock()
			defer w.mu.Unlock()
			if w.crowd.leaving != 0 {
				t.Errorf("%d are still said to leave", w.crowd.leaving)
			}
		})
	}
}

// TestHTTP2ThatNeverSpoke: a client that chose HTTP/2 and says nothing makes room too, at once.
func TestHTTP2ThatNeverSpoke(t *testing.T) {
	w := newCrowded(t, 1, true)
	raw, err := (&net.Dialer{Timeout: patience}).DialContext(t.Context(), "tcp", w.Addresses()[0])
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	config := w.config.Clone()
	config.NextProtos = []string{"h2"}
	if err := tls.Client(raw, config).Handshake(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "HTTP/2 is served", func() bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		for c := range w.clients {
			c.used.Store(1)
			return c.state.Load() == stateQuiet
		}
		return false
	})
	begun := time.Now()
	w.come("h2").ask(1)
	if took := time.Since(begun); took > 5*time.Second { // x/net waits for a preface for ten
		t.Errorf("it took %v", took)
	}
	eventually(t, "it has gone", func() bool { return w.Connections() == 1 })
}

// TestLeavingIsBounded: where many were told to go and have not, others are told still, and keep their places until they have gone.
func TestLeavingIsBounded(t *testing.T) {
	w := newCrowded(t, 2, true, 2)
	one, two := w.comeFrom("127.0.0.2", "h2"), w.comeFrom("127.0.0.2", "h2")
	one.ask(1)
	two.ask(1)
	one.age(2 * time.Hour)
	two.age(time.Hour)
	leaving := func(add int) int {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.crowd.leaving += add
		return w.crowd.leaving
	}
	leaving(mostLeaving)
	begun := time.Now()
	w.come("h2").ask(1)
	if took := time.Since(begun); took < time.Second/2 { // x/net closes one that was told after a second
		t.Errorf("its place was another's after %v", took)
	}
	one.until(http2.FrameGoAway)
	if two.at.state.Load() != stateQuiet {
		t.Error("two were told for one")
	}
	eventually(t, "it has gone", func() bool { return w.Connections() == 2 && len(w.crowd.slots) == 2 })
	if n := leaving(-mostLeaving); n != 0 {
		t.Errorf("%d leave, wanted none", n)
	}
	if !w.reclaim() || two.at.state.Load() != stateLeaving {
		t.Error("it was not told to go when others had gone")
	}
	if n, m := len(w.crowd.slots), leaving(0); n != 1 || m != 1 {
		t.Errorf("%d places are taken and %d leave, wanted 1 and 1", n, m)
	}
	if w.reclaim() {
		t.Error("it was told so twice")
	}
	eventually(t, "it has gone", func() bool { return w.Connections() == 1 && leaving(0) == 0 })
	w.crowd.mu.Lock()
	defer w.crowd.mu.Unlock()
	if len(w.crowd.from) != 1 || w.crowd.from[two.at.peer] != 0 {
		t.Errorf("connections by address: %v, wanted none of those that were told", w.crowd.from)
	}
}

// TestSlowReaderKeepsItsAnswer: a connection without a request whose client is still taking the last answer makes no room, however long that request is over.
func TestSlowReaderKeepsItsAnswer(t *testing.T) {
	w := newCrowded(t, 2, true)
	slow, idle := w.come("h2"), w.come("h2")
	idle.ask(1)
	slow.askLarge(1)
	slow.rest(2 * time.Hour)
	idle.age(time.Hour)
	w.come("h2").ask(1)
	slow.rest(2 * time.Hour)
	if w.reclaim() {
		t.Error("another one was told to go")
	}

	slow.takeLarge(2 * time.Second)
	idle.until(http2.FrameGoAway)
	slow.age(time.Hour)
	if !w.reclaim() {
		t.Error("it makes no room when it has the answer")
	}
	slow.until(http2.FrameGoAway)
}

// TestDescriptorsAreShort: where descriptors are missing, who can be closed at once goes first, and of those that must be told one after the other.
func TestDescriptorsAreShort(t *testing.T) {
	w := newCrowded(t, 10, true)
	one, two, three := w.come("h2"), w.come("h2"), w.come("http/1.1")
	one.ask(1)
	two.ask(1)
	three.ask(0)
	one.age(3 * time.Hour)
	two.age(2 * time.Hour)
	three.age(time.Hour)
	fail := func() (ended bool) {
		before := w.counts.reclaimed.Load()
		if w.acceptFailed(w.listeners[0], syscall.EMFILE) {
			t.Fatal("nobody accepts any more")
		}
		return w.counts.reclaimed.Load() > before
	}
	if !fail() || three.at.state.Load() != stateClosed {
		t.Error("the one of HTTP/1 is open")
	}
	if !fail() || one.at.state.Load() != stateLeaving {
		t.Error("the oldest one of HTTP/2 was not told to go")
	}
	if fail() {
		t.Error("a second one was told while the first was about to go")
	}
	one.age(leavingTime) // it has a request that lasts, say
	if !fail() || two.at.state.Load() != stateLeaving {
		t.Error("nobody else was told when the first one stayed")
	}
}

// TestWhoIsToldMayComeAgain: a connection that was told to go does not count for its client any more, who comes again over another.
func TestWhoIsToldMayComeAgain(t *testing.T) {
	w := newCrowded(t, 2, true, 1)
	one, two := w.comeFrom("127.0.0.1", "h2"), w.comeFrom("127.0.0.2", "h2")
	one.ask(1)
	two.ask(1)
	one.age(2 * time.Hour)
	two.age(time.Hour)
	w.comeFrom("127.0.0.3", "h2").ask(1)
	one.until(http2.FrameGoAway)
	again := w.comeFrom("127.0.0.1", "h2")
	again.ask(1)
	two.until(http2.FrameGoAway)
	eventually(t, "those that were told have gone", func() bool { return w.Connections() == 2 })
	w.crowd.mu.Lock()
	defer w.crowd.mu.Unlock()
	if n := w.crowd.from[again.at.peer]; n != 1 || len(w.crowd.from) != 2 {
		t.Errorf("connections by address: %v, wanted one of each that is there", w.crowd.from)
	}
}
