package main

import (
	"runtime"

	"rehydra/proxy/upstream"
	"rehydra/sessiontier"
)

// The tables below are the metrics, a line each. docs/operations.md has the same; a test holds the two to each other.

// plainMetrics have no labels. The first six keep their names for ever.
func plainMetrics() []family[*snapshot] {
	n := func(v uint64) float64 { return float64(v) }
	return []family[*snapshot]{
		{name: "session_saves_total", kind: counter, help: "Session states stored in every copy.",
			read: func(s *snapshot) float64 { return n(s.sessions.Saves.Load()) }},
		{name: "session_restores_total", kind: counter, help: "Sessions brought to another backend.",
			read: func(s *snapshot) float64 { return n(s.sessions.Restores.Load()) }},
		{name: "session_lost_total", kind: counter, help: "Sessions that a request came for and that were not to be had.",
			read: func(s *snapshot) float64 { return n(s.sessions.Lost.Load()) }},
		{name: "session_fenced_total", kind: counter, help: "Late writes of former owners that were refused.",
			read: func(s *snapshot) float64 { return n(s.sessions.Fenced.Load()) }},
		{name: "session_conflicts_total", kind: counter, help: "Races of compare-and-swap lost between writers of non-sticky mode.",
			read: func(s *snapshot) float64 { return n(s.sessions.Conflicts.Load()) }},
		{name: "session_unprotected_total", kind: counter, help: "Responses whose session change was not on every copy in time.",
			read: func(s *snapshot) float64 { return n(s.sessions.Unprotected.Load()) }},

		{name: "sessions_known", kind: gauge, help: "Sessions that this proxy remembers, without their states.",
			read: func(s *snapshot) float64 { return float64(s.known()) }},
		{name: "session_saved_bytes_total", kind: counter, help: "Bytes of session state stored, once for all copies.",
			read: func(s *snapshot) float64 { return n(s.store.SavedBytes) }},
		{name: "session_saves_queued", kind: gauge, help: "Sessions that wait for an asynchronous save.",
			read: func(s *snapshot) float64 { return float64(s.store.Queued) }},
		{name: "session_saves_dropped_total", kind: counter, help: "Asynchronous saves that were dropped.",
			read: func(s *snapshot) float64 { return n(s.store.Dropped) }},
		{name: "session_saves_too_large_total", kind: counter, help: "States over a limit of the store, whose older copy stays.",
			read: func(s *snapshot) float64 { return n(s.store.TooLarge) }},
		{name: "session_renewals_total", kind: counter, help: "Copies stored again so that they live on.",
			read: func(s *snapshot) float64 { return n(s.store.Touches) }},
		{name: "session_ends_total", kind: counter, help: "Sessions that ended.",
			read: func(s *snapshot) float64 { return n(s.store.Ends) }},
		{name: "session_ends_dropped_total", kind: counter, help: "Marks of ended sessions for a node that was down, dropped since too many wait.",
			read: func(s *snapshot) float64 { return n(s.store.EndsDropped) }},
		{name: "session_lookups_total", kind: counter, help: "Look-ups that asked the nodes.",
			read: func(s *snapshot) float64 { return n(s.store.Lookups) }},
		{name: "session_lookups_spared_total", kind: counter, help: "Look-ups of ids looked up in vain a moment before.",
			read: func(s *snapshot) float64 { return n(s.store.UnknownHits) }},
		{name: "session_copies_corrupt_total", kind: counter, help: "Copies that were not believed.",
			read: func(s *snapshot) float64 { return n(s.store.Corrupt) }},

		{name: "store_retries_total", kind: counter, help: "Writes begun anew since somebody else wrote in between.",
			read: func(s *snapshot) float64 { return n(s.store.Conflicts) }},
		{name: "store_healing", kind: gauge, help: "Store nodes that came back, or are new, and may lack copies yet.",
			read: func(s *snapshot) float64 { return float64(s.store.Healing) }},
		{name: "store_healed_copies_total", kind: counter, help: "Copies stored by healing.",
			read: func(s *snapshot) float64 { return n(s.store.Healed) }},
		{name: "store_resealed_copies_total", kind: counter, help: "Copies that healing has sealed with another key, for the first time, or no longer.",
			read: func(s *snapshot) float64 { return n(s.store.Resealed) }},
		{name: "store_embedded_bytes", kind: gauge, help: "Bytes in the embedded store.",
			read: func(s *snapshot) float64 { return float64(s.store.EmbeddedUsed) }},
		{name: "store_embedded_evictions_total", kind: counter, help: "Sessions that the embedded store dropped for room.",
			read: func(s *snapshot) float64 { return n(s.store.Evicted) }},

		{name: "client_connections", kind: gauge, help: "Client connections that are open.",
			read: func(s *snapshot) float64 { return float64(s.connections) }},
		{name: "client_streams", kind: gauge, help: "Requests of HTTP/2 connections that are under way.",
			read: func(s *snapshot) float64 { return float64(s.streams) }},
		{name: "tunnels", kind: gauge, help: "Connections that changed their protocol (WebSocket) and are open.",
			read: func(s *snapshot) float64 { return float64(s.tunnels) }},
		{name: "tunnels_total", kind: counter, help: "Connections that changed their protocol.",
			read: func(s *snapshot) float64 { return n(s.tunnelled) }},
		{name: "log_lines_lost_total", kind: counter, help: "Log events that could not be written.",
			read: func(s *snapshot) float64 { return n(s.logLost) }},
		{name: "goroutines", kind: gauge, help: "Goroutines of the process.",
			read: func(*snapshot) float64 { return float64(runtime.NumGoroutine()) }},
	}
}

