package tomcat

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// pair starts two Tomcats of one release at the same time.
func pair(t *testing.T, release Release, attributes, contextXML string) (node1, node2 *Server) {
	t.Helper()
	config := Config{Release: release, Route: "node1", ValveAttributes: attributes, ContextXML: contextXML}
	node1 = New(t, config)
	config.Route = "node2"
	node2 = New(t, config)
	node1.Launch()
	node2.Launch()
	node1.WaitReady()
	node2.WaitReady()
	return node1, node2
}

// moveTo continues the browser's session on another Tomcat, as the tier does: 428, then the state with a new generation.
func (c *tier) moveTo(s *Server, path, version string, state []byte) answer {
	c.t.Helper()
	c.server = s
	asked := c.send(request{path: path, have: "ask"})
	wantEqual(c.t, "status before the state is there", asked.StatusCode, 428)
	wantEqual(c.t, "id in Rehydra-Need", parseWord(asked.Header.Get("Rehydra-Need")).id, c.cookie)
	if len(state) <= 4096 {
		return c.send(request{path: path, have: version, state: state})
	}
	installed := c.send(request{op: "install", path: path, have: version, body: state})
	wantEqual(c.t, "status of install", installed.StatusCode, http.StatusNoContent)
	return c.send(request{path: path, have: version})
}

// TestFailOver takes sessions from one real Tomcat to another, in every release.
func TestFailOver(t *testing.T) {
	for _, release := range Releases() {
		t.Run(release.Version, func(t *testing.T) {
			node1, node2 := pair(t, release, "", "")
			t.Run("session", func(t *testing.T) { sessionMoves(t, node1, node2) })
			t.Run("basic", func(t *testing.T) { basicLoginMoves(t, node1, node2) })
			t.Run("form", func(t *testing.T) { formLoginMoves(t, node1, node2) })
			t.Run("form-in-progress", func(t *testing.T) { formLoginInProgressMoves(t, node1, node2) })
			t.Run("large", func(t *testing.T) { largeSessionMoves(t, node1, node2) })
			t.Run("unserializable", func(t *testing.T) { unserializableStays(t, node1, node2) })
			t.Run("listeners", func(t *testing.T) { listenersAreTold(t, node1, node2) })
			node1.Stop()
			node2.Stop()
			for _, s := range []*Server{node1, node2} {
				for _, line := range s.BadLines() {
					if !strings.Contains(line, `attribute "thing" is not kept`) {
						t.Errorf("line in catalina.out of %s: %s", s.Route, line)
					}
				}
			}
		})
	}
}

func sessionMoves(t *testing.T, node1, node2 *Server) {
	c := newTier(t, node1)
	c.get("/shop/session?op=append&k=cart&v=tea")
	first := c.get("/shop/session?op=append&k=cart&v=milk")
	w := c.last(first)
	wantEqual(t, "version after two changes", w.version, "1.2")
	wantEqual(t, "state", w.state, "inline")

	second := c.moveTo(node2, "/shop/session?op=append&k=cart&v=bread", "2.0", w.bytes)
	wantEqual(t, "node", second.line("node"), "node2")
	wantEqual(t, "cart", second.line("value cart"), "tea,milk,bread")
	wantEqual(t, "created", second.line("created"), first.line("created"))
	wantEqual(t, "new", second.line("new"), "false")
	wantEqual(t, "cookie", c.cookie, baseID(w.id)+".node2")
	wantEqual(t, "id on the page", second.line("session"), c.cookie)
	w = c.last(second)
	wantEqual(t, "version", w.version, "2.1")

	unchanged := c.last(c.get("/shop/session?op=touch"))
	wantEqual(t, "version unchanged", unchanged.version, "2.1")
	wantEqual(t, "state unchanged", unchanged.state, "same")

	// Back to node1, which still holds 1.2.
	third := c.moveTo(node1, "/shop/session", "3.0", w.bytes)
	wantEqual(t, "cart back on node1", third.line("value cart"), "tea,milk,bread")
	wantEqual(t, "cookie", c.cookie, baseID(w.id)+".node1")
	back := c.last(third)
	wantEqual(t, "version back on node1", back.version, "3.0")
	wantEqual(t, "state back on node1", back.state, "same")
}

