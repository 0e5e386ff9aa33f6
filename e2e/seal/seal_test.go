package seal

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"rehydra/e2e/harness"
)

// user is one session, as its browser knows it.
type user struct {
	cookie string // name=value; "" before the first answer
	attack string // what was done to its copies; "" for nothing
}

func (u *user) base() string {
	_, id, _ := strings.Cut(u.cookie, "=")
	base, _, _ := strings.Cut(id, ".")
	return base
}

// site is a proxy with sealed copies, two backends and two memcacheds.
type site struct {
	t      *testing.T
	cfg    harness.Config
	keys   string // the key file
	store  store
	node1  *backend
	node2  *backend
	proxy  *harness.Proxy
	client http.Client
}

func startSite(t *testing.T) *site {
	t.Helper()
	s := prepareSite(t)
	s.writeKeys("old")
	s.cfg.Store = append(s.cfg.Store, s.keyLine())
	s.start()
	return s
}

// keyLine is the line of [store] that names the key file.
func (s *site) keyLine() string { return fmt.Sprintf("seal_key_file = %q", s.keys) }

// prepareSite starts all but the proxy, whose configuration has no keys.
func prepareSite(t *testing.T) *site {
	t.Helper()
	s := &site{t: t, keys: filepath.Join(t.TempDir(), "keys"), node1: startBackend(t, "node1"), node2: startBackend(t, "node2")}
	s.store.nodes = []*harness.Memcached{harness.StartMemcached(t), harness.StartMemcached(t)}
	s.cfg = harness.Config{
		Session: []string{`save_timeout = "8s"`, `restore_timeout = "8s"`},
		Store:   append(harness.Nodes(s.store.nodes...), `timeout = "3s"`),
		Pools: []harness.Pool{{Name: "shop", Backends: []harness.Backend{
			// All sessions begin on node1: node2 takes only what its owner leaves.
			{Route: "node1", Address: s.node1.address}, {Route: "node2", Address: s.node2.address, Lines: []string{"distance = 1"}}}}},
	}
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	s.client.Transport = transport
	return s
}

// start starts the proxy.
func (s *site) start() { s.proxy = harness.Start(s.t, s.cfg) }

// writeKeys writes a key file, a key of each name.
func (s *site) writeKeys(names ...string) {
	s.t.Helper()
	var b bytes.Buffer
	for _, name := range names {
		// base64 of 32 bytes, different for each name.
		fmt.Fprintf(&b, "%s %s=\n", name, (strings.Repeat(name, 43) + "A")[:42]+"A")
	}
	if err := os.WriteFile(s.keys, b.Bytes(), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// rotate puts other keys into the file and has the proxy read it.
func (s *site) rotate(names ...string) {
	s.t.Helper()
	s.writeKeys(names...)
	s.proxy.Reload(s.t, s.cfg)
}

// ask sends a request of the user's and returns the answer's body.
func (s *site) ask(u *user, target string) string {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, "http://"+s.proxy.Address()+target, http.NoBody)
	if err != nil {
		s.t.Fatal(err)
	}
	if u.cookie != "" {
		req.Header.Set("Cookie", u.cookie)
	}
	resp, err := s.client.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		s.t.Fatalf("%s: status %d, %q, %v", target, resp.StatusCode, body, err)
	}
	for _, c := range resp.Cookies() {
		u.cookie = c.Name + "=" + c.Value
	}
	return string(body)
}

// begin makes n sessions that hold a text, and calls each with them, if it is given.
func (s *site) begin(n int, text string) []*user {
	s.t.Helper()
	users := make([]*user, n)
	for i := range users {
		users[i] = &user{}
		s.ask(users[i], "/set?text="+text)
	}
	if s.store.prefix == "" {
		s.store.learn(s.t, users[0].base())
	}
	return users
}

// TestNoForgedCopyReachesABackend: 1,000 sessions whose copies were forged on both nodes are lost when their owner dies, and not one of them is
// handed over; beside them, sessions that nobody touched go on.
func TestNoForgedCopyReachesABackend(t *testing.T) {
	const oldKey, forged, untouched = 125, 875, 50
	s := startSite(t)
	users := s.begin(oldKey, "forged")
	for _, u := range users {
		u.attack = "sealed with a key that is gone"
	}
	s.rotate("new")
	users = append(users, s.begin(forged, "forged-before")...)
	good := s.begin(untouched, "good")
	for i, u := range users[oldKey:] {
		s.forge(u, attacks[i%len(attacks)], s.store.copies(t, good[i%untouched].base()))
	}
	s.node1.kill(t)

	kept := map[string]int{}
	for _, u := range users {
		if got := s.ask(u, "/"); got != "no session" {
			t.Errorf("%s: the client got %q", u.attack, got)
			kept[u.attack]++
		}
	}
	if states := s.node2.received(); len(states) != 0 {
		t.Fatalf("%d states reached the backend, such as %q", len(states), states[0])
	}
	for _, u := range good {
		if got := s.ask(u, "/"); got != "good" {
			t.Errorf("a session that nobody touched: %q", got)
		}
	}
	if states := s.node2.received(); len(states) != untouched {
		t.Errorf("%d states reached the backend, want %d", len(states), untouched)
	}
	metrics := s.proxy.Metrics(t)
	lost, corrupt := metrics["rehydra_session_lost_total"], metrics["rehydra_session_copies_corrupt_total"]
	t.Logf("%d forged sessions: %.0f counted lost, %.0f copies not believed, handed over: %v; %d good ones restored", len(users), lost, corrupt, kept, untouched)
	if lost != float64(len(users)) || corrupt < float64(len(users)) {
		t.Errorf("lost %v and corrupt %v, want %d, and at least as many", lost, corrupt, len(users))
	}
	harness.Eventually(t, "a line in the log for each of them at least", func() bool {
		return len(s.proxy.Events(harness.Message("session cop"))) >= len(users)
	})
}

// forge gives a session another text, and then puts an attacker's copies in place of its own.
func (s *site) forge(u *user, a attack, other [][]byte) {
	s.t.Helper()
	u.attack = a.name
	before := s.store.copies(s.t, u.base())
	s.ask(u, "/set?text=forged")
	s.store.put(s.t, u.base(), a.make(before, s.store.copies(s.t, u.base()), other, u.base()))
}

// TestCopiesShowNothing: no text of a session is to be read in memcached.
func TestCopiesShowNothing(t *testing.T) {
	s := startSite(t)
	u := s.begin(1, "confidential")[0]
	for i, b := range s.store.copies(t, u.base()) {
		if bytes.Contains(b, []byte("confidential")) {
			t.Errorf("node %d holds the text of a session: %q", i+1, b)
		}
	}
}
