package tomcat

import (
	"net/http"
	"strings"
	"testing"
)

// The byte of a state that says whether all its values are of Java serialisation.
const (
	formatByte   = 2
	javaFormat   = 1
	mixedFormat  = 2
	serializedBy = `serialization="kryo"`
)

func kryoLib(t *testing.T) []string {
	t.Helper()
	jar, err := KryoJar(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return []string{jar}
}

// launch starts Tomcats of these configurations at the same time.
func launch(t *testing.T, configs ...Config) []*Server {
	t.Helper()
	var servers []*Server
	for _, c := range configs {
		s := New(t, c)
		s.Launch()
		servers = append(servers, s)
	}
	for _, s := range servers {
		s.WaitReady()
	}
	return servers
}

// fill gives a session beans, a list, a text, and an attribute that the filter of TestKryo does not keep.
func fill(c *tier) word {
	c.t.Helper()
	for _, op := range []string{"basket&v=tea", "append&k=list&v=1", "probe", "set&k=secret&v=x", "append&k=list&v=2", "set&k=text&v=kept"} {
		c.get("/shop/session?op=" + op)
	}
	return c.last(c.get("/shop/session?op=basket&v=milk"))
}

// TestKryo takes a session from one Tomcat, killed, to another; both write with Kryo and keep some attributes only.
func TestKryo(t *testing.T) {
	for _, release := range []Release{Tomcat7, Tomcat9, Tomcat10} {
		t.Run(release.Version, func(t *testing.T) {
			config := Config{Release: release, Route: "node1", Lib: kryoLib(t),
				ValveAttributes: serializedBy + ` sessionAttributeFilter="basket|list|probe|te.t|heap"`}
			second := config
			second.Route = "node2"
			servers := launch(t, config, second)
			node1, node2 := servers[0], servers[1]
			c := newTier(t, node1)
			w := fill(c)
			wantEqual(t, "format of the state", w.bytes[formatByte], mixedFormat)
			wantEqual(t, "state of a request that changes nothing", c.last(c.get("/shop/session?op=touch")).state, "same")
			node1.Kill9()
			moved := c.moveTo(node2, "/shop/session", "2.0", w.bytes)
			wantEqual(t, "basket", moved.line("value basket"), "2,tea,milk")
			wantEqual(t, "list", moved.line("value list"), "1,2")
			wantEqual(t, "text", moved.line("value text"), "kept")
			wantEqual(t, "events", moved.line("value probe"), "bound=1,activated=1,unbound=0")
			wantEqual(t, "attribute that is not kept", moved.line("value secret"), "")
			wantEqual(t, "state after the fail-over", c.last(moved).state, "same")
			w = c.last(c.get("/shop/session?op=basket&v=bread"))
			wantEqual(t, "a change inside the bean", w.version, "2.1")
			w = c.last(c.get("/shop/session?op=big&k=heap&n=200000"))
			wantEqual(t, "a large state, read again", c.reported(w).line("size heap"), "200000")
			node2.Stop()
			for _, line := range node2.BadLines() {
				t.Errorf("line in catalina.out: %s", line)
			}
		})
	}
}

// TestChangeToKryo changes nodes over one by one: where the jar is, both kinds are read; where it is not, a state of Kryo's is refused
// and nothing changes.
func TestChangeToKryo(t *testing.T) {
	lib := kryoLib(t)
	servers := launch(t,
		Config{Release: Tomcat10, Route: "node1", Lib: lib, ValveAttributes: serializedBy},
		Config{Release: Tomcat10, Route: "node2", Lib: lib},
		Config{Release: Tomcat10, Route: "node3"})
	changed, prepared, old := servers[0], servers[1], servers[2]
	c := newTier(t, changed)
	w := fill(c)

	c.server = old
	refused := c.send(request{op: "install", path: "/shop/session", have: "2.0", body: w.bytes})
	wantEqual(t, "status of install where the jar is missing", refused.StatusCode, http.StatusBadRequest)
	if want := `attribute "basket" was written by serializer 2 (kryo), here are [1]`; !strings.Contains(refused.text, want) {
		t.Errorf("install is refused with %q, wanted %q in it", refused.text, want)
	}
	inline := c.send(request{path: "/shop/session?op=count&request=never", have: "2.0", state: w.bytes})
	wantEqual(t, "status of a state in the header where the jar is missing", inline.StatusCode, http.StatusPreconditionRequired)
	wantEqual(t, "calls of the application", len(old.Executed()), 0)

	wantEqual(t, "lines that say so", strings.Count(old.Log(), `cannot install a session of localhost/shop: cannot read session state: attribute "basket"`), 2)

	moved := c.moveTo(prepared, "/shop/session?op=basket&v=bread", "3.0", w.bytes)
	wantEqual(t, "basket where the jar is", moved.line("value basket"), "3,tea,milk,bread")
	w = c.last(moved)
	wantEqual(t, "format of the state there", w.bytes[formatByte], javaFormat)
	moved = c.moveTo(old, "/shop/session", "4.0", w.bytes)
	wantEqual(t, "basket where the jar is not", moved.line("value basket"), "3,tea,milk,bread")
	moved = c.moveTo(changed, "/shop/session?op=basket&v=figs", "5.0", w.bytes)
	wantEqual(t, "basket back again", moved.line("value basket"), "4,tea,milk,bread,figs")
	wantEqual(t, "format of the state there", c.last(moved).bytes[formatByte], mixedFormat)
}

// TestFilterWithKryo holds that the manager's filter of classes is asked about every class that Kryo reads.
func TestFilterWithKryo(t *testing.T) {
	s := Start(t, Config{Release: Tomcat9, Route: "node1", Lib: kryoLib(t), ValveAttributes: serializedBy,
		ContextXML: `<Manager className="org.apache.catalina.session.StandardManager" pathname=""
			sessionAttributeValueClassNameFilter="java\..*|rehydra\.Basket|rehydra\.Probe" warnOnSessionAttributeFilterFailure="true"/>`})
	c := newTier(t, s)
	restored := c.reported(fill(c))
	wantEqual(t, "list", restored.line("value list"), "1,2")
	wantEqual(t, "events", restored.line("value probe"), "bound=1,activated=1,unbound=0")
	wantEqual(t, "basket, whose items the filter refuses", restored.line("value basket"), "")
	wantEqual(t, "lines that name it", strings.Count(s.Log(), `attribute "basket" is not kept`), 1)
}
