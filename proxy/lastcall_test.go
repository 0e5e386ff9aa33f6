package proxy

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"rehydra/proxy/upstream"
)

// newFull starts a server that has room for one client, by event loops or by goroutines.
func newFull(t *testing.T, kind Kind, front *Front, loops bool, answer http.HandlerFunc) *rig {
	t.Helper()
	return newFullOf(t, 1, kind, front, loops, answer)
}

// newFullOf is newFull with room for some.
func newFullOf(t *testing.T, room int, kind Kind, front *Front, loops bool, answer http.HandlerFunc) *rig {
	t.Helper()
	return rigSpec{kind: kind, front: front, idle: patience, answer: answer, room: room, loops: loops, http2: true}.start(t)
}

// listener is the server's.
func (r *rig) listener() *listener {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.listeners[0]
}

// TestLastCall: who waits to be accepted when the server shuts down is served, with TLS and without, whoever accepts; the address is free before that.
func TestLastCall(t *testing.T) {
	front, config := tlsFront(t)
	for name, kind := range map[string]Kind{"plain": Plain, "TLS": TLS} {
		for way, loops := range map[string]bool{"loops": true, "goroutines": false} {
			t.Run(name+", "+way, func(t *testing.T) {
				came, release := make(chan struct{}), make(chan struct{})
				s := newFull(t, kind, front, loops, func(w http.ResponseWriter, r *http.Request) {
					if r.URL.Path == "/slow" {
						close(came)
						<-release
					}
				})
				answers := make(chan *http.Response)
				client := func(target string) {
					conn := s.dial("127.0.0.1")
					if kind == TLS {
						conn = tls.Client(conn, config)
					}
					go func() { answers <- say(t, conn, target) }()
				}
				client("/slow")
				<-came
				const waiting = 9
				for range waiting {
					client("/")
				}
				address := s.Addresses()[0]
				over := make(chan int)
				go func() { over <- s.Shutdown(t.Context()) }()
				eventually(t, "the address is free", func() bool {
					ln, err := net.Listen("tcp", address)
					if err == nil {
						ln.Close()
					}
					return err == nil
				})
				close(release)
				for range waiting + 1 {
					if resp := <-answers; resp != nil && (resp.StatusCode != http.StatusOK || !resp.Close) {
						t.Errorf("%s, close: %v; wanted 200 and Connection: close", resp.Status, resp.Close)
					}
				}
				if cut := <-over; cut != 0 {
					t.Errorf("%d were cut", cut)
				}
			})
		}
	}
}

// TestLastCallWithHTTP2: who is accepted by a drain speaks HTTP/1.1, unless it cannot: by HTTP/2 it would be sent away before its request.
func TestLastCallWithHTTP2(t *testing.T) {
	for way, loops := range map[string]bool{"loops": true, "goroutines": false} {
		t.Run(way, func(t *testing.T) {
			front, config := tlsFront(t)
			front.TLS.NextProtos = []string{"h2", "http/1.1"}
			came, release := make(chan struct{}), make(chan struct{})
			s := newFull(t, TLS, front, loops, func(_ http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/slow" {
					close(came)
					<-release
				}
			})
			type outcome struct {
				resp     *http.Response
				protocol string
			}
			answers := make(chan outcome)
			client := func(target string, offers ...string) {
				config := config.Clone()
				config.NextProtos = offers
				conn := tls.Client(s.dial("127.0.0.1"), config)
				go func() {
					resp := say(t, conn, target)
					answers <- outcome{resp, conn.ConnectionState().NegotiatedProtocol}
				}()
			}
			client("/slow", "http/1.1")
			<-came
			const waiting = 5
			for range waiting {
				client("/", "h2", "http/1.1")
			}
			ln := s.listener()
			over := make(chan int)
			go func() { over <- s.Shutdown(t.Context()) }()
			<-ln.retired
			close(release)
			for range waiting + 1 {
				if got := <-answers; got.resp == nil || got.resp.StatusCode != http.StatusOK || got.protocol != "http/1.1" {
					t.Errorf("%v by %q, wanted 200 by HTTP/1.1", got.resp, got.protocol)
				}
			}
			if cut := <-over; cut != 0 {
				t.Errorf("%d were cut", cut)
			}
		})
	}
}

