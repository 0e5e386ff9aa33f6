package protocol

import (
	"fmt"
	"strings"
	"testing"

	"rehydra/e2e/harness"
)

// Bad input from a backend: nothing malformed is believed, the request is answered, and the state is asked for instead.

func TestMalformedReports(t *testing.T) {
	t.Parallel()
	const app = `app="localhost/"`
	values := map[string]string{
		"empty":              "",
		"no id":              app + `; version=1.2; ttl=1; state=inline`,
		"no app":             `id="BAD.node1"; version=1.2; ttl=1; state=inline`,
		"no version":         `id="BAD.node1"; ` + app + `; ttl=1; state=inline`,
		"no state":           `id="BAD.node1"; ` + app + `; version=1.2; ttl=1`,
		"unknown state":      `id="BAD.node1"; ` + app + `; version=1.2; ttl=1; state=maybe`,
		"upper-case state":   `id="BAD.node1"; ` + app + `; version=1.2; ttl=1; state=INLINE`,
		"version 1":          `id="BAD.node1"; ` + app + `; version=1; ttl=1; state=inline`,
		"version 1.":         `id="BAD.node1"; ` + app + `; version=1.; ttl=1; state=inline`,
		"version -1.2":       `id="BAD.node1"; ` + app + `; version=-1.2; ttl=1; state=inline`,
		"version 0.1":        `id="BAD.node1"; ` + app + `; version=0.1; ttl=1; state=inline`,
		"version too large":  `id="BAD.node1"; ` + app + `; version=99999999999999999999.1; ttl=1; state=inline`,
		"version in hex":     `id="BAD.node1"; ` + app + `; version=1.0x2; ttl=1; state=inline`,
		"ttl no number":      `id="BAD.node1"; ` + app + `; version=1.2; ttl=soon; state=inline`,
		"ttl fraction":       `id="BAD.node1"; ` + app + `; version=1.2; ttl=1.5; state=inline`,
		"id with a blank":    `id="B D.node1"; ` + app + `; version=1.2; ttl=1; state=inline`,
		"id too long":        `id="` + strings.Repeat("x", 5000) + `"; ` + app + `; version=1.2; ttl=1; state=inline`,
		"id only a route":    `id=".node1"; ` + app + `; version=1.2; ttl=1; state=inline`,
		"app empty":          `id="BAD.node1"; app=""; version=1.2; ttl=1; state=inline`,
		"app too long":       `id="BAD.node1"; app="` + strings.Repeat("x", 5000) + `"; version=1.2; ttl=1; state=inline`,
		"id twice":           `id="BAD.node1"; id="EVIL.node1"; ` + app + `; version=1.2; ttl=1; state=inline`,
		"was malformed":      `id="BAD.node1"; was="x y"; ` + app + `; version=1.2; ttl=1; state=inline`,
		"quote that is open": `id="BAD.node1; ` + app + `; version=1.2; ttl=1; state=inline`,
		"commas":             `id="BAD.node1", ` + app + `, version=1.2, ttl=1, state=inline`,
		"no separators":      `id="BAD.node1" ` + app + ` version=1.2 ttl=1 state=inline`,
		"two of them":        `id="BAD.node1"; ` + app + `; version=1.2; ttl=1; state=inline` + "\r\nRehydra-Session: " + `id="EVIL.node1"; ` + app + `; version=1.2; ttl=1; state=inline`,
		"bytes over 0x7f":    "id=\"B\xffD.node1\"; " + app + "; version=1.2; ttl=1; state=inline",
		"no state field":     `id="BAD.node1"; ` + app + `; version=1.2; ttl=1; state=inline` + "\x00-",
		"padded base64":      `id="BAD.node1"; ` + app + `; version=1.2; ttl=1; state=inline` + "\x00eA==",
		"standard base64":    `id="BAD.node1"; ` + app + `; version=1.2; ttl=1; state=inline` + "\x00+/+/",
		"broken base64":      `id="BAD.node1"; ` + app + `; version=1.2; ttl=1; state=inline` + "\x00a",
		"two states":         `id="BAD.node1"; ` + app + `; version=1.2; ttl=1; state=inline` + "\x00eA\r\nRehydra-State: eQ",
	}
	for _, where := range []string{"head", "trailers"} {
		t.Run(where, func(t *testing.T) {
			t.Parallel()
			var answer func(q *call)
			b := startBackend(t, "node1", func(q *call) { answer(q) })
			heir := startHeir(t, "node2")
			g := newRig(t, []*backend{b, heir})
			bases := map[string]string{} // by name
			for name, value := range values {
				base := fmt.Sprintf("BAD%d", len(bases))
				bases[name] = base
				answer = malformedAnswers(base+".node1", where, strings.ReplaceAll(value, "BAD", base))
				b.forget()
				g.get("/new", "0000.node1")
				if r := g.get("/", base+".node1"); r.body != "fine" {
					t.Errorf("%s: the answer is %q", name, r.body)
				}
				if n := len(b.operations()); n != 1 {
					t.Errorf("%s: %d reads, wanted 1", name, n)
				}
			}
			g.isCounter("saves", float64(2*len(values)))
			g.isCounter("unprotected", 0)
			b.Down()
			for name, base := range bases {
				if have, state := g.restored(heir, base+".node1"); have != "2.0" || state != "asked" {
					t.Errorf("%s: another backend got %q and %q, wanted what was read", name, have, state)
				}
			}
			if have, _ := g.restored(heir, "EVIL.node1"); have != "none" {
				t.Errorf("a session of a malformed report is known: %q", have)
			}
		})
	}
}

