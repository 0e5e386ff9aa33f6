package protocol

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"rehydra/e2e/harness"
)

// Section 3: what the tier makes of an answer.

// script is a backend whose answers are chosen by path. "read" is the answer to an operation read.
type script map[string]func(q *call) reply

// always answers the same.
func always(r reply) func(*call) reply { return func(*call) reply { return r } }

func startScript(t *testing.T, route string, s script) *backend {
	t.Helper()
	return startBackend(t, route, func(q *call) {
		name := q.path()
		if q.op() != "" {
			name = q.op()
		}
		answer, ok := s[name]
		if !ok {
			t.Errorf("%s got an unwanted %s %s: %q", route, q.method, name, q.fields)
			q.reply(plain("").as("500 Internal Server Error"))
			return
		}
		if q.readBody() == nil {
			q.reply(answer(q))
		}
	})
}

// restored looks what another backend gets of a session: the version and state to install, or none or gone.
func (g *rig) restored(at *backend, id string) (have, state string) {
	g.t.Helper()
	at.forget()
	g.send(query{target: "/restore", cookie: id})
	calls := at.filter(func(*call) bool { return true })
	if len(calls) == 0 {
		g.t.Fatalf("%s was not asked for %s", at.route, id)
	}
	have = calls[len(calls)-1].have()
	for _, q := range calls {
		if s, ok := q.lookup("Rehydra-State"); ok {
			state = decode(g.t, s)
		}
		if q.op() == "install" {
			state = string(q.body)
		}
	}
	return have, state
}

// startHeir starts a backend that asks for every session, takes what it gets, and says that nothing changed.
func startHeir(t *testing.T, route string) *backend {
	return startBackend(t, route, func(q *call) {
		switch {
		case q.op() == "install":
			if q.readBody() == nil {
				q.reply(plain("").as("204 No Content"))
			}
		case q.op() == "read" && q.get("If-None-Match") != "":
			q.reply(plain("").as("304 Not Modified"))
		case q.op() == "read":
			q.reply(plain("").as("404 Not Found")) // it keeps no states
		case q.have() == "ask" || q.have() == "":
			q.reply(need(q.id()))
		case isVersion(q.have()):
			q.reply(same(strings.Split(q.id(), ".")[0]+"."+route, q.have()))
		default:
			q.reply(plain("none"))
		}
	})
}