func basicLoginMoves(t *testing.T, node1, node2 *Server) {
	c := newTier(t, node1)
	c.get("/basic/session?op=set&k=a&v=b")
	before := c.cookie
	in := c.send(request{path: "/basic/secure/page.jsp", header: map[string]string{"Authorization": "Basic YWxpY2U6c2VjcmV0"}})
	wantEqual(t, "status of the login", in.StatusCode, http.StatusOK)
	wantEqual(t, "user", in.line("user"), User)
	w := c.last(in)
	if baseID(w.id) == baseID(before) {
		t.Errorf("the login kept the id %s, want a new one", w.id)
	}
	wantEqual(t, "was", w.was, before)
	wantEqual(t, "state", w.state, "inline")

	// Without the Authorization header: it is the session that is logged in.
	moved := c.moveTo(node2, "/basic/secure/page.jsp", "2.0", w.bytes)
	wantEqual(t, "status on the other node", moved.StatusCode, http.StatusOK)
	wantEqual(t, "user on the other node", moved.line("user"), User)
	wantEqual(t, "role on the other node", moved.line("customer"), "true")
	wantEqual(t, "visits", moved.line("value visits"), "2")
	wantEqual(t, "node", moved.line("node"), "node2")

	out := c.last(c.get("/basic/session?op=invalidate"))
	wantEqual(t, "state after the logout", out.state, "gone")
	wantEqual(t, "id after the logout", baseID(out.id), baseID(w.id))
	dropped := c.send(request{path: "/basic/secure/page.jsp", have: "gone"})
	wantEqual(t, "status after the logout", dropped.StatusCode, http.StatusUnauthorized)
}

var credentials = url.Values{"j_username": {User}, "j_password": {Password}}

func formLoginMoves(t *testing.T, node1, node2 *Server) {
	c := newTier(t, node1)
	c.get("/shop/secure/page.jsp?q=1")
	posted := c.send(request{path: "/shop/public/j_security_check", form: credentials})
	if posted.StatusCode/100 != 3 {
		t.Fatalf("status %d after the form, want a redirect: %s", posted.StatusCode, posted.text)
	}
	in := c.get("/shop/secure/page.jsp?q=1")
	wantEqual(t, "user", in.line("user"), User)
	w := c.last(in)
	moved := c.moveTo(node2, "/shop/secure/page.jsp", "2.0", w.bytes)
	wantEqual(t, "user on the other node", moved.line("user"), User)
	wantEqual(t, "role on the other node", moved.line("customer"), "true")
	wantEqual(t, "visits", moved.line("value visits"), "2")
	wantEqual(t, "ttl", c.last(moved).ttl, "1800")
}

// formLoginInProgressMoves kills the node between the login page and the password.
func formLoginInProgressMoves(t *testing.T, node1, node2 *Server) {
	c := newTier(t, node1)
	page := c.get("/shop/secure/page.jsp?q=saved")
	if !strings.Contains(page.text, "j_security_check") {
		t.Fatalf("%s, want the login page", page.text)
	}
	// Tomcat forwards to the login page in a way that ends the response while the authenticator still runs.
	w := c.last(page)
	c.server = node2
	posted := c.send(request{path: "/shop/public/j_security_check", form: credentials, have: "2.0", state: w.bytes})
	location := posted.Header.Get("Location")
	if posted.StatusCode/100 != 3 || !strings.HasSuffix(location, "/shop/secure/page.jsp?q=saved") {
		t.Fatalf("status %d to %q after the form, want a redirect to the page that was asked for", posted.StatusCode, location)
	}
	in := c.get("/shop/secure/page.jsp?q=saved")
	wantEqual(t, "user", in.line("user"), User)
	wantEqual(t, "query", in.line("query"), "q=saved")
	wantEqual(t, "node", in.line("node"), "node2")
}

func largeSessionMoves(t *testing.T, node1, node2 *Server) {
	c := newTier(t, node1)
	w := c.last(c.get("/shop/session?op=big&k=basket&n=200000"))
	want := "pull"
	if node1.Release.HasTrailers() {
		want = "late"
	}
	wantEqual(t, "state of a large session", w.head, want)
	moved := c.moveTo(node2, "/shop/session", "2.0", w.bytes)
	wantEqual(t, "size", moved.line("size basket"), "200000")
	wantEqual(t, "version", c.last(moved).version, "2.0")
}

func unserializableStays(t *testing.T, node1, node2 *Server) {
	c := newTier(t, node1)
	c.get("/shop/session?op=set&k=kept&v=yes")
	w := c.last(c.get("/shop/session?op=unserializable&k=thing"))
	wantEqual(t, "state after an attribute that cannot be written", w.state, "same")
	w = c.last(c.get("/shop/session?op=set&k=kept&v=still"))
	here := c.get("/shop/session?op=touch")
	wantEqual(t, "the attribute in the live session", here.line("value thing"), "here")
	named := strings.Count(node1.Log(), `attribute "thing" is not kept`)
	wantEqual(t, "lines that name it", named, 1)
	moved := c.moveTo(node2, "/shop/session", "2.0", w.bytes)
	wantEqual(t, "kept", moved.line("value kept"), "still")
	wantEqual(t, "the attribute elsewhere", moved.line("value thing"), "")
}

func listenersAreTold(t *testing.T, node1, node2 *Server) {
	c := newTier(t, node1)
	w := c.last(c.get("/shop/session?op=probe"))
	moved := c.moveTo(node2, "/shop/session", "2.0", w.bytes)
	wantEqual(t, "events of a restored session", moved.line("value probe"), "bound=1,activated=1,unbound=0")
	c.server = node1
	c.send(request{op: "drop", path: "/shop/session"})
	wantEqual(t, "status of a read after drop", c.send(request{op: "read", path: "/shop/session"}).StatusCode, http.StatusNotFound)
}
