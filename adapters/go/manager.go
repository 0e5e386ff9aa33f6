package rehydra

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// Options says how sessions are kept. Only Token and Route are needed.
type Options struct {
	// Token is the secret shared with the proxy, [session] token there. Without one no request counts as the
	// proxy's: sessions are local.
	Token string
	// Route names this backend in session ids, `route` of the proxy's [[pool.backend]]. Wanted with a Token.
	Route string
	// App names what the sessions belong to. Programs that share sessions have the same one. Default "/".
	App string
	// CookieName is the session cookie's name, `cookie` of the proxy's [session]. Default "JSESSIONID", as there.
	CookieName string
	// CookiePath is the cookie's Path. Default "/".
	CookiePath string
	// Secure keeps the cookie to https.
	Secure bool
	// TTL is how long a session lives after its last request. Default 30 minutes; less than 0 is no limit.
	TTL time.Duration
	// InlineLimit is the most bytes of state put into a response's head, the proxy's inline_limit. Default 4096.
	InlineLimit int
	// MaxState is the most bytes of state put into trailer fields, the proxy's max_state. Default 1,000,000.
	MaxState int
	// MaxSessions bounds how many sessions are held; the one unused for longest makes room. Default 100,000.
	MaxSessions int
	// Now is the clock. Default time.Now.
	Now func() time.Time
}

// Manager keeps the sessions of one program. It is safe for concurrent use.
type Manager struct {
	options  Options
	token    [sha256.Size]byte
	sessions *registry
}

// New makes a Manager. The error says which option cannot be used, what was given and what is wanted.
func New(o Options) (*Manager, error) {
	o = o.withDefaults()
	if err := o.validate(); err != nil {
		return nil, err
	}
	return &Manager{options: o, token: sha256.Sum256([]byte(o.Token)),
		sessions: newRegistry(max(o.TTL, 0), o.MaxSessions, o.Now)}, nil
}

func (o Options) withDefaults() Options {
	orDefault(&o.App, "/")
	orDefault(&o.CookieName, "JSESSIONID")
	orDefault(&o.CookiePath, "/")
	orDefault(&o.TTL, 30*time.Minute)
	orDefault(&o.InlineLimit, 4096)
	orDefault(&o.MaxState, 1_000_000)
	orDefault(&o.MaxSessions, 100_000)
	if o.Now == nil {
		o.Now = time.Now
	}
	return o
}

func orDefault[T comparable](v *T, d T) {
	var zero T
	if *v == zero {
		*v = d
	}
}

func (o *Options) validate() error {
	if o.Token != "" && o.Route == "" {
		return errors.New(`cannot make sessions: no Route given; wanted the backend's name in the proxy's configuration, such as "node1"`)
	}
	if o.Route != "" && (!validID("x."+o.Route) || len(o.Route) > maxIDLength-33) {
		return fmt.Errorf("cannot use Route %q: wanted up to %d letters, digits or characters of -._~!*+=: in it", o.Route, maxIDLength-33)
	}
	if len(o.App) > 255 || strings.ContainsFunc(o.App, func(c rune) bool { return c <= ' ' || c > '~' || c == '"' || c == '\\' }) {
		return fmt.Errorf("cannot use App %q: wanted up to 255 visible ASCII characters without quotes and backslashes", o.App)
	}
	cookie := http.Cookie{Name: o.CookieName, Value: "x", Path: o.CookiePath}
	if err := cookie.Valid(); err != nil {
		return fmt.Errorf("cannot use CookieName %q with CookiePath %q: %w", o.CookieName, o.CookiePath, err)
	}
	if o.InlineLimit < 0 || o.MaxState < 0 || o.MaxSessions < 0 {
		return fmt.Errorf("cannot use limits InlineLimit %d, MaxState %d, MaxSessions %d: wanted none below 0",
			o.InlineLimit, o.MaxState, o.MaxSessions)
	}
	return nil
}

// Middleware returns a handler that gives next's requests their sessions and speaks the session protocol with the
// proxy. FromRequest works in next and in what next calls.
func (m *Manager) Middleware(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		tier := m.isTier(r.Header)
		if tier && len(r.Header[fieldOp]) > 0 {
			m.operate(w, r)
			return
		}
		e, need := m.begin(r, tier)
		if need != "" {
			// The body is not read: with Expect: 100-continue the client never sends it.
			w.Header().Set(fieldAdapter, "1")
			w.Header().Set(fieldNeed, m.formatNeed(need))
			w.Header().Set("Content-Length", "0")
			w.WriteHeader(http.StatusPreconditionRequired)
			return
		}
		defer e.release()
		held := newResponseWriter(w, r, e)
		next.ServeHTTP(held, e.request(r))
		held.finish()
	})
}

// begin applies section 2 and returns what the request runs with, or the id for which 428 is due.
func (m *Manager) begin(r *http.Request, tier bool) (e *exchange, need string) {
	e = &exchange{m: m, tier: tier}
	s := situation{ids: idsOf(r, m.options.CookieName), route: m.options.Route, local: m.sessions.local}
	var came *record
	if tier {
		came = m.readTier(r.Header, &s)
	}
	g := m.sessions
	g.lock()
	d := decide(s)
	var dropped *record
	if d.drop {
		dropped = g.find(baseOf(s.id))
		g.remove(dropped)
	}
	if d.install {
		g.put(came)
	}
	if d.need == "" && d.run != "" {
		e.adopt(g.find(baseOf(d.run)), d.run)
	}
	g.mu.Unlock()
	if dropped != nil {
		dropped.end() // requests that still run with it learn it
	}
	return e, d.need
}

// readTier reads the proxy's fields into s, and the session that came along.
func (m *Manager) readTier(h http.Header, s *situation) (came *record) {
	if ids := h[fieldID]; len(ids) == 1 && validID(ids[0]) {
		s.id = ids[0]
	}
	s.have, s.version = parseHave(h[fieldHave])
	states := h[fieldState]
	if s.id == "" || s.have != haveVersion || len(states) != 1 {
		return nil
	}
	raw, err := decodeState(states[0])
	if err != nil {
		return nil // no state that can be read: the rules for "none came" hold, and end in a 428
	}
	created, vs, err := parseState(raw)
	if err != nil {
		return nil
	}
	s.state = true
	return installedRecord(m.ownID(s.id), s.version, created, vs)
}

// ownID returns the id that a session has at this backend.
func (m *Manager) ownID(id string) string { return withRoute(baseOf(id), m.options.Route) }

type exchangeKey struct{}

// request returns the request as the application sees it: without the proxy's fields, which hold a secret.
func (e *exchange) request(r *http.Request) *http.Request {
	out := r.WithContext(context.WithValue(r.Context(), exchangeKey{}, e))
	if e.tier {
		out.Header = r.Header.Clone()
		removeFields(out.Header)
	}
	return out
}

// Len returns how many sessions are held here.
func (m *Manager) Len() int {
	g := m.sessions
	g.lock()
	defer g.mu.Unlock()
	return g.order.Len()
}