// Each way to report a state stores it before the answer's end, and another backend gets it.
func TestEveryReportIsStored(t *testing.T) {
	eachStore(t, func(t *testing.T, nodes []*harness.Memcached) {
		big, huge := text(3000), text(900_000)
		trailers := func(id, version, state string) []string {
			return []string{report(id, version, "ttl=1800; state=inline"), stateField(state)}
		}
		for i, c := range []struct {
			name, method, state string
			answer              func(id string) reply
			reads               int
		}{
			{"inline", "GET", "small", func(id string) reply { return inline(id, "1.1", "small") }, 0},
			{"inline, empty", "GET", "", func(id string) reply { return inline(id, "1.1", "") }, 0},
			{"inline, binary", "GET", "\x00\xff\r\n\x80", func(id string) reply { return inline(id, "1.1", "\x00\xff\r\n\x80") }, 0},
			{"inline, to a redirect", "GET", "r", func(id string) reply { return inline(id, "1.1", "r").as("302 Found").with("Location: /x") }, 0},
			{"inline, to an error", "GET", "e", func(id string) reply { return inline(id, "1.1", "e").as("500 Internal Server Error") }, 0},
			{"inline, HEAD", "HEAD", "h", func(id string) reply { return inline(id, "1.1", "h") }, 0},
			{"inline, 204", "GET", "n", func(id string) reply { return inline(id, "1.1", "n").as("204 No Content") }, 0},
			{"inline, 304", "GET", "m", func(id string) reply { return inline(id, "1.1", "m").as("304 Not Modified") }, 0},
			{"inline, chunked", "GET", big, func(id string) reply { r := inline(id, "1.1", big); r.chunked = true; return r }, 0},
			{"late", "GET", "l", func(id string) reply { return late(id, "1.1", trailers(id, "1.2", "l")...) }, 0},
			{"late, large", "GET", huge, func(id string) reply { return late(id, "1.1", trailers(id, "1.2", huge)...) }, 0},
			{"late, large, to an HTTP/1.0 client", "GET", huge, func(id string) reply {
				r := late(id, "1.1", trailers(id, "1.2", huge)...)
				r.body = text(100_000)
				return r
			}, 0},
			{"pull, to an HTTP/1.0 client", "GET", "asked", func(id string) reply { return pull(id, "1.1") }, 1},
			{"late, POST", "POST", big, func(id string) reply { return late(id, "1.1", trailers(id, "1.2", big)...) }, 0},
			{"late, announced", "GET", "a", func(id string) reply {
				return late(id, "1.1", append(trailers(id, "1.2", "a"), "X-Sum: 7")...).with("Trailer: Rehydra-Session, rehydra-state", "Trailer: X-Sum")
			}, 0},
			{"late without trailers", "GET", "asked", func(id string) reply { return late(id, "1.1") }, 1},
			{"late, HEAD", "HEAD", "asked", func(id string) reply { return late(id, "1.1") }, 1},
			{"late, trailers say pull", "GET", "asked", func(id string) reply {
				return late(id, "1.1", report(id, "1.2", "ttl=1800; state=pull"))
			}, 1},
			{"late, trailers say late", "GET", "asked", func(id string) reply {
				return late(id, "1.1", report(id, "1.2", "ttl=1800; state=late"))
			}, 1},
			{"late, trailers without a state", "GET", "asked", func(id string) reply {
				return late(id, "1.1", report(id, "1.2", "ttl=1800; state=inline"))
			}, 1},
			{"late, no body to have trailers", "GET", "asked", func(id string) reply { return late(id, "1.1").as("204 No Content") }, 1},
			{"pull", "GET", "asked", func(id string) reply { return pull(id, "1.1") }, 1},
			{"pull, chunked", "GET", "asked", func(id string) reply { r := pull(id, "1.1"); r.chunked = true; return r }, 1},
			{"pull, HEAD", "HEAD", "asked", func(id string) reply { return pull(id, "1.1") }, 1},
			{"pull, 204", "GET", "asked", func(id string) reply { return pull(id, "1.1").as("204 No Content") }, 1},
			{"pull, 304", "GET", "asked", func(id string) reply { return pull(id, "1.1").as("304 Not Modified") }, 1},
			{"same, of a version that is not stored", "GET", "asked", func(id string) reply { return same(id, "1.7") }, 1},
			{"same, HEAD", "HEAD", "asked", func(id string) reply { return same(id, "1.7") }, 1},
		} {
			t.Run(c.name, func(t *testing.T) {
				base := fmt.Sprintf("REP%d", i)
				id := base + ".node1"
				b := startScript(t, "node1", script{"/": always(c.answer(id)), "read": always(readAnswer(id, "1.7", c.state))})
				heir := startHeir(t, "node2")
				g := newRigOn(t, nodes, []*backend{b, heir})
				r := g.send(query{method: c.method, close: strings.Contains(c.name, "HTTP/1.0")})
				if r.err != nil {
					t.Fatalf("no whole answer: %v", r.err)
				}
				if c.name == "late, announced" && r.trailer.Get("X-Sum") != "7" {
					t.Errorf("the application's own trailer is %v, wanted X-Sum: 7", r.trailer)
				}
				if g.counter("saves") != 1 {
					t.Errorf("saved %v times when the answer was there, wanted once", g.counter("saves"))
				}
				if n := len(b.operations()); n != c.reads {
					t.Errorf("%d reads, wanted %d", n, c.reads)
				}
				b.Down()
				if have, state := g.restored(heir, id); have != "2.0" || state != c.state {
					t.Errorf("another backend got version %q and %d bytes, wanted 2.0 and %d: %q", have, len(state), len(c.state), clip(state))
				}
			})
		}
	})
}

