package rehydra

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"
)

// Errors of the session API.
var (
	// ErrNoMiddleware: the request did not pass Manager.Middleware.
	ErrNoMiddleware = errors.New("the request did not come through the session middleware")
	// ErrResponseBegan: the client can no longer learn an id, for the response's head is out.
	ErrResponseBegan = errors.New("the response has begun")
	// ErrEnded: the session was invalidated, by this request or by another one.
	ErrEnded = errors.New("the session has ended")
)

// Session is a request's hold on its session. Other requests of the same client may hold the same session at the same
// time; each call is atomic, a Get followed by a Set is not. Changes made after the handler returned are kept, and
// reported with the session's next request.
type Session struct {
	exchange *exchange
	record   *record
}

// FromRequest returns the request's session and makes one where there is none; the client then gets a cookie. The error is
// ErrNoMiddleware, or ErrResponseBegan where a new one is needed too late.
func FromRequest(r *http.Request) (*Session, error) {
	e, ok := r.Context().Value(exchangeKey{}).(*exchange)
	if !ok {
		return nil, ErrNoMiddleware
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if s := e.alive(); s != nil {
		return s, nil
	}
	if e.began {
		return nil, fmt.Errorf("cannot make a session: %w", ErrResponseBegan)
	}
	return e.create(), nil
}

// Existing returns the request's session; false, if it has none.
func Existing(r *http.Request) (*Session, bool) {
	e, ok := r.Context().Value(exchangeKey{}).(*exchange)
	if !ok {
		return nil, false
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	s := e.alive()
	return s, s != nil
}

// alive returns the session unless it has ended, here or in another request. Locked.
func (e *exchange) alive() *Session {
	if e.session == nil || e.session.record.head.Load().ended {
		return nil
	}
	return e.session
}

// ID returns the session's id: the base id and, after a dot, this backend's route.
func (s *Session) ID() string { return s.record.head.Load().id }

// CreatedAt returns when the session began, at whichever backend, to the millisecond.
func (s *Session) CreatedAt() time.Time { return time.UnixMilli(s.record.created.UnixMilli()) }

// Names returns the names of the values, sorted.
func (s *Session) Names() []string { return s.record.names() }

// Get decodes the value of that name into the variable that into points at, and reports whether there is one. The error
// is of encoding/json, where the value is of another type.
func (s *Session) Get(name string, into any) (bool, error) {
	raw, ok := s.record.get(name)
	if !ok {
		return false, nil
	}
	if err := json.Unmarshal(raw, into); err != nil {
		return true, fmt.Errorf("cannot read session value %q: %w", name, err)
	}
	return true, nil
}

// Set stores a value: anything that encoding/json can write. To set what is there already changes nothing. The error is
// that of encoding/json, or ErrEnded.
func (s *Session) Set(name string, value any) error {
	raw, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("cannot set session value %q: %w", name, err)
	}
	if !s.record.set(name, raw) {
		return fmt.Errorf("cannot set session value %q: %w", name, ErrEnded)
	}
	return nil
}

// Delete removes a value.
func (s *Session) Delete(name string) { s.record.delete(name) }

// Renew gives the session a new id and keeps its contents. Do it at each login, so that an id that somebody planted
// beforehand is worth nothing. The error is ErrResponseBegan or ErrEnded.
func (s *Session) Renew() error {
	e := s.exchange
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.began {
		return fmt.Errorf("cannot renew a session id: %w", ErrResponseBegan)
	}
	id := newID(e.m.options.Route)
	if !s.record.rename(id, e.m.sessions) {
		return fmt.Errorf("cannot renew a session id: %w", ErrEnded)
	}
	e.cookie = id
	return nil
}

// Invalidate ends the session, at once and everywhere. FromRequest then makes a new one.
func (s *Session) Invalidate() {
	e := s.exchange
	e.mu.Lock()
	defer e.mu.Unlock()
	if !s.record.end() {
		return
	}
	e.m.sessions.end(s.record)
	e.cookie, e.expire = "", true
}

// rename gives the session a new id under a new base. Whatever is stored under the old one is void, so the
// state counts as changed. It reports false when the session has ended.
func (r *record) rename(id string, g *registry) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	h := *r.head.Load()
	if h.ended {
		return false
	}
	h.id = id
	r.head.Store(&h)
	r.touched = true
	clear(r.sum[:])
	g.rename(r, baseOf(id))
	return true
}
