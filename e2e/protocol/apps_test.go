package protocol

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"rehydra/e2e/harness"
)

// A session is known by pool, app and base id: one cookie may stand for sessions of several apps of a server.

func TestOneIDInTwoApps(t *testing.T) {
	eachStore(t, func(t *testing.T, nodes []*harness.Memcached) {
		apps := []string{"/shop", "/admin", ""} // the root last: every path lies in it
		appOf := func(q *call) string {
			for _, a := range apps {
				if q.path() == a || strings.HasPrefix(q.path(), a+"/") {
					return a
				}
			}
			return ""
		}
		of := func(r reply, app string) reply {
			for i := range r.fields {
				r.fields[i] = strings.Replace(r.fields[i], `app="localhost/"`, `app="localhost/`+strings.TrimPrefix(app, "/")+`"`, 1)
			}
			return r
		}
		b := startBackend(t, "node1", nil)
		b.handle = func(q *call) { a := appOf(q); q.reply(of(inline("MULTI.node1", "1.1", "of "+a), a)) }
		var installed sync.Map // app: state
		heir := startBackend(t, "node2", nil)
		heir.handle = func(q *call) {
			a := appOf(q)
			if state, ok := q.lookup("Rehydra-State"); ok {
				installed.Store(a, decode(t, state))
			}
			if q.have() == "ask" || q.have() == "" {
				q.reply(of(need(q.id()), a))
				return
			}
			q.reply(of(same("MULTI.node2", q.have()), a))
		}
		g := newRigOn(t, nodes, []*backend{b, heir})
		for _, a := range apps {
			g.get(a+"/x", "MULTI.node1")
		}
		g.isCounter("saves", 3)
		b.Down()
		for _, a := range apps {
			g.get(a+"/y", "MULTI.node1")
			if state, _ := installed.Load(a); state != "of "+a {
				t.Errorf("app %q got the state %q", a, state)
			}
		}
		g.isCounter("restores", 3)
	})
}

// The request that carries the state dies on the way, and goes to another backend under the next generation. Whoever shared its hand-over is
// answered with the session, or refused since it lives elsewhere by then; whoever comes after gets the session.
func TestInstallThatIsLostOnTheWay(t *testing.T) {
	eachStore(t, func(t *testing.T, nodes []*harness.Memcached) {
		m1, m2, m3 := startModel(t, "node1"), startModel(t, "node2"), startModel(t, "node3")
		g := newRigOn(t, nodes, []*backend{m1.backend, m2.backend, m3.backend})
		g.begin(m1, "DIES", "kept")
		g.warm(m2, m3)
		var died atomic.Bool
		m2.before = func(q *call) bool {
			if _, ok := q.lookup("Rehydra-State"); ok && died.CompareAndSwap(false, true) {
				q.conn.Close() // no byte of an answer
				return true
			}
			return false
		}
		m1.Down()
		var all sync.WaitGroup
		for range 10 {
			all.Go(func() {
				r := g.send(query{target: "/get", cookie: "DIES.node2"})
				if refused := r.status == 503 && r.header.Get("Retry-After") != ""; !refused && (r.status != 200 || r.body != "kept") {
					t.Errorf("status %d, %v, %q", r.status, r.err, r.body)
				}
			})
		}
		all.Wait()
		if !died.Load() {
			t.Error("no install was lost")
		}
		for i := range 3 { // and it goes on, wherever the client turns
			r := g.send(query{method: "POST", target: "/add?text=%2B", cookie: fmt.Sprintf("DIES.node%d", 2+i%2)})
			if want := "kept" + strings.Repeat("+", i+1); r.status != 200 || r.body != want {
				t.Errorf("status %d, %q, wanted %q", r.status, r.body, want)
			}
		}
		g.isCounter("lost", 0)
	})
}

// The root's session must not be brought to an app that nobody has heard of yet, whose paths all lie in the root.
func TestAppThatNobodyHasSeen(t *testing.T) {
	eachStore(t, func(t *testing.T, nodes []*harness.Memcached) {
		b := startScript(t, "node1", script{"/": always(inline("UNSEEN.node1", "1.1", "the root's"))})
		heir := startBackend(t, "node2", func(q *call) {
			app := "/"
			if strings.HasPrefix(q.path(), "/shop/") {
				app = "/shop"
			}
			if q.have() == "ask" {
				q.reply(reply{status: "428 Precondition Required", fields: []string{fmt.Sprintf(`Rehydra-Need: id="%s"; app="localhost%s"`, q.id(), app)}})
				return
			}
			q.reply(reply{body: app}) // without a session
		})
		g := newRigOn(t, nodes, []*backend{b, heir})
		g.get("/", "UNSEEN.node1")
		g.get("/", "0000.node2") // its adapter is known from now on
		b.Down()
		heir.forget()
		g.get("/shop/cart", "UNSEEN.node1")
		g.get("/", "UNSEEN.node1")
		var got []string
		for _, q := range heir.requests() {
			_, state := q.lookup("Rehydra-State")
			got = append(got, fmt.Sprintf("%s %s %v", q.path(), q.have(), state))
		}
		want := []string{"/shop/cart ask false", "/shop/cart none false", "/ 2.0 true"}
		if !slices.Equal(got, want) {
			t.Errorf("path, Rehydra-Have and whether a state came with it: %q, wanted %q", got, want)
		}
	})
}