// What read answers, beside a state.
func TestAnswersToRead(t *testing.T) {
	eachStore(t, func(t *testing.T, nodes []*harness.Memcached) {
		for i, c := range []struct {
			name        string
			answer      func(id string) reply
			have, state string // what another backend gets afterwards
		}{
			{"unchanged", func(id string) reply { return same(id, "1.1").as("304 Not Modified") }, "2.0", "first"},
			{"ended", func(id string) reply { return gone(id, "1.2").as("410 Gone") }, "gone", ""},
			{"ended, without a report", func(string) reply { return plain("").as("410 Gone") }, "gone", ""},
			{"unknown", func(string) reply { return plain("").as("404 Not Found") }, "2.0", "first"},
			{"no adapter there any more", func(string) reply { return reply{bare: true, body: "forged"} }, "2.0", "first"},
			{"an error", func(string) reply { return plain("").as("500 Internal Server Error") }, "2.0", "first"},
			{"a state without a report", func(string) reply { return plain("second") }, "2.0", "first"},
			{"another session", func(string) reply { return readAnswer("OTHER.node1", "1.9", "second") }, "2.0", "first"},
			{"a malformed report", func(id string) reply { return reply{fields: []string{`Rehydra-Session: id=` + id}, body: "second"} }, "2.0", "first"},
			{"too large", func(id string) reply { return readAnswer(id, "1.2", text(3_000_000)) }, "2.0", "first"},
		} {
			t.Run(c.name, func(t *testing.T) {
				base := fmt.Sprintf("READ%d", i)
				id := base + ".node1"
				b := startScript(t, "node1", script{
					"/new": always(inline(id, "1.1", "first")), "/": always(pull(id, "1.1")), "read": always(c.answer(id)),
				})
				heir := startHeir(t, "node2")
				g := newRigOn(t, nodes, []*backend{b, heir})
				g.send(query{target: "/new"})
				r := ask(t, g.proxy.Address(), 200, query{cookie: id})
				if r.body != "ok" {
					t.Errorf("the answer is %q", clip(r.body))
				}
				if q := b.operations(); len(q) != 1 || q[0].get("If-None-Match") != `"1.1"` || q[0].id() != id {
					t.Errorf("%d reads, wanted one of %s with If-None-Match", len(q), id)
				}
				b.Down()
				// A hand-over that was begun anew has claimed the session once more.
				claimed := func(have string) bool {
					return c.have == "2.0" && generation(have) >= 2 && strings.HasSuffix(have, ".0")
				}
				if have, state := g.restored(heir, id); have != c.have && !claimed(have) || state != c.state {
					t.Errorf("another backend got %q and %q, wanted %q and %q", have, clip(state), c.have, c.state)
				}
			})
		}
	})
}

// A backend without an adapter, or with a wrong token: nothing that it says is believed, nothing reaches the client, and it gets no operation.
func TestBackendWithoutAnAdapter(t *testing.T) {
	t.Parallel()
	for name, r := range map[string]reply{
		"inline": inline("BARE.node1", "1.1", "x"), "pull": pull("BARE.node1", "1.1"), "same": same("BARE.node1", "1.1"),
		"late": late("BARE.node1", "1.1", report("BARE.node1", "1.2", "state=inline"), stateField("x")), "gone": gone("BARE.node1", "1.1"),
		"nothing": {body: "ok"}, "two of them": inline("BARE.node1", "1.1", "x").with("Rehydra-Adapter: 2"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r.bare = true
			b := startScript(t, "node1", script{"/": always(r)})
			heir := startHeir(t, "node2")
			g := newRig(t, []*backend{b, heir})
			for _, method := range []string{"GET", "POST", "HEAD"} {
				g.send(query{method: method, cookie: "BARE.node1"})
			}
			if n := len(b.operations()); n != 0 {
				t.Errorf("%d operations, wanted none", n)
			}
			g.isCounter("saves", 0)
			b.Down()
			if have, _ := g.restored(heir, "BARE.node1"); have != "none" {
				t.Errorf("another backend is told %q, wanted none", have)
			}
		})
	}
}

