package tomcat

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// configured are the releases that the adapter's settings are tested with: the newest of either servlet package.
func configured() []Release { return []Release{Tomcat9, Tomcat11} }

// TestIgnoreAndFilter holds the valve's ignore and the manager's own class filter.
func TestIgnoreAndFilter(t *testing.T) {
	for _, release := range configured() {
		t.Run(release.Version, func(t *testing.T) {
			s := Start(t, Config{Release: release, Route: "node1", ValveAttributes: `ignore="\.txt$" inlineLimit="20"`,
				ContextXML: `<Manager className="org.apache.catalina.session.StandardManager" pathname=""
					sessionAttributeValueClassNameFilter="java\.lang\.(?:String|Integer|Number)" warnOnSessionAttributeFilterFailure="true"/>`})
			c := newTier(t, s)
			w := c.last(c.get("/shop/session?op=set&k=text&v=kept"))
			wantEqual(t, "state over the valve's inlineLimit", w.head, "late")
			c.get("/shop/session?op=append&k=list&v=refused")
			w = c.last(c.get("/shop/session?op=set&k=text&v=changed"))
			restored := c.reported(w)
			wantEqual(t, "text", restored.line("value text"), "changed")
			wantEqual(t, "list, whose class is not in the filter", restored.line("value list"), "")
			wantEqual(t, "lines that name it", strings.Count(s.Log(), `attribute "list" is not kept`), 1)

			ignored := c.get("/shop/static.txt")
			wantEqual(t, "adapter where it ignores", ignored.Header.Get("Rehydra-Adapter"), "1")
			wantEqual(t, "session where it ignores", ignored.Header.Get("Rehydra-Session"), "")
			unknown := c.send(request{path: "/shop/static.txt", have: "ask"})
			wantEqual(t, "status where it ignores", unknown.StatusCode, http.StatusOK)
		})
	}
}

// TestFilterOnRestore holds that a class that the filter refuses is not even read.
func TestFilterOnRestore(t *testing.T) {
	node1, node2 := pair(t, Tomcat10, "", "")
	c := newTier(t, node1)
	c.get("/shop/session?op=append&k=list&v=refused")
	w := c.last(c.get("/shop/session?op=set&k=text&v=kept"))
	node2.Stop()
	filtered := node2.Config
	filtered.ContextXML = `<Manager className="org.apache.catalina.session.StandardManager" pathname=""
		sessionAttributeValueClassNameFilter="java\.lang\.String"/>`
	s := Start(t, filtered)
	moved := c.moveTo(s, "/shop/session", "2.0", w.bytes)
	wantEqual(t, "text", moved.line("value text"), "kept")
	wantEqual(t, "list", moved.line("value list"), "")
	wantEqual(t, "version, since something is missing", c.last(moved).version, "2.1")
}

// TestHostValve puts the valve into server.xml, for all contexts of a host.
func TestHostValve(t *testing.T) {
	for _, release := range configured() {
		t.Run(release.Version, func(t *testing.T) {
			s := Start(t, Config{Release: release, Route: "node1", HostValve: true})
			c := newTier(t, s)
			w := c.last(c.get("/shop/session?op=append&k=list&v=1"))
			wantEqual(t, "state", w.head, "inline")
			wantEqual(t, "list", c.reported(w).line("value list"), "1")
			failed := c.last(c.get("/shop/session?op=error&k=a&v=b&code=418"))
			restored := c.reported(failed)
			wantEqual(t, "set before the error page", restored.line("value a"), "b")
			wantEqual(t, "set by the error page", restored.line("value failed"), "yes")
			basic := newTier(t, s)
			other := basic.get("/basic/session?op=touch")
			wantEqual(t, "app", strings.Contains(other.Header.Get("Rehydra-Session"), `app="localhost/basic"`), true)
			s.Stop()
			for _, line := range s.BadLines() {
				t.Errorf("line in catalina.out: %s", line)
			}
		})
	}
}

// TestRestartWithSavedSessions: Tomcat saves sessions to disk when it stops. Nobody knows whether they lived on elsewhere
// meanwhile, so the tier is asked before one of them is used.
func TestRestartWithSavedSessions(t *testing.T) {
	for _, release := range configured() {
		t.Run(release.Version, func(t *testing.T) {
			s := Start(t, Config{Release: release, Route: "node1", ContextXML: `<Manager className="org.apache.catalina.session.StandardManager" pathname="SESSIONS.ser"/>`})
			c := newTier(t, s)
			w := c.last(c.get("/shop/session?op=set&k=a&v=old"))
			s.Stop()
			s.Start()
			asked := c.get("/shop/session")
			wantEqual(t, "status without the tier's word", asked.StatusCode, 428)
			newer := c.send(request{path: "/shop/session?op=touch", have: "5.0", state: w.bytes})
			wantEqual(t, "version of the tier's copy", c.last(newer).version, "5.0")
			s.Stop()
			s.Start()
			alone := c.send(request{path: "/shop/session?op=touch", have: "none"})
			wantEqual(t, "attribute when the tier has no copy", alone.line("value a"), "old")
			first := c.last(alone)
			wantEqual(t, "version when the tier has no copy", first.version, "1.1")
			wantEqual(t, "state when the tier has no copy", first.state, "inline")
			s.Stop()
			for _, line := range s.BadLines() {
				t.Errorf("line in catalina.out: %s", line)
			}
		})
	}
}