// visited is a listener at which a client comes in just before it lets nobody in any more.
type visited struct {
	*net.TCPListener
	visit func()
}

// Refuse is refuser's.
func (v *visited) Refuse(bool) (bool, error) { v.visit(); return true, nil }

// TestLastCallAfterRefuse: the last look is after nobody is let in any more.
func TestLastCallAfterRefuse(t *testing.T) {
	s := newFull(t, Plain, &Front{}, true, func(http.ResponseWriter, *http.Request) {})
	answer := make(chan *http.Response, 1)
	full := make(chan struct{})
	s.mu.Lock()
	ln := s.listeners[0]
	ln.Listener = &visited{ln.Listener.(*net.TCPListener), func() {
		conn := s.dial("127.0.0.1")
		go func() { answer <- say(t, conn, "/") }()
		close(full)
	}}
	s.mu.Unlock()
	s.Shutdown(t.Context())
	select {
	case <-full:
	default:
		t.Fatal("new clients were let in until the end")
	}
	if resp := <-answer; resp != nil && resp.StatusCode != http.StatusOK {
		t.Errorf("%s, wanted 200", resp.Status)
	}
}

// TestLastCallOfMany: who waits when nobody is let in any more is taken, however many they are. Who lets clients in until the end is left at some point, and the log says so.
func TestLastCallOfMany(t *testing.T) {
	const waiting, most = 9, 2
	for name, refuses := range map[string]bool{"refusing": true, "letting in": false} {
		t.Run(name, func(t *testing.T) {
			came, release := make(chan struct{}), make(chan struct{})
			s := newFull(t, Plain, &Front{}, true, func(_ http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/slow" {
					close(came)
					<-release
				}
			})
			var log bytes.Buffer
			s.log = zerolog.New(&log) // nothing else writes to it now
			inside := s.dial("127.0.0.1")
			go say(t, inside, "/slow")
			<-came
			ln := s.listener()
			if refuses {
				s.mu.Lock()
				ln.Listener = &visited{ln.Listener.(*net.TCPListener), func() {}}
				s.mu.Unlock()
			}
			answers := make(chan bool, waiting)
			for range waiting {
				conn := s.dial("127.0.0.1")
				go func() {
					_, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: shop.test\r\nConnection: close\r\n\r\n")
					if err == nil {
						_, err = http.ReadResponse(bufio.NewReader(conn), nil)
					}
					conn.Close()
					answers <- err == nil
				}()
			}
			eventually(t, "one is accepted, and waits for room", func() bool { return s.ConnectionCounts().Waited == 1 })
			s.lastCall(t.Context(), ln, most)
			told := strings.Contains(log.String(), "may lose connections")
			close(release)
			served := 0
			for range waiting {
				if <-answers {
					served++
				}
			}
			if want := map[bool]int{true: waiting, false: 1 + 2*most}[refuses]; served != want || told == refuses {
				t.Errorf("%d were served, and the log told of a loss: %v; wanted %d, %v", served, told, want, !refuses)
			}
		})
	}
}

// TestLastCallOfOneThatIsClosed: a listener that a reload closes in the same moment is none that something goes wrong with.
func TestLastCallOfOneThatIsClosed(t *testing.T) {
	for way, loops := range map[string]bool{"loops": true, "goroutines": false} {
		t.Run(way, func(t *testing.T) {
			s := newFull(t, Plain, &Front{}, loops, func(http.ResponseWriter, *http.Request) {})
			var log bytes.Buffer
			s.log = zerolog.New(&log)
			ln := s.listener()
			if loops { // else who accepts looks at it
				s.mu.Lock()
				ln.Listener = &visited{ln.Listener.(*net.TCPListener), func() { t.Error("it is told to let nobody in") }}
				s.mu.Unlock()
			}
			ln.Close()
			if from := ln.looped.Load(); from != nil {
				from.Close()
			}
			s.lastCall(t.Context(), ln, mostCalled)
			if log.Len() > 0 {
				t.Errorf("the log says %s", log.String())
			}
		})
	}
}