func TestLostFieldsAreReadOnce(t *testing.T) {
	eachStore(t, func(t *testing.T, nodes []*harness.Memcached) {
		readable := true
		b := startScript(t, "node1", script{
			"/new": always(inline("LOST.node1", "1.1", "first")), "/": always(reply{bare: true, body: "reset"}),
			"/renewed": always(reply{bare: true, body: "reset", fields: []string{"Set-Cookie: JSESSIONID=FRESH.node1; Path=/"}}),
			"read": func(q *call) reply {
				if !readable {
					return reply{bare: true}
				}
				return readAnswer(q.id(), "1.2", "read "+q.id())
			},
		})
		heir := startHeir(t, "node2")
		g := newRigOn(t, nodes, []*backend{b, heir})
		g.send(query{target: "/new"})
		g.get("/", "LOST.node1")
		if n := len(b.operations()); n != 1 {
			t.Fatalf("%d reads, wanted 1", n)
		}
		g.get("/", "LOST.node1") // the read has shown the adapter: again
		g.get("/renewed", "LOST.node1")
		if q := b.operations(); len(q) != 3 || q[2].id() != "FRESH.node1" {
			t.Errorf("%d reads, wanted 3, the last of the session that Set-Cookie names", len(q))
		}
		// The adapter is gone: one read finds that out, and no further one is sent.
		readable = false
		for range 4 {
			g.get("/", "LOST.node1")
		}
		if n := len(b.operations()); n != 4 {
			t.Errorf("%d reads after the adapter was gone, wanted 1", n-3)
		}
		b.Down()
		for _, base := range []string{"LOST", "FRESH"} {
			if have, state := g.restored(heir, base+".node1"); have != "2.0" || state != "read "+base+".node1" {
				t.Errorf("%s: another backend got %q and %q", base, have, state)
			}
		}
	})
}

// Fields lost on the way and then a 410 without a report: the request's own session has ended.
func TestLostFieldsOfAnEndedSession(t *testing.T) {
	t.Parallel()
	b := startScript(t, "node1", script{
		"/new": always(inline("LOSTEND.node1", "1.1", "x")), "/": always(reply{bare: true}), "read": always(plain("").as("410 Gone")),
	})
	heir := startHeir(t, "node2")
	g := newRig(t, []*backend{b, heir})
	g.get("/new", "")
	g.get("/", "LOSTEND.node1")
	b.Down()
	if have, _ := g.restored(heir, "LOSTEND.node1"); have != "gone" {
		t.Errorf("another backend is told %q, wanted gone", have)
	}
}

// A backend that was out is unknown again: it may have come back without its adapter.
func TestAdapterIsUnknownAfterBeingOut(t *testing.T) {
	t.Parallel()
	b := startScript(t, "node1", script{"/new": always(inline("OUT.node1", "1.1", "x")), "/": always(reply{bare: true, body: "x"})})
	heir := startHeir(t, "node2")
	g := newRig(t, []*backend{b, heir})
	g.send(query{target: "/new"})
	b.Down()
	g.get("/", "OUT.node1")
	b.Up()
	g.waitBackend(b, true)
	g.get("/", "OUT.node1")
	if q := b.requests(); len(q) != 2 || q[1].have() == "" {
		t.Errorf("%d requests to node1, the last with Rehydra-Have %q", len(q), q[len(q)-1].have())
	}
	if n := len(b.operations()); n != 0 {
		t.Errorf("%d operations, wanted none", n)
	}
}

func decode(t testing.TB, field string) string {
	t.Helper()
	state, err := base64url.DecodeString(field)
	if err != nil {
		t.Errorf("Rehydra-State %q: %v", clip(field), err)
	}
	return string(state)
}

// generation is the first number of a version; 0 where it is none.
func generation(version string) int {
	text, _, _ := strings.Cut(version, ".")
	n, err := strconv.Atoi(text)
	if err != nil {
		return 0
	}
	return n
}
