package main

import (
	"strconv"
	"syscall"
)

// RetryConfig says which of a pool's requests may be sent again, beside those that nothing was sent of.
type RetryConfig struct {
	BudgetPercent int  `toml:"budget_percent"` // of the requests of the last ten seconds
	BudgetMinimum int  `toml:"budget_minimum"` // a second, however few requests there are
	BodyBytes     Size `toml:"body_bytes"`     // of a request's body are kept for it
}

// mostKept bounds what of a body is kept: it is memory for each request.
const mostKept = 64 << 20

// retry checks [pool.retry].
func (c checker) retry(path string, r RetryConfig) {
	c.between(path+".budget_percent", r.BudgetPercent, 0, 100)
	c.between(path+".budget_minimum", r.BudgetMinimum, 0, 1000000)
	if r.BodyBytes > mostKept {
		c.bad(path+".body_bytes", strconv.FormatInt(int64(r.BodyBytes), 10), `at most "64MiB"`)
	}
}

// limits checks what one client, or all of them, may have at most.
func (c checker) limits(s ServerConfig) {
	c.between("server.max_uri_bytes", s.MaxURIBytes, 64, 1<<20)
	c.between("server.max_connections", s.MaxConnections, 0, 10000000)
	c.between("server.max_connections_per_client", s.MaxConnectionsPerClient, 0, 10000000)
	c.between("server.max_requests_per_connection", s.MaxRequestsPerConnection, 0, 1000000000)
	if s.MaxConnections > 0 && s.MaxConnectionsPerClient > s.MaxConnections {
		c.bad("server.max_connections_per_client", strconv.Itoa(s.MaxConnectionsPerClient), "at most server.max_connections, "+strconv.Itoa(s.MaxConnections))
	}
}

// otherDescriptors is how many descriptors are set aside for what is no client's and no request's: listeners, logs, store, checks.
const otherDescriptors = 64

// connectionsFor is how many client connections a number of descriptors is enough for: each of them may need one to a backend.
func connectionsFor(descriptors uint64) int {
	if descriptors > 20000000+otherDescriptors {
		return 10000000
	}
	return max(int(descriptors)-otherDescriptors, 16) / 2
}

// maxConnections is what max_connections says or, where that is 0, what the limit of open files lets.
func (s *ServerConfig) maxConnections() int {
	if s.MaxConnections > 0 {
		return s.MaxConnections
	}
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return 0 // then the system's refusals are the limit
	}
	return connectionsFor(limit.Cur)
}
