package serve

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"rehydra/e2e/harness"
)

// reload gives the program another file and waits until it says what it made of it.
func (p *program) reload(toml, wanted string) harness.Event {
	p.t.Helper()
	before := len(p.events(wanted))
	p.write(toml)
	p.signal(syscall.SIGHUP)
	return p.waitEvents(wanted, before+1)[before]
}

const (
	reloaded    = "configuration reloaded"
	notReloaded = "configuration not reloaded: the old one stays"
)

// stream sends requests on kept connections until stop is called, which returns how many were answered by whom. Each
// must be answered 200.
func (p *program) stream(connections int) (stop func() map[string]int) {
	p.t.Helper()
	var ended atomic.Bool
	var all sync.WaitGroup
	var mu sync.Mutex
	served := make(map[string]int)
	for i := range connections {
		c := dial(p.t, p.address)
		all.Go(func() {
			for n := 0; !ended.Load(); n++ {
				raw := head("GET", "/stream")
				if n%2 == i%2 {
					raw = head("POST", "/stream", "Content-Length: 5") + "hello"
				}
				if _, err := c.conn.Write([]byte(raw)); err != nil {
					p.t.Errorf("connection %d, request %d: %v", i, n, err)
					return
				}
				a, err := c.receive("GET")
				if err != nil || a.status != 200 || a.err != nil {
					p.t.Errorf("connection %d, request %d: %d %q %v %v", i, n, a.status, a.body, a.err, err)
					return
				}
				mu.Lock()
				served[a.body]++
				mu.Unlock()
			}
		})
	}
	return func() map[string]int {
		ended.Store(true)
		all.Wait()
		return served
	}
}

// TestReloadUnderLoad: backends come and go by SIGHUP, and no request is refused, broken or sent to one that is not there any more.
func TestReloadUnderLoad(t *testing.T) {
	t.Parallel()
	one, two, three := start(t, "node1", nil), start(t, "node2", nil), start(t, "node3", nil)
	quiet := settings{"log": {`access = false`}}
	p := serve(t, quiet, one, two)
	stop := p.stream(4)
	one.waitSeen("/stream", 20)
	two.waitSeen("/stream", 20)
	for range 2 {
		p.reload(quiet.toml(one, two, three), reloaded)
		three.waitSeen("/stream", three.seen("/stream")+10)
		p.reload(quiet.toml(two, three), reloaded)
		two.waitSeen("/stream", two.seen("/stream")+10)
		gone := one.seen("/stream")
		three.waitSeen("/stream", three.seen("/stream")+50)
		// Requests that began before may still have arrived: one for each connection at most.
		if late := one.seen("/stream") - gone; late > 4 {
			t.Errorf("%d requests went to a backend that the configuration does not hold", late)
		}
		p.reload(quiet.toml(one, two), reloaded)
		one.waitSeen("/stream", one.seen("/stream")+10)
	}
	served := stop()
	for _, route := range []string{"node1", "node2", "node3"} {
		if served[route] == 0 {
			t.Errorf("%s answered nothing: %v", route, served)
		}
	}
	harness.Eventually(t, "the connections to a removed backend are closed", func() bool { return three.Open() == 0 })
	p.terminate()
}

func TestReloadKeepsTheOldOne(t *testing.T) {
	t.Parallel()
	b := start(t, "node1", nil)
	var s settings
	p := serve(t, s, b)
	kept := dial(t, p.address)
	kept.get("/").want(t, 200, "node1")
	good := s.toml(b)
	for name, test := range map[string]struct {
		file  string
		wants []string
	}{
		"broken":      {"[server\n", []string{p.file + ":2", "wanted TOML"}},
		"two faults":  {strings.Replace(good, `route = "node1"`, `rute = "node1"`, 1), []string{"pool.backend.rute: given an unknown key", "pool.backend.route: given nothing"}},
		"drain, log":  {settings{"server": {`drain_timeout = "1s"`}, "log": {`access = false`}}.toml(b), []string{"[server]", "[log]", "restart"}},
		"the session": {settings{"session": {`token = "t"`}, "store": {`kind = "embedded"`}}.toml(b), []string{"[store]", "session tier", "restart"}},
	} {
		t.Run(name, func(t *testing.T) {
			said := p.reload(test.file, notReloaded).Text("error")
			for _, want := range test.wants {
				if !strings.Contains(said, want) {
					t.Errorf("the log says %q, wanted something of %q", said, want)
				}
			}
			kept.get("/").want(t, 200, "node1")
			p.get("/").want(t, 200, "node1")
		})
	}
	p.reload(good, reloaded)
	kept.get("/").want(t, 200, "node1")
	p.terminate()
}

// TestReloadLetsRequestsEnd: a request that runs at a backend that is removed gets its answer.
func TestReloadLetsRequestsEnd(t *testing.T) {
	t.Parallel()
	slow, release := held(t)
	other := start(t, "node2", nil)
	var s settings
	p := serve(t, s, slow, other)
	c := dial(t, p.address)
	c.send("%s", head("GET", "/slow", "Cookie: JSESSIONID=A.node1"))
	slow.waitSeen("/slow", 1)
	p.reload(s.toml(other), reloaded)
	for range 4 {
		p.get("/", "Cookie: JSESSIONID=A.node1").want(t, 200, "node2")
	}
	close(release)
	c.answer("GET").want(t, 200, "node1")
	c.get("/again").want(t, 200, "node2")
	p.terminate()
}

// TestReloadOfSettings: what a reload may change holds from the next request on.
func TestReloadOfSettings(t *testing.T) {
	t.Parallel()
	b := start(t, "node1", func(q *call) {
		if q.path("/b/never") {
			q.gone()
			return
		}
		q.ok()
	})
	s := settings{"pool": {`match = ["/a/*"]`}}
	p := serve(t, s, b)
	p.get("/b/").wantStatus(t, 404)
	s = settings{"pool": {`match = ["/b/*"]`}, "pool.timeout": {`first_byte = "3s"`}, "pool.health": {`fall = 9`}}
	p.reload(s.toml(b), reloaded)
	p.get("/b/").want(t, 200, "node1")
	p.get("/a/").wantStatus(t, 404)
	p.get("/b/").want(t, 200, "node1")
	c := dial(t, p.address)
	c.get("/b/never").wantStatus(t, 504) // long before the default of a minute
	c.get("/b/").want(t, 200, "node1")
	p.terminate()
}

// TestReloadsOneAfterTheOther: signals that come faster than reloads leave the last file in use.
func TestReloadsOneAfterTheOther(t *testing.T) {
	t.Parallel()
	b := start(t, "node1", nil)
	var s settings
	p := serve(t, s, b)
	for i := range 30 {
		p.write(settings{"pool": {fmt.Sprintf(`match = ["/%d/*"]`, i)}}.toml(b))
		p.signal(syscall.SIGHUP)
	}
	harness.Eventually(t, "the last configuration is in use", func() bool { return p.get("/29/").status == 200 })
	p.terminate()
}
