package rehydra

import (
	"net/http"
	"sync"
)

// exchange is one request and its response, as far as they concern a session.
type exchange struct {
	m    *Manager
	tier bool // the proxy asked, and is told

	mu      sync.Mutex
	session *Session // what FromRequest gives; nil = none yet
	before  string   // the id of the session that the request came with; "" = none
	cookie  string   // the id that the client has to learn; "" = none
	expire  bool     // the client's cookie is to be removed
	began   bool     // the response's head is out
	pulling *record  // the proxy was told to ask for this one
	used    []*record
}

// adopt makes r the request's session; sent is the id under which the client asked for it. The registry is locked.
func (e *exchange) adopt(r *record, sent string) {
	if r == nil {
		return
	}
	e.m.sessions.use(r)
	e.used = append(e.used, r)
	e.session = &Session{exchange: e, record: r}
	e.before = r.head.Load().id
	if e.before != sent {
		e.cookie = e.before // it came from elsewhere: the route is new
	}
}

// create makes a new session for the request. Locked.
func (e *exchange) create() *Session {
	g := e.m.sessions
	id := newID(e.m.options.Route)
	r := newRecord(id, g.now())
	g.lock()
	g.put(r)
	g.use(r)
	g.mu.Unlock()
	e.used = append(e.used, r)
	e.session = &Session{exchange: e, record: r}
	e.cookie, e.expire = id, false
	return e.session
}

// release ends the request's use of its sessions.
func (e *exchange) release() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.pulling != nil {
		e.pulling.endPull()
		e.pulling = nil
	}
	for _, r := range e.used {
		e.m.sessions.release(r)
	}
	e.used = nil
}

// beforeHead adds to a response's head what the client and the proxy are to know. final says that the handler has
// returned; canTrail, that trailer fields can follow. It returns whether the last word is still to be said, in trailers.
func (e *exchange) beforeHead(h http.Header, final, canTrail bool) (later bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.began = true
	e.setCookie(h)
	if !e.tier {
		return false
	}
	removeFields(h)
	h.Set(fieldAdapter, "1")
	rep, ok := e.earlyReport(final, canTrail)
	if !ok {
		return false
	}
	if rep.kind == stateInline && len(rep.state) > e.m.options.InlineLimit {
		rep.kind = statePull
		if canTrail && len(rep.state) <= e.m.options.MaxState {
			rep.kind = stateInline
			e.setTrailers(h, rep)
			rep.kind = stateLate
		}
	}
	h.Set(fieldSession, e.m.formatReport(rep))
	if rep.kind == stateInline {
		h.Set(fieldState, encodeState(rep.state))
	}
	return rep.kind == stateLate && !final
}

// earlyReport is the last word where it can be said already, else a promise of it. ok is false when there is no session.
func (e *exchange) earlyReport(final, canTrail bool) (rep report, ok bool) {
	if final || e.session == nil {
		return e.lastWord()
	}
	h := e.session.record.head.Load()
	if h.ended {
		return e.lastWord() // no other one can follow: the client could not learn its id
	}
	rep = report{id: h.id, was: e.was(h.id), version: h.version, kind: stateLate}
	if !canTrail {
		rep.kind = statePull
		e.pulling = e.session.record
		e.pulling.beginPull()
	}
	return rep, true
}

// afterBody says the last word in trailer fields.
func (e *exchange) afterBody(h http.Header) {
	e.mu.Lock()
	defer e.mu.Unlock()
	rep, ok := e.lastWord()
	if !ok {
		return
	}
	if rep.kind == stateInline && len(rep.state) > e.m.options.MaxState {
		rep.kind = statePull
	}
	e.setTrailers(h, rep)
}

func (e *exchange) setTrailers(h http.Header, rep report) {
	h.Set(http.TrailerPrefix+fieldSession, e.m.formatReport(rep))
	if rep.kind == stateInline {
		h.Set(http.TrailerPrefix+fieldState, encodeState(rep.state))
	}
}

// lastWord tells what became of the request's session. ok is false when it had none.
func (e *exchange) lastWord() (rep report, ok bool) {
	if e.session == nil {
		return report{}, false
	}
	h, state, changed := e.session.record.settle()
	rep = report{id: h.id, was: e.was(h.id), version: h.version, kind: stateSame}
	switch {
	case h.ended:
		rep.kind = stateGone
	case changed:
		rep.kind, rep.state = stateInline, state
	}
	return rep, true
}

// was returns the id that the session had before the request, if its base is another one now.
func (e *exchange) was(now string) string {
	if e.before == "" || baseOf(e.before) == baseOf(now) {
		return ""
	}
	return e.before
}

func (e *exchange) setCookie(h http.Header) {
	o := &e.m.options
	cookie := http.Cookie{Name: o.CookieName, Value: e.cookie, Path: o.CookiePath, Secure: o.Secure,
		HttpOnly: true, SameSite: http.SameSiteLaxMode}
	switch {
	case e.cookie != "":
	case e.expire:
		cookie.MaxAge = -1
	default:
		return
	}
	h.Add("Set-Cookie", cookie.String())
}