// TestHTTP10 has no chunked bodies, so a late change must be asked for.
func TestHTTP10(t *testing.T) {
	s := Start(t, Config{Release: Tomcat9, Route: "node1"})
	head := raw(t, s, "GET /shop/session?op=late&k=a&v=b HTTP/1.0\r\nHost: localhost\r\nRehydra-Tier: "+Token+"\r\n\r\n")
	// No session existed when the head went out, and none can begin after it.
	if !slices.Contains(head, "Rehydra-Adapter: 1") {
		t.Errorf("no Rehydra-Adapter in %q", head)
	}
	c := newTier(t, s)
	c.get("/shop/session?op=touch")
	head = raw(t, s, "GET /shop/session?op=late&k=a&v=b HTTP/1.0\r\nHost: localhost\r\nRehydra-Tier: "+Token+
		"\r\nRehydra-Id: "+c.cookie+"\r\nCookie: JSESSIONID="+c.cookie+"\r\n\r\n")
	if !slices.ContainsFunc(head, func(line string) bool { return strings.HasSuffix(line, "; state=pull") }) {
		t.Errorf("no state=pull in %q", head)
	}
	restored := c.reported(c.last(c.get("/shop/session?op=set&k=c&v=d")))
	wantEqual(t, "the late change", restored.line("value a"), "b")
}

// TestExpect holds that a body is not asked for when the session is missing.
func TestExpect(t *testing.T) {
	for _, release := range configured() {
		t.Run(release.Version, func(t *testing.T) {
			s := Start(t, Config{Release: release, Route: "node1"})
			head := raw(t, s, "POST /shop/session HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5000000\r\nExpect: 100-continue\r\n"+
				"Rehydra-Tier: "+Token+"\r\nRehydra-Id: A.node2\r\nCookie: JSESSIONID=A.node2\r\n\r\n")
			if len(head) == 0 || !strings.HasPrefix(head[0], "HTTP/1.1 428") {
				t.Errorf("%q, want 428 and no 100", head)
			}
		})
	}
}

// raw sends bytes and returns the lines of the head that comes back.
func raw(t *testing.T, s *Server, text string) []string {
	t.Helper()
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", fmt.Sprintf("127.0.0.1:%d", s.Port))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	var head []string
	lines := bufio.NewScanner(conn)
	for lines.Scan() && lines.Text() != "" {
		head = append(head, lines.Text())
	}
	for strings.Contains(text, " HTTP/1.0\r\n") && lines.Scan() {
		continue // to the end, which is that of the connection: a client that goes earlier may end the application
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return head
}

// TestMissingToken: a valve that cannot work says so and the application does not start.
func TestMissingToken(t *testing.T) {
	refuses(t, New(t, Config{Release: Tomcat9, Route: "node1", Token: " "}), "the attribute token is missing")
}

// TestTooOld: a Tomcat with which sessions would be lost is refused, and named, also where its operator shows another number.
func TestTooOld(t *testing.T) {
	s := New(t, Config{Release: tooOld, Route: "node1"})
	dir := s.base.path("lib", "org", "apache", "catalina", "util")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	shown := "server.info=Apache Tomcat/" + tooOld.Version + "\nserver.number=9.0.0.0\nserver.built=\n"
	if err := os.WriteFile(filepath.Join(dir, "ServerInfo.properties"), []byte(shown), 0o644); err != nil {
		t.Fatal(err)
	}
	refuses(t, s, "cannot start RehydraValve: this is Apache Tomcat/"+tooOld.Version+" ("+tooOld.Version+")", "it needs Tomcat 7.0.53, 8.5, 9, 10.1 or 11")
}

// refuses starts a Tomcat, whose log must have each of the texts and whose applications must not answer.
func refuses(t *testing.T, s *Server, wanted ...string) {
	t.Helper()
	s.Launch()
	for deadline := time.Now().Add(startTimeout); !strings.Contains(s.Log(), "Server startup in"); {
		if time.Now().After(deadline) {
			t.Fatalf("Tomcat has not started:\n%s", s.logTail())
		}
		select {
		case <-s.done:
			t.Fatalf("Tomcat ended:\n%s", s.logTail())
		case <-time.After(50 * time.Millisecond):
		}
	}
	for _, text := range wanted {
		if !strings.Contains(s.Log(), text) {
			t.Errorf("no %q in the log:\n%s", text, s.logTail())
		}
	}
	client := &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	for _, path := range []string{Form, Basic} {
		if s.answers(client, path) {
			t.Errorf("%s answers without the valve", path)
		}
	}
}