// say is ask from another goroutine than the test's: nil where there is no answer.
func say(t *testing.T, conn net.Conn, target string) *http.Response {
	if _, err := conn.Write([]byte("GET " + target + " HTTP/1.1\r\nHost: shop.test\r\n\r\n")); err != nil {
		t.Errorf("%s: cannot send: %v", target, err)
		return nil
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Errorf("%s: no answer: %v", target, err)
		return nil
	}
	resp.Body.Close()
	conn.Close() // else the server waits for that for a while
	return resp
}

// TestShutdownWithoutStartTakesNobody: what waits at a socket that another process has too is that one's, where this one never came to serve.
func TestShutdownWithoutStartTakesNobody(t *testing.T) {
	theirs, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer theirs.Close()
	table, err := upstream.NewTable(nil, nil, zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	defer table.Close()
	s := NewServer(Limits{}, &Routing{Table: table}, nil, zerolog.Nop())
	s.OpenWith(func(string) (net.Listener, error) {
		file, err := theirs.(*net.TCPListener).File()
		if err != nil {
			return nil, err
		}
		defer file.Close()
		return net.FileListener(file)
	})
	if err := s.Listen([]string{"theirs"}); err != nil {
		t.Fatal(err)
	}
	client, err := net.Dial("tcp", theirs.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	s.Shutdown(t.Context())
	theirs.(*net.TCPListener).SetDeadline(time.Now().Add(patience))
	conn, err := theirs.Accept()
	if err != nil {
		t.Fatalf("the client that waited is gone: %v", err)
	}
	conn.Close()
}

// TestCloseIdle: a drain closes what waits for a request, and not what may have one.
func TestCloseIdle(t *testing.T) {
	const old = time.Hour
	for _, tc := range []struct {
		name   string
		age    time.Duration // since it was made
		asked  bool          // it had a request, just now
		heard  bool          // it was greeted, just now
		state  int32
		sent   string
		closed bool
		cut    int // counted, where the drain's time is over
	}{
		{"kept", old, true, false, stateIdle, "", true, 0},
		{"kept, made a moment ago", 0, true, false, stateIdle, "", true, 0},
		{"kept, greeted a moment ago", 0, true, true, stateIdle, "", true, 0},
		{"kept, with a request that nobody has read", old, true, false, stateIdle, "GET", false, 1},
		{"in a request", old, true, false, stateActive, "", false, 1},
		{"new", 0, false, false, stateIdle, "", false, 0},
		{"silent for long", old, false, false, stateIdle, "", true, 0},
		{"greeted until now", old, false, true, stateIdle, "", false, 0},
		{"late, and nobody has read it", old, false, false, stateIdle, "GET", false, 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newRig(t, Plain, &Front{})
			near, far := Connected(t)
			if _, err := io.WriteString(far, tc.sent); err != nil {
				t.Fatal(err)
			}
			c := newClient(near, &s.readers)
			c.made = time.Now().Add(-tc.age).UnixNano()
			c.used.Store(c.made)
			if tc.asked {
				c.used.Store(c.made + 1)
			}
			if tc.heard {
				c.heard()
			}
			c.state.Store(tc.state)
			s.add(c)
			defer s.remove(c)
			eventually(t, "what was sent is there", func() bool { return unread(near) == (tc.sent != "") })
			s.closeIdle()
			if closed := near.SetDeadline(time.Time{}) != nil; closed != tc.closed { // which a closed connection refuses
				t.Errorf("closed: %v, wanted %v", closed, tc.closed)
			}
			if cut := s.cutAll(); cut != tc.cut {
				t.Errorf("%d were cut, wanted %d", cut, tc.cut)
			}
		})
	}
}
