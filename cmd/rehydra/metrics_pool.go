package main

import (
	"rehydra/proxy"
	"rehydra/proxy/upstream"
)

// poolMetrics are those of each pool.
func poolMetrics() []family[*upstream.Pool] {
	type pool = *upstream.Pool
	return []family[pool]{
		{name: "pool_repeats_total", kind: counter, help: "Requests that were sent, failed, and were sent to another backend.",
			read: func(p pool) float64 { n, _ := p.Repeats(); return float64(n) }},
		{name: "pool_repeats_refused_total", kind: counter, help: "Requests that failed and were not sent again, since the pool's retry budget was used up.",
			read: func(p pool) float64 { _, n := p.Repeats(); return float64(n) }},
	}
}

// crowdMetrics are those of clients' connections that met a limit.
func crowdMetrics() []family[*proxy.ConnectionCounts] {
	type counts = *proxy.ConnectionCounts
	return []family[counts]{
		{name: "client_connections_waited_total", kind: counter, help: "Client connections that waited for room, with server.max_connections open.",
			read: func(c counts) float64 { return float64(c.Waited) }},
		{name: "client_connections_reclaimed_total", kind: counter, help: "Idle client connections that were closed to make room.",
			read: func(c counts) float64 { return float64(c.Reclaimed) }},
		{name: "client_connections_turned_away_total", kind: counter, help: "Client connections over server.max_connections_per_client.",
			read: func(c counts) float64 { return float64(c.TurnedAway) }},
		{name: "client_handshakes_failed_total", kind: counter, help: "Client connections that were closed since no TLS connection came about.",
			read: func(c counts) float64 { return float64(c.BadHandshakes) }},
		{name: "client_proxy_headers_refused_total", kind: counter, help: "Client connections that were closed: their PROXY header was missing or could not be read.",
			read: func(c counts) float64 { return float64(c.BadProxyHeaders) }},
	}
}
