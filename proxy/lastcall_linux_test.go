package proxy

import (
	"bufio"
	"errors"
	"net"
	"net/http"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// TestLastCallOfThoseWhoLeft: clients that reset their connections while they wait are none, and end nothing.
func TestLastCallOfThoseWhoLeft(t *testing.T) {
	for way, loops := range map[string]bool{"loops": true, "goroutines": false} {
		t.Run(way, func(t *testing.T) {
			came, release := make(chan struct{}), make(chan struct{})
			s := newFull(t, Plain, &Front{}, loops, func(_ http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/slow" {
					close(came)
					<-release
				}
			})
			answers := make(chan *http.Response)
			client := func(target string) {
				conn := s.dial("127.0.0.1")
				go func() { answers <- say(t, conn, target) }()
			}
			client("/slow")
			<-came
			client("/") // is accepted, and waits for room
			for range 5 {
				conn := s.dial("127.0.0.1")
				conn.(*net.TCPConn).SetLinger(0)
				conn.Close()
			}
			client("/")
			over := make(chan int)
			go func() { over <- s.Shutdown(t.Context()) }()
			<-s.listener().retired
			close(release)
			for range 3 {
				if resp := <-answers; resp != nil && resp.StatusCode != http.StatusOK {
					t.Errorf("%s, wanted 200", resp.Status)
				}
			}
			if cut := <-over; cut != 0 {
				t.Errorf("%d were cut", cut)
			}
		})
	}
}

// TestTryAccept: the next client is one that is there.
func TestTryAccept(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	if _, err := tryAccept(ln); !errors.Is(err, syscall.EAGAIN) {
		t.Errorf("nobody waits: %v, wanted EAGAIN", err)
	}
	var last net.Conn
	for range 3 {
		if last != nil {
			last.(*net.TCPConn).SetLinger(0)
			last.Close()
		}
		if last, err = net.Dial("tcp", ln.Addr().String()); err != nil {
			t.Fatal(err)
		}
	}
	defer last.Close()
	conn, err := tryAccept(ln)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if at := conn.RemoteAddr(); at == nil || at.String() != last.LocalAddr().String() {
		t.Errorf("%v was accepted, wanted %v", at, last.LocalAddr())
	}
}

// nowhere is a connection that does not know its client.
type nowhere struct{ net.Conn }

// RemoteAddr is net.Conn's.
func (nowhere) RemoteAddr() net.Addr { return nil }

// TestClientWithoutAddress: there is one, of which nobody knows from where.
func TestClientWithoutAddress(t *testing.T) {
	near, far := net.Pipe()
	defer near.Close()
	defer far.Close()
	s := newRig(t, Plain, &Front{})
	if c := newClient(nowhere{near}, &s.readers); c.addr != "" || c.peer.IsValid() {
		t.Errorf("it is from %q, %v", c.addr, c.peer)
	}
}

// TestLastCallWithoutDescriptors: where none is left, idle connections give theirs to who waits.
func TestLastCallWithoutDescriptors(t *testing.T) {
	for way, loops := range map[string]bool{"loops": true, "goroutines": false} {
		t.Run(way, func(t *testing.T) {
			const idle, waiting = 9, 3
			s := newFullOf(t, idle, Plain, &Front{}, loops, func(http.ResponseWriter, *http.Request) {})
			for range idle {
				conn := s.dial("127.0.0.1")
				ask(t, conn, bufio.NewReader(conn), "/")
			}
			var conns []net.Conn
			for range 1 + waiting { // the first is accepted, and waits for room
				conns = append(conns, s.dial("127.0.0.1"))
			}
			eventually(t, "one waits", func() bool { return s.ConnectionCounts().Waited == 1 })
			restore := exhaust(t)
			ln := s.listener()
			over := make(chan int)
			go func() { over <- s.Shutdown(t.Context()) }()
			<-ln.retired
			restore()
			for _, conn := range conns {
				if resp := say(t, conn, "/"); resp != nil && resp.StatusCode != http.StatusOK {
					t.Errorf("%s, wanted 200", resp.Status)
				}
			}
			if cut := <-over; cut != 0 {
				t.Errorf("%d were cut", cut)
			}
		})
	}
}

// exhaust leaves the process no descriptor, until the test or the function that it returns ends that.
func exhaust(t *testing.T) (restore func()) {
	t.Helper()
	var was unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &was); err != nil {
		t.Fatal(err)
	}
	restore = func() {
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &was); err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(restore)
	free, err := unix.Dup(0) // the lowest that is free
	if err != nil {
		t.Fatal(err)
	}
	unix.Close(free)
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: uint64(free), Max: was.Max}); err != nil {
		t.Fatal(err)
	}
	return restore
}
