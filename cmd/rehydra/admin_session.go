package main

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"rehydra/jvmroute"
	"rehydra/proxy/session"
	"rehydra/proxy/upstream"
	"rehydra/sessiontier"
)

// sessionsView is the answer of GET /api/sessions/{id}: where the sessions of one base id live. It holds nothing of their contents, and
// the id only shortened: a whole one is as good as a password, and this may end up in a ticket.
type sessionsView struct {
	Error    string        `json:"error,omitempty"` // why there are no sessions
	ID       string        `json:"id"`
	Asked    []askedView   `json:"asked"` // where was looked
	Sessions []sessionView `json:"sessions"`
}

// askedView is one pool and one app of it.
type askedView struct {
	Pool string `json:"pool"`
	App  string `json:"app"`
}

// The states of a session.
const (
	sessionStored     = "stored"     // the newest version is in the store
	sessionEnded      = "ended"      // a mark of its end is newer than every copy
	sessionUnstored   = "unstored"   // this proxy knows it at a backend, and there is no copy
	sessionUnknown    = "unknown"    // the same, but nodes that may hold a copy do not answer
	sessionUnreadable = "unreadable" // what nodes hold is not believed
)

// sessionView is one session: a base id in one app of one pool. Durations are in milliseconds.
type sessionView struct {
	Pool       string     `json:"pool"`
	App        string     `json:"app"`
	State      string     `json:"state"`
	Version    string     `json:"version"`     // the newest in the store; "" where none is
	Owner      string     `json:"owner"`       // route of the backend that owns that version
	OwnerState string     `json:"owner_state"` // "up", "out", or "not configured"; "" without an owner
	TTL        int64      `json:"ttl_ms"`      // of inactivity; 0: no limit
	Here       *hereView  `json:"here"`        // what this proxy knows by itself; null: nothing
	Copies     []copyView `json:"copies"`
}

// hereView is what a proxy knows of a session that it has forwarded.
type hereView struct {
	Backend string `json:"backend"`     // route of the backend where it was seen last; "" if that was out since
	Stored  string `json:"stored"`      // the version known to be stored; "": none
	SeenMS  *int64 `json:"seen_ms_ago"` // null: no backend has reported it to this proxy
}

// copyView is what one store node holds of a session.
type copyView struct {
	Node    string `json:"node"`
	State   string `json:"state"` // present, absent, tombstone, unreadable or unknown
	Newest  bool   `json:"newest"`
	Version string `json:"version"`
	Owner   string `json:"owner"`
	Size    int    `json:"size"`   // bytes as stored
	Age     int64  `json:"age_ms"` // since it was written
	TTL     int64  `json:"ttl_ms"` // 0: no limit
}

// locateTimeout bounds the time in which one request may ask the nodes.
const locateTimeout = 5 * time.Second

// session answers GET /api/sessions/{id}. ?pool= and ?app= narrow the search; an app that nobody has named since the start is
// only found by its name.
func (a *adminServer) session(w http.ResponseWriter, r *http.Request) {
	id, query := r.PathValue("id"), r.URL.Query()
	if !jvmroute.Valid([]byte(id)) {
		writeProblem(w, http.StatusBadRequest, fmt.Sprintf("given %.50q, wanted a session id of at most %d characters, with or without its route",
			id, jvmroute.MaxIDLength))
		return
	}
	base, _, _ := strings.Cut(id, ".")
	if a.p.store == nil {
		writeProblem(w, http.StatusNotFound, "no sessions are kept: the session tier is off")
		return
	}
	pools, sentence := a.poolsWithTier(query.Get("pool"))
	if sentence != "" {
		writeProblem(w, http.StatusNotFound, sentence)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), locateTimeout)
	defer cancel()
	status, view := a.locate(ctx, pools, query.Get("app"), base)
	writeStatusJSON(w, status, view)
}

// tieredPool is a pool whose sessions are kept.
type tieredPool struct {
	*upstream.Pool
	tier *session.Tier
}

// poolsWithTier returns the pool of a name, or all of them for "". The sentence says why there is none.
func (a *adminServer) poolsWithTier(name string) (pools []tieredPool, sentence string) {
	routing := a.p.server.Routing()
	var names []string
	for _, p := range routing.Table.Pools() {
		if tier := routing.Tiers[p.Name()]; tier != nil {
			names = append(names, p.Name())
			if name == "" || p.Name() == name {
				pools = append(pools, tieredPool{p, tier})
			}
		}
	}
	if len(pools) == 0 {
		sentence = fmt.Sprintf("given pool %.80q, wanted one that keeps sessions: %s", name, strings.Join(names, ", "))
	}
	return pools, sentence
}

