package main

import (
	"net/http"
	"time"

	"rehydra/proxy"
	"rehydra/proxy/upstream"
	"rehydra/sessiontier"
)

// statusView is the answer of GET /api/status. Times are in milliseconds.
type statusView struct {
	Version           string                       `json:"version"`
	StartedAt         time.Time                    `json:"started_at"`
	UptimeMS          int64                        `json:"uptime_ms"`
	Listen            []string                     `json:"listen"`
	ClientConnections int                          `json:"client_connections"`
	Requests          map[string]map[string]uint64 `json:"requests"` // by pool ("" for none) and class of status
	Sessions          sessionCounts                `json:"sessions"`
	LogLinesLost      uint64                       `json:"log_lines_lost"`
}

// sessionCounts are counted since the start, but for the two that say what is now.
type sessionCounts struct {
	Known       int    `json:"known"`  // now
	Queued      int    `json:"queued"` // now
	Saves       uint64 `json:"saves"`
	SavedBytes  uint64 `json:"saved_bytes"`
	Restores    uint64 `json:"restores"`
	Lost        uint64 `json:"lost"`
	Unprotected uint64 `json:"unprotected"`
	Fenced      uint64 `json:"fenced"`
	Conflicts   uint64 `json:"conflicts"`
	Dropped     uint64 `json:"dropped"`
	Corrupt     uint64 `json:"corrupt"`
	Ends        uint64 `json:"ends"`
}

func (a *adminServer) status(w http.ResponseWriter, _ *http.Request) {
	s := a.p.snapshot()
	n := s.sessions
	view := statusView{
		Version: version, StartedAt: a.started.UTC(), UptimeMS: time.Since(a.started).Milliseconds(), Listen: a.p.Addresses(),
		ClientConnections: s.connections, Requests: map[string]map[string]uint64{}, LogLinesLost: s.logLost,
		Sessions: sessionCounts{
			Known: s.known(), Queued: s.store.Queued, Saves: n.Saves.Load(), SavedBytes: s.store.SavedBytes, Restores: n.Restores.Load(),
			Lost: n.Lost.Load(), Unprotected: n.Unprotected.Load(), Fenced: n.Fenced.Load(), Conflicts: n.Conflicts.Load(),
			Dropped: s.store.Dropped, Corrupt: s.store.Corrupt, Ends: s.store.Ends,
		},
	}
	for pool, counts := range s.requests {
		view.Requests[pool] = classesOf(counts)
	}
	writeStatusJSON(w, http.StatusOK, view)
}

func classesOf(counts proxy.RequestCount) map[string]uint64 {
	classes := make(map[string]uint64, len(counts))
	for class, n := range counts {
		classes[statusClass(class)] = n
	}
	return classes
}

// poolView is a pool in the answer of GET /api/backends.
type poolView struct {
	Name     string        `json:"name"`
	Match    []string      `json:"match"` // empty: everything
	Balance  string        `json:"balance"`
	Force    bool          `json:"force"`
	Tier     bool          `json:"tier"`  // its sessions are kept
	Known    int           `json:"known"` // sessions that this proxy remembers
	Apps     []string      `json:"apps"`  // that adapters have named
	Backends []backendView `json:"backends"`
}

// backendView is one backend. Bytes and requests are counted since the start.
type backendView struct {
	Route       string     `json:"route"`
	Address     string     `json:"address"`
	State       string     `json:"state"`           // "up" or "out"
	Reason      string     `json:"reason"`          // why it is out
	Since       *time.Time `json:"since,omitempty"` // when it last went out or came back; absent: never
	Activation  string     `json:"activation"`
	Weight      int        `json:"weight"`
	Distance    int        `json:"distance"`
	Domain      string     `json:"domain"`
	Redirect    string     `json:"redirect"`
	Adapter     bool       `json:"adapter"` // an adapter has answered since it was last out
	InFlight    int64      `json:"in_flight"`
	Requests    uint64     `json:"requests"`
	Outs        uint64     `json:"outs"`
	Sent        int64      `json:"sent_bytes"`
	Received    int64      `json:"received_bytes"`
	Connections int64      `json:"connections"`
	Idle        int        `json:"idle_connections"`
}