// malformedAnswers makes the session id, answers requests with a malformed report, and reads with a good one. value is that of
// Rehydra-Session, and may go on after a NUL with that of Rehydra-State; "-" is none.
func malformedAnswers(id, where, value string) func(*call) {
	value, state, own := strings.Cut(value, "\x00")
	fields := []string{"Rehydra-Session: " + value, "Rehydra-State: eHh4"}
	switch {
	case own && state == "-":
		fields = fields[:1]
	case own:
		fields[1] = "Rehydra-State: " + state
	}
	return func(q *call) {
		switch {
		case q.op() == "read":
			q.reply(readAnswer(id, "1.3", "asked"))
		case q.path() == "/new":
			q.reply(inline(id, "1.1", "first"))
		case where == "head":
			q.reply(reply{fields: fields, body: "fine"})
		default:
			r := late(id, "1.2", fields...)
			r.body = "fine"
			q.reply(r)
		}
	}
}

// Parameters that are new to us are no reason to mistrust a report, nor is another order, nor are blanks.
func TestReportsThatAreFine(t *testing.T) {
	t.Parallel()
	for i, value := range []string{
		`id="FINE.node1"; app="localhost/"; version=1.2; ttl=1800; state=inline; since=3; x="y z"`,
		`state=inline;ttl=0;version=1.2;app="localhost/";id="FINE.node1"`,
		`id=FINE.node1;  app=localhost/ ;	version="1.2"; state="inline"`,
		`id="FINE.node1"; app="localhost/"; version=1.2; ttl=-1; state=inline`,
		`id="FINE.node1"; app="localhost/"; version=1.2; ttl=99999999999; state=inline`,
		`id="FINE.node1"; was="FINE.node9"; app="localhost/"; version=1.2; ttl=5; state=inline`,
	} {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			t.Parallel()
			b := startScript(t, "node1", script{"/": always(reply{fields: []string{"Rehydra-Session: " + value, stateField("fine")}, body: "ok"})})
			heir := startHeir(t, "node2")
			g := newRig(t, []*backend{b, heir})
			g.send(query{})
			b.Down()
			if have, state := g.restored(heir, "FINE.node1"); have != "2.0" || state != "fine" {
				t.Errorf("another backend got %q and %q from %s", have, state, value)
			}
		})
	}
}