// locate looks for the sessions of a base id. The status is 404 where there is none, and 503 where so many nodes do not answer
// that nobody can say so.
func (a *adminServer) locate(ctx context.Context, pools []tieredPool, app, base string) (status int, view sessionsView) {
	view = sessionsView{ID: session.Shorten(base) + "…", Asked: []askedView{}, Sessions: []sessionView{}}
	certain := true
	for _, pool := range pools {
		known := pool.tier.Known(base)
		for _, name := range appsToAsk(pool, known, app) {
			view.Asked = append(view.Asked, askedView{pool.Name(), name})
			copies := a.p.Where(ctx, pool.Name(), name, base)
			at := slices.IndexFunc(known, func(k session.Known) bool { return k.App == name })
			var here *session.Known
			if at >= 0 {
				here = &known[at]
			}
			if found, ok := viewSession(pool, name, copies, here, a.silent(copies)); ok {
				view.Sessions = append(view.Sessions, found)
			} else if a.silent(copies) {
				certain = false
			}
		}
	}
	switch {
	case len(view.Sessions) > 0:
		return http.StatusOK, view
	case certain:
		view.Error = "no session of that id is known here or in the store"
		return http.StatusNotFound, view
	default:
		view.Error = "no session of that id was found, and the nodes that do not answer may hold one"
		return http.StatusServiceUnavailable, view
	}
}

// appsToAsk returns the apps of a pool in which a session may be: the one asked for, or those that this proxy knows it in, those it
// has heard of, and those that the pool's patterns suggest. The store cannot be asked for all apps: what it is asked by is a digest.
func appsToAsk(pool tieredPool, known []session.Known, app string) []string {
	if app != "" {
		return []string{app}
	}
	var apps []string
	add := func(name string) {
		if !slices.Contains(apps, name) {
			apps = append(apps, name)
		}
	}
	for _, k := range known {
		add(k.App)
	}
	for _, name := range pool.tier.Apps() {
		add(name)
	}
	add("/")          // an adapter's default
	add("localhost/") // Tomcat's ROOT
	for _, pattern := range pool.Config().Match {
		_, path, _ := strings.Cut(pattern, "/")
		path = strings.TrimRight(path, "/*")
		first, _, _ := strings.Cut(path, "/")
		add("localhost/" + first) // Tomcat's usual host
		add("localhost/" + path)
	}
	return apps
}

// viewSession puts together what the store and this proxy know of a session; silent says that more could be in the store than copies
// shows. ok is false when neither knows it.
func viewSession(pool tieredPool, app string, copies []sessiontier.Copy, here *session.Known, silent bool) (view sessionView, ok bool) {
	view = sessionView{Pool: pool.Name(), App: app, Copies: []copyView{}}
	for _, c := range copies {
		view.Copies = append(view.Copies, viewCopy(&c))
	}
	if here != nil {
		view.Here = viewHere(pool, here)
	}
	newest := newestCopy(copies)
	switch {
	case newest != nil && newest.State == sessiontier.CopyPresent:
		view.State, view.Version, view.Owner, view.TTL = sessionStored, newest.Version.String(), newest.Owner, newest.TTL.Milliseconds()
		view.OwnerState = ownerState(pool, newest.Owner)
	case newest != nil, has(copies, sessiontier.CopyPresent):
		view.State = sessionEnded // copies and none of them the newest: the mark still waits, in this process, for its node
	case here != nil && view.Here.Backend != "" && here.Alive(time.Now()):
		view.State, view.TTL = sessionUnstored, max(here.TTL, 0).Milliseconds()
		if silent {
			view.State = sessionUnknown
		}
	case has(copies, sessiontier.CopyUnreadable):
		view.State = sessionUnreadable
	}
	return view, view.State != ""
}

// newestCopy returns a copy, or the mark of an end, that no node has anything newer than.
func newestCopy(copies []sessiontier.Copy) *sessiontier.Copy {
	for i := range copies {
		if copies[i].Newest {
			return &copies[i]
		}
	}
	return nil
}

func has(copies []sessiontier.Copy, state string) bool {
	return slices.ContainsFunc(copies, func(c sessiontier.Copy) bool { return c.State == state })
}

// silent reports whether so many nodes did not answer that they could hide every copy of a session.
func (a *adminServer) silent(copies []sessiontier.Copy) bool {
	n := 0
	for i := range copies {
		if copies[i].State == sessiontier.CopyUnknown {
			n++
		}
	}
	return n >= a.copies()
}

func viewCopy(c *sessiontier.Copy) copyView {
	view := copyView{Node: c.Node, State: c.State, Newest: c.Newest, Owner: c.Owner, Size: c.Size,
		Age: c.Age.Milliseconds(), TTL: c.TTL.Milliseconds()}
	if c.State == sessiontier.CopyPresent {
		view.Version = c.Version.String()
	}
	return view
}

func ownerState(pool tieredPool, route string) string {
	b := pool.Backend([]byte(route))
	if b == nil {
		return "not configured"
	}
	return backendState(b.Up())
}

func viewHere(pool tieredPool, k *session.Known) *hereView {
	view := &hereView{}
	for _, b := range pool.Backends() {
		if k.At(b) {
			view.Backend = b.Route()
		}
	}
	if !k.Stored.IsZero() {
		view.Stored = k.Stored.String()
	}
	if !k.SeenAt.IsZero() {
		ago := max(time.Since(k.SeenAt), 0).Milliseconds()
		view.SeenMS = &ago
	}
	return view
}
