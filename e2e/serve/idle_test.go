package serve

import (
	"fmt"
	"net"
	"syscall"
	"testing"
	"time"

	"rehydra/e2e/harness"
)

const (
	idleConnections = 10_000
	idleMemory      = 150 << 20
)

// TestManyIdleConnections: 10,000 clients that have had an answer and keep their connection, with 200 requests a second on top, cost at most
// 150 MB.
func TestManyIdleConnections(t *testing.T) {
	raiseDescriptors(t, idleConnections+1000)
	b := start(t, "node1", func(q *call) {
		if _, err := q.body(); err != nil {
			q.broken = true
			return
		}
		q.reply(200, "node1", "Content-Type: text/plain", "Set-Cookie: JSESSIONID=0123456789ABCDEF.node1; Path=/")
	})
	p := serve(t, settings{"server": {fmt.Sprintf("max_connections = %d", 2*idleConnections), `keep_alive_timeout = "10m"`}, "log": {`access = false`}}, b)
	connections := make([]net.Conn, 0, idleConnections)
	defer func() {
		for _, c := range connections {
			c.Close()
		}
	}()
	request := []byte(head("GET", "/shop/cart?item=17", "User-Agent: Mozilla/5.0", "Cookie: JSESSIONID=0123456789ABCDEF.node1"))
	buffer := make([]byte, 4<<10)
	for n := range idleConnections {
		// 127.0.0.1 alone has not ports enough where many were used a moment ago.
		d := net.Dialer{Timeout: patience, LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 2, byte(1+n%4))}}
		c, err := d.DialContext(t.Context(), "tcp", p.address)
		if err != nil {
			t.Fatalf("connection %d: %v", n, err)
		}
		connections = append(connections, c)
		if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Write(request); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Read(buffer); err != nil {
			t.Fatalf("connection %d: no answer: %v", n, err)
		}
	}
	harness.Eventually(t, "all of them are open", func() bool { return p.metric("rehydra_client_connections") == fmt.Sprint(idleConnections) })
	full := p.status("VmRSS")
	c := dial(t, p.address)
	const rate, seconds = 200, 10
	highest := full
	begun := time.Now()
	pace(time.Second/rate, seconds*time.Second, func() bool {
		if err := c.conn.SetDeadline(time.Now().Add(patience)); err != nil {
			t.Error(err)
			return false
		}
		a := c.get("/shop/cart", "Cookie: JSESSIONID=0123456789ABCDEF.node1")
		a.want(t, 200, "node1")
		highest = max(highest, p.status("VmRSS"))
		return !t.Failed()
	})
	t.Logf("%d idle connections: %d MB resident; with %.0f requests a second on top at most %d MB, %d bytes a connection",
		idleConnections, full>>20, float64(b.seen("/shop/cart"))/time.Since(begun).Seconds(), highest>>20, full/idleConnections)
	if highest > idleMemory {
		t.Errorf("%d bytes were resident, wanted at most %d", highest, idleMemory)
	}
	// They were really there.
	for _, n := range []int{0, idleConnections / 2, idleConnections - 1} {
		if err := connections[n].SetDeadline(time.Now().Add(patience)); err != nil {
			t.Fatal(err)
		}
		if _, err := connections[n].Write(request); err != nil {
			t.Fatalf("connection %d was closed: %v", n, err)
		}
		if _, err := connections[n].Read(buffer); err != nil {
			t.Errorf("connection %d was closed: %v", n, err)
		}
	}
}

// raiseDescriptors raises this process's limit of open files, which the processes it starts have too.
func raiseDescriptors(t *testing.T, n uint64) {
	t.Helper()
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	if limit.Cur >= n {
		return
	}
	limit.Cur, limit.Max = n, max(limit.Max, n)
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatalf("cannot have %d open files: %v (raise the limit: ulimit -Hn %d)", n, err, n)
	}
}
