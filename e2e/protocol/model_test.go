package protocol

import (
	"fmt"
	"net/url"
	"strings"
	"sync"
	"testing"
)

// model is an adapter as section 2 describes it, with an application behind it that keeps a text in each session:
//
//	/new?id=A       makes the session A, its text empty
//	/add?text=x     appends to the text
//	/get            answers the text
//	/logout         ends the session
//
// All answer the text as it is then, and X-Node. how=inline|late|pull chooses how a change is reported; else it is
// inline, and late where a head has no room.
type model struct {
	*backend
	before func(*call) bool // sees a request first; true: it has answered

	mu       sync.Mutex
	sessions map[string]*kept
	ended    map[string]bool
	ran      map[string]int // by path: how often the application was called
}

type kept struct {
	generation, counter int
	text                string
}

func (s *kept) version() string { return fmt.Sprintf("%d.%d", s.generation, s.counter) }

func startModel(t *testing.T, route string) *model {
	m := &model{}
	m.backend = startBackend(t, route, nil)
	m.clear()
	m.handle = m.answer
	return m
}

// clear forgets all sessions, as a restart does.
func (m *model) clear() {
	m.mu.Lock()
	m.sessions, m.ended, m.ran = map[string]*kept{}, map[string]bool{}, map[string]int{}
	m.mu.Unlock()
}

// restart is kill -9 and a start with nothing.
func (m *model) restart() {
	m.Down()
	m.clear()
	m.Up()
}

// session returns a copy of what is kept of a session, nil if nothing.
func (m *model) session(base string) *kept {
	m.mu.Lock()
	defer m.mu.Unlock()
	if s := m.sessions[base]; s != nil {
		c := *s
		return &c
	}
	return nil
}

// runs returns how often the application was called with a path.
func (m *model) runs(path string) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.ran[path]
}

func (m *model) answer(q *call) {
	if m.before != nil && m.before(q) {
		return
	}
	base, route, _ := strings.Cut(q.id(), ".")
	m.mu.Lock()
	defer m.mu.Unlock()
	if q.op() != "" {
		q.reply(m.operate(q, base))
		return
	}
	if q.id() != "" {
		switch have := q.have(); have {
		case "none":
		case "gone":
			delete(m.sessions, base)
		case "ask":
			q.reply(need(q.id()))
			return
		default:
			if state, ok := q.lookup("Rehydra-State"); ok {
				m.install(base, have, decode(m.t, state))
			}
			s := m.sessions[base]
			if s == nil || have != "" && newer(have, s.version()) || have == "" && route != m.route {
				q.reply(need(q.id()))
				return
			}
		}
	}
	m.run(q, base)
}

// install puts a state in place of an older one; false: what is here is as new.
func (m *model) install(base, version, text string) bool {
	if s := m.sessions[base]; s != nil && !newer(version, s.version()) {
		return false
	}
	s := &kept{text: text}
	if _, err := fmt.Sscanf(version, "%d.%d", &s.generation, &s.counter); err != nil {
		m.t.Errorf("%s is to install version %q: %v", m.route, version, err)
	}
	m.sessions[base] = s
	return true
}

func newer(a, b string) bool {
	var ag, ac, bg, bc int
	if _, err := fmt.Sscanf(a, "%d.%d", &ag, &ac); err != nil {
		return false
	}
	if _, err := fmt.Sscanf(b, "%d.%d", &bg, &bc); err != nil {
		return true
	}
	return ag > bg || ag == bg && ac > bc
}

func (m *model) operate(q *call, base string) reply {
	if err := q.readBody(); err != nil {
		return plain("").as("400 Bad Request")
	}
	s := m.sessions[base]
	id := base + "." + m.route
	switch q.op() {
	case "read":
		switch {
		case s == nil && m.ended[base]:
			return gone(id, "1.1").as("410 Gone")
		case s == nil:
			return plain("").as("404 Not Found")
		case q.get("If-None-Match") == `"`+s.version()+`"`:
			return same(id, s.version()).as("304 Not Modified")
		}
		return readAnswer(id, s.version(), s.text)
	case "install":
		if !m.install(base, q.have(), string(q.body)) {
			return plain("").as("409 Conflict")
		}
		return plain("").as("204 No Content")
	}
	return plain("").as("501 Not Implemented")
}

// run is the application.
func (m *model) run(q *call, base string) {
	if q.get("Expect") != "" {
		q.say("HTTP/1.1 100 Continue\r\n\r\n")
	}
	_ = q.readBody() // a body that breaks off ends the connection after the answer
	u, err := url.Parse(q.target)
	if err != nil {
		q.reply(plain("").as("400 Bad Request"))
		return
	}
	m.ran[u.Path]++
	args := u.Query()
	node := "X-Node: " + m.route
	s, how := m.sessions[base], args.Get("how")
	if u.Path == "/new" {
		base, s = args.Get("id"), &kept{generation: 1}
		m.sessions[base] = s
	}
	if s == nil {
		q.reply(plain("no session").with(node))
		return
	}
	id := base + "." + m.route
	switch u.Path {
	case "/logout":
		delete(m.sessions, base)
		m.ended[base] = true
		q.reply(gone(id, s.version()).with(node))
		return
	case "/new":
		s.counter = 1
	case "/add":
		s.text += args.Get("text") + string(q.body)
		s.counter++
	default:
		r := same(id, s.version()).with(node)
		r.body = s.text
		q.reply(r)
		return
	}
	if len(s.text) > 4096 && how == "" {
		how = "late"
	}
	r := inline(id, s.version(), s.text)
	switch how {
	case "late":
		r = late(id, s.version(), report(id, s.version(), "ttl=1800; state=inline"), stateField(s.text))
	case "pull":
		r = pull(id, s.version())
	}
	r = r.with(node, "Set-Cookie: JSESSIONID="+id+"; Path=/; HttpOnly")
	r.body = s.text
	q.reply(r)
}

// wantAt wants the session base to be answered by m with a text.
func wantAt(t testing.TB, r response, m *model, text string) {
	t.Helper()
	if node := r.header.Get("X-Node"); node != m.route || r.body != text {
		t.Fatalf("answered by %q with %q, wanted %q with %q", node, clip(r.body), m.route, clip(text))
	}
}

// begin makes the session base at m and gives it a text; it returns its id.
func (g *rig) begin(m *model, base, text string) string {
	g.t.Helper()
	id := base + "." + m.route
	g.get("/new?id="+base, "0000."+m.route) // an id that nobody knows, for its route
	g.get("/add?text="+url.QueryEscape(text), id)
	if s := m.session(base); s == nil || s.text != text {
		g.t.Fatalf("the session %s was not made at %s", base, m.route)
	}
	return id
}

// warm lets the proxy see the adapter of each model.
func (g *rig) warm(models ...*model) {
	g.t.Helper()
	for _, m := range models {
		r := g.get("/", "0000."+m.route)
		if r.header.Get("X-Node") != m.route {
			g.t.Fatalf("%s answered in place of %s", r.header.Get("X-Node"), m.route)
		}
	}
}