// 3 MB of state: the request is answered, the older copy stays, and it is counted and logged.
func TestStateThatIsTooLarge(t *testing.T) {
	eachStore(t, func(t *testing.T, nodes []*harness.Memcached) {
		huge := text(3_000_000)
		for i, c := range []struct {
			name, trailer string // "": pull
		}{{"pull", ""}, {"late", huge}, {"late, a byte too large", huge[:1_000_001]}} {
			t.Run(c.name, func(t *testing.T) {
				base := fmt.Sprintf("HUGE%d", i)
				id := base + ".node1"
				second := pull(id, "1.2")
				if c.trailer != "" {
					second = late(id, "1.2", report(id, "1.2", "ttl=1800; state=inline"), stateField(c.trailer))
				}
				b := startScript(t, "node1", script{
					"/new": always(inline(id, "1.1", "older")), "/": always(second), "read": always(readAnswer(id, "1.2", huge)),
				})
				heir := startHeir(t, "node2")
				g := newRigOn(t, nodes, []*backend{b, heir})
				g.send(query{target: "/new"})
				if r := g.get("/", id); r.body != "ok" || r.err != nil {
					t.Errorf("the answer is %q, %v", clip(r.body), r.err)
				}
				g.isCounter("unprotected", 1)
				g.isCounter("saves", 1)
				g.proxy.WaitEvent(t, "a state that is too large", func(e harness.Event) bool {
					return e.Text("level") == "warn" && strings.Contains(e.Text("message"), "too large")
				})
				b.Down()
				if have, state := g.restored(heir, id); have != "2.0" || state != "older" {
					t.Errorf("another backend got %q and %q, wanted the older copy", have, clip(state))
				}
			})
		}
	})
}

// A state that the tier keeps but a node refuses (an item over memcached's limit) leaves the older copy where it is.
func TestStateThatANodeRefuses(t *testing.T) {
	t.Parallel()
	nodes := twoNodes(t)
	b := startScript(t, "node1", script{
		"/new": always(inline("ITEM.node1", "1.1", "older")), "/": always(pull("ITEM.node1", "1.2")),
		"read": always(readAnswer("ITEM.node1", "1.2", text(1_500_000))),
	})
	heir := startHeir(t, "node2")
	g := newRigOn(t, nodes, []*backend{b, heir}, session("max_state = 2000000"))
	g.send(query{target: "/new"})
	g.get("/", "ITEM.node1")
	g.isCounter("unprotected", 1)
	b.Down()
	if have, state := g.restored(heir, "ITEM.node1"); have != "2.0" || state != "older" {
		t.Errorf("another backend got %q and %d bytes, wanted the older copy", have, len(state))
	}
}

// Interim answers, upgrades and trailers of any name carry nothing of ours to the client (client_test.go looks at every byte).
func TestNothingOfOursReachesTheClient(t *testing.T) {
	t.Parallel()
	ours := []string{report("L.node1", "1.1", "state=same"), "Rehydra-State: eA", `Rehydra-Need: id="L.node1"; app="a"`, "rehydra-adapter: 1", "REHYDRA-FUTURE: x"}
	lines := strings.Join(ours, "\r\n") + "\r\n"
	b := startBackend(t, "node1", func(q *call) {
		switch q.path() {
		case "/early":
			q.say("HTTP/1.1 103 Early Hints\r\n" + lines + "Link: </a.css>\r\n\r\n")
			q.reply(plain("ok").with(ours...))
		case "/upgrade":
			q.say("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade, Rehydra-Session\r\nUpgrade: x\r\n" + lines + "\r\n")
			q.conn.Close()
		case "/until-close":
			q.say("HTTP/1.1 200 OK\r\nRehydra-Adapter: 1\r\n" + lines + "\r\nbody")
			q.conn.Close()
		default:
			r := reply{body: "ok", chunked: true, fields: []string{"Trailer: X-Sum, rehydra-session", "Connection: Rehydra-Session"}}
			r.trailers = append([]string{"X-Sum: 1"}, ours...)
			q.reply(r.with(ours...))
		}
	})
	g := newRig(t, []*backend{b})
	for _, target := range []string{"/early", "/until-close", "/trailers", "/trailers.png"} {
		for _, old := range []bool{false, true} {
			r := ask(t, g.proxy.Address(), 200, query{target: target, close: old})
			if target == "/trailers" && !old && r.trailer.Get("X-Sum") != "1" {
				t.Errorf("trailers %v, wanted X-Sum", r.trailer)
			}
		}
	}
	if r := g.send(query{target: "/upgrade", fields: []string{"Connection: Upgrade", "Upgrade: x"}}); r.status != 101 {
		t.Errorf("status %d, wanted 101", r.status)
	}
}