// nodeMetrics are those of each store node.
func nodeMetrics() []family[*sessiontier.NodeStats] {
	type node = *sessiontier.NodeStats
	return []family[node]{
		{name: "store_node_up", kind: gauge, help: "1 while the store node is used.",
			read: func(n node) float64 { return number(n.Up) }},
		{name: "store_node_breaker", kind: gauge, help: "The node's breaker: 0 closed, 1 closed with time-outs in a row, 2 open: only probes are sent.",
			read: func(n node) float64 { return float64(breakerOf(n)) }},
		{name: "store_node_outs_total", kind: counter, help: "Times that the breaker opened.",
			read: func(n node) float64 { return float64(n.Outs) }},
		{name: "store_node_heals_total", kind: counter, help: "Times that the node's copies were completed after it came back.",
			read: func(n node) float64 { return float64(n.Heals) }},
		{name: "store_node_errors_total", kind: counter, help: "Exchanges with the store node that failed.",
			read: func(n node) float64 { return float64(n.Errors) }},
		{name: "store_node_connections_in_use", kind: gauge, help: "Exchanges with the store node that run now; they share connections.",
			read: func(n node) float64 { return float64(n.Exchanges) }},
		{name: "store_node_ends_pending", kind: gauge, help: "Marks of ended sessions that wait for the node to come back.",
			read: func(n node) float64 { return float64(n.PendingEnds) }},
	}
}

// breaker is the state of a store node's breaker.
type breaker int

const (
	breakerClosed breaker = iota
	breakerSuspicious
	breakerOpen
)

func (b breaker) String() string { return [...]string{"closed", "suspicious", "open"}[b] }

func breakerOf(n *sessiontier.NodeStats) breaker {
	switch {
	case !n.Up:
		return breakerOpen
	case n.Failures > 0:
		return breakerSuspicious
	default:
		return breakerClosed
	}
}

// backendMetrics are those of each backend.
func backendMetrics() []family[*upstream.Stats] {
	type backend = *upstream.Stats
	return []family[backend]{
		{name: "backend_up", kind: gauge, help: "1 while the backend is thought to answer.",
			read: func(b backend) float64 { return number(b.Up) }},
		{name: "backend_outs_total", kind: counter, help: "Times that the backend went out.",
			read: func(b backend) float64 { return float64(b.Outs) }},
		{name: "backend_requests_total", kind: counter, help: "Requests sent to the backend.",
			read: func(b backend) float64 { return float64(b.Requests) }},
		{name: "backend_requests_in_flight", kind: gauge, help: "Requests that the backend has now.",
			read: func(b backend) float64 { return float64(b.InFlight) }},
		{name: "backend_sent_bytes_total", kind: counter, help: "Bytes sent to the backend.",
			read: func(b backend) float64 { return float64(b.Sent) }},
		{name: "backend_received_bytes_total", kind: counter, help: "Bytes received from the backend.",
			read: func(b backend) float64 { return float64(b.Received) }},
		{name: "backend_connections", kind: gauge, help: "Connections to the backend, in use or idle.",
			read: func(b backend) float64 { return float64(b.Open) }},
		{name: "backend_connections_idle", kind: gauge, help: "Connections to the backend that wait for a request.",
			read: func(b backend) float64 { return float64(b.Idle) }},
		{name: "backend_connections_opened_total", kind: counter, help: "Connections made to the backend.",
			read: func(b backend) float64 { return float64(b.Dialed) }},
		{name: "backend_connections_stale_total", kind: counter, help: "Kept connections that were found closed or too old.",
			read: func(b backend) float64 { return float64(b.Stale) }},
	}
}
