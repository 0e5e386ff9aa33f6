package serve

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"rehydra/e2e/harness"
)

// queue opens connections that the kernel completes and the program, which is stopped or has no room, does not accept. Each has sent its request.
func queue(t *testing.T, p *program, n int, target string) (waiting []*client) {
	t.Helper()
	for range n {
		c := dial(t, p.address)
		c.send("%s", head("GET", target))
		waiting = append(waiting, c)
	}
	return waiting
}

// wantServed wants an answer with this status on each connection, and its end after that; with told, the answer says Connection: close.
func wantServed(t *testing.T, waiting []*client, status int, told bool) {
	t.Helper()
	lost := 0
	for i, c := range waiting {
		a, err := c.receive("GET")
		if err != nil {
			if lost++; lost <= 3 {
				t.Errorf("connection %d: no answer: %v", i, err)
			}
			continue
		}
		a.wantStatus(t, status)
		if told && !a.close {
			t.Error("the answer does not say Connection: close")
		}
		if _, err := c.r.ReadByte(); err != io.EOF {
			t.Errorf("after the answer: %v, wanted the end of the stream", err)
		}
		c.conn.Close()
	}
	if lost > 0 {
		t.Errorf("%d of %d connections were lost", lost, len(waiting))
	}
}

// TestDrainTakesWhoWaits: who has connected before the signal is served, also when the program had not come to accept the connection.
func TestDrainTakesWhoWaits(t *testing.T) {
	t.Parallel()
	b := start(t, "node1", nil)
	for range 3 {
		p := serve(t, settings{"server": {`listen = ["127.0.0.1:0", "127.0.0.1:0"]`}, "log": {`access = false`}}, b)
		p.stop()
		waiting := queue(t, p, 300, "/")
		p.address = p.addresses()[1]
		waiting = append(waiting, queue(t, p, 100, "/other")...)
		p.signal(syscall.SIGTERM)
		p.cont()
		harness.Eventually(t, "the listeners are closed", func() bool { return p.listening() <= 1 })
		wantRefused(t, p.address)
		wantServed(t, waiting, 200, false) // some may have their answer from before the signal is heard
		if code := p.exit(); code != 0 {
			t.Errorf("exit code %d, wanted 0", code)
		}
		if n := len(p.events("stopped")); n != 1 {
			t.Errorf("%d events stopped, wanted 1: nobody was cut", n)
		}
	}
}

// TestDrainWaitsForAFirstRequest: who has connected and not asked yet has a second for it. It is not run beside others, which would take that second.
func TestDrainWaitsForAFirstRequest(t *testing.T) {
	b := start(t, "node1", nil)
	p := serve(t, nil, b)
	p.stop()
	late, silent := dial(t, p.address), dial(t, p.address)
	p.signal(syscall.SIGTERM)
	p.cont()
	harness.Eventually(t, "the listener is closed", func() bool { return p.listening() <= 1 })
	late.send("%s", head("GET", "/late"))
	wantServed(t, []*client{late}, 200, true)
	silent.closed()
	if code := p.exit(); code != 0 {
		t.Errorf("exit code %d, wanted 0", code)
	}
	if n := len(p.events("stopped")); n != 1 {
		t.Errorf("%d events stopped, wanted 1: nobody was cut", n)
	}
}

// TestDrainTakesWhoWaitsForRoom: the listener closes at once, and those who waited at it come in one after the other, as max_connections has it.
func TestDrainTakesWhoWaitsForRoom(t *testing.T) {
	t.Parallel()
	b, release := held(t)
	p := serve(t, settings{"server": {`max_connections = 2`}}, b)
	inside := queue(t, p, 2, "/slow")
	b.waitSeen("/slow", 2)
	waiting := queue(t, p, 20, "/waits")
	p.signal(syscall.SIGTERM)
	harness.Eventually(t, "the listener is closed", func() bool { return p.listening() <= 1 })
	wantRefused(t, p.address)
	if b.seen("/waits") > 0 {
		t.Error("a client was served for whom there was no room")
	}
	close(release)
	wantServed(t, append(inside, waiting...), 200, true)
	if code := p.exit(); code != 0 {
		t.Errorf("exit code %d, wanted 0", code)
	}
}

// TestDrainCutsWhoWaits: those for whom there was no room until the end are cut, and counted.
func TestDrainCutsWhoWaits(t *testing.T) {
	t.Parallel()
	b, release := held(t)
	defer close(release)
	p := serve(t, settings{"server": {`max_connections = 1`, `drain_timeout = "1s"`}}, b)
	queue(t, p, 1, "/slow")
	b.waitSeen("/slow", 1)
	waiting := queue(t, p, 5, "/waits")
	p.signal(syscall.SIGTERM)
	for _, c := range waiting {
		c.closed()
	}
	if code := p.exit(); code != 0 {
		t.Errorf("exit code %d, wanted 0", code)
	}
	if cut := p.events("stopped: requests were cut"); len(cut) != 1 || cut[0]["cut"] != 6.0 {
		t.Errorf("the log says %v, wanted that 6 were cut", cut)
	}
}

// TestDrainKeepsTheLimitOfAClient: those who waited are as many as one client may have, and the others are told.
func TestDrainKeepsTheLimitOfAClient(t *testing.T) {
	t.Parallel()
	b, release := held(t)
	p := serve(t, settings{"server": {`max_connections_per_client = 5`}}, b)
	p.stop()
	waiting := queue(t, p, 20, "/slow")
	p.signal(syscall.SIGTERM)
	p.cont()
	b.waitSeen("/slow", 5)
	answers := make(chan int, len(waiting))
	for _, c := range waiting {
		go func() {
			a, err := c.receive("GET")
			if err != nil {
				t.Errorf("no answer: %v", err)
			}
			answers <- a.status
		}()
	}
	got := make(map[int]int)
	for range 15 {
		got[<-answers]++
	}
	close(release)
	for range 5 {
		got[<-answers]++
	}
	if got[200] != 5 || got[429] != 15 {
		t.Errorf("answers by status: %v, wanted 5 of 200 and 15 of 429", got)
	}
	if code := p.exit(); code != 0 {
		t.Errorf("exit code %d, wanted 0", code)
	}
}

// TestDrainUnderNewConnections: of clients who connect anew for each request, the signal costs nobody who got a connection.
func TestDrainUnderNewConnections(t *testing.T) {
	t.Parallel()
	b := start(t, "node1", nil)
	p := serve(t, settings{"log": {`access = false`}}, b)
	var all sync.WaitGroup
	var served, lost atomic.Int64
	for range 16 {
		all.Go(func() {
			for {
				err := once(p.address)
				switch {
				case err == nil:
					served.Add(1)
				case errors.Is(err, errNotConnected):
					return
				default:
					lost.Add(1)
					t.Errorf("on a connection that was made: %v", err)
				}
			}
		})
	}
	harness.Eventually(t, "clients are served", func() bool { return served.Load() > 200 })
	p.signal(syscall.SIGTERM)
	all.Wait()
	if code := p.exit(); code != 0 {
		t.Errorf("exit code %d, wanted 0", code)
	}
	if n := lost.Load(); n > 0 {
		t.Errorf("%d lost, %d served", n, served.Load())
	}
}

var errNotConnected = errors.New("no connection")

// once sends one request on a connection of its own.
func once(address string) error {
	conn, err := net.DialTimeout("tcp", address, patience)
	if err != nil {
		return errors.Join(errNotConnected, err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(conn, head("GET", "/")); err != nil {
		return err
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("status %d", resp.StatusCode)
	}
	return err
}