func (a *adminServer) backends(w http.ResponseWriter, _ *http.Request) {
	routing := a.p.server.Routing()
	view := struct {
		Pools []poolView `json:"pools"`
	}{Pools: []poolView{}}
	for _, pool := range routing.Table.Pools() {
		cfg := pool.Config()
		p := poolView{Name: pool.Name(), Match: append([]string{}, cfg.Match...), Balance: cfg.Balance.String(), Force: cfg.Force,
			Apps: []string{}, Backends: []backendView{}}
		if tier := routing.Tiers[pool.Name()]; tier != nil {
			p.Tier, p.Known, p.Apps = true, tier.Sessions(), append(p.Apps, tier.Apps()...)
		}
		for _, b := range pool.Backends() {
			p.Backends = append(p.Backends, viewBackend(b))
		}
		view.Pools = append(view.Pools, p)
	}
	writeStatusJSON(w, http.StatusOK, view)
}

func viewBackend(b *upstream.Backend) backendView {
	cfg, s := b.Config(), b.Stats()
	view := backendView{
		Route: cfg.Route, Address: cfg.Address, State: backendState(s.Up), Reason: s.Reason, Activation: cfg.Activation.String(),
		Weight: cfg.Weight, Distance: cfg.Distance, Domain: cfg.Domain, Redirect: cfg.Redirect, Adapter: b.AdapterSeen(),
		InFlight: s.InFlight, Requests: s.Requests, Outs: s.Outs, Sent: s.Sent, Received: s.Received, Connections: s.Open, Idle: s.Idle,
	}
	if !s.Since.IsZero() {
		since := s.Since.UTC()
		view.Since = &since
	}
	return view
}

func backendState(up bool) string {
	if up {
		return "up"
	}
	return "out"
}

// storeView is the answer of GET /api/store.
type storeView struct {
	Kind   string     `json:"kind"`   // "memcached" or "embedded"; "" while no sessions are kept
	Copies int        `json:"copies"` // of each session
	Nodes  []nodeView `json:"nodes"`
}

// nodeView is one store node.
type nodeView struct {
	Name         string `json:"name"`
	Address      string `json:"address"`
	State        string `json:"state"`   // "up" or "down"
	Reason       string `json:"reason"`  // why it is down
	Breaker      string `json:"breaker"` // "closed", "suspicious" or "open"
	FailoverOnly bool   `json:"failover_only"`
	Connections  int    `json:"connections_in_use"`
	Errors       uint64 `json:"errors"`
	Outs         uint64 `json:"outs"`
	PendingEnds  int    `json:"ends_pending"` // marks of ended sessions that wait for it
}

func (a *adminServer) storeNodes(w http.ResponseWriter, _ *http.Request) {
	view := storeView{Nodes: []nodeView{}}
	if a.p.store != nil {
		view.Kind, view.Copies = a.store.Kind, a.copies()
		for _, n := range a.p.store.Stats().Nodes {
			view.Nodes = append(view.Nodes, viewNode(&n))
		}
	}
	writeStatusJSON(w, http.StatusOK, view)
}

func viewNode(n *sessiontier.NodeStats) nodeView {
	state := "up"
	if !n.Up {
		state = "down"
	}
	return nodeView{Name: n.Name, Address: n.Address, State: state, Reason: n.Reason, Breaker: breakerOf(n).String(),
		FailoverOnly: n.FailoverOnly, Connections: n.Exchanges, Errors: n.Errors, Outs: n.Outs, PendingEnds: n.PendingEnds}
}

// copies is how many copies there are to be of each session.
func (a *adminServer) copies() int {
	if a.store.Kind == sessiontier.KindEmbedded {
		return 1
	}
	return a.store.Copies
}
