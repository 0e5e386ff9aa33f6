package main

import "context"

// A Peer is a proxy that can be measured. One file each: peer_NAME.go.
type Peer interface {
	// Name is what the report calls it.
	Name() string
	// Version returns what the program says of itself.
	Version(ctx context.Context) (string, error)
	// Start starts the proxy before the backends of setting and returns when it serves.
	Start(ctx context.Context, setting Setting) (*Running, error)
}

// A Setting is what every peer has to be set up for: sticky routing of the cookie JSESSIONID to these backends by what
// follows the id's dot, an access log, X-Forwarded-For, -Proto and -Host, health checks every two seconds.
type Setting struct {
	Dir      string    // a folder of its own, for its configuration and its logs
	Backends []Backend // at least one
}

// A Backend is one of the servers behind the proxy.
type Backend struct {
	Route   string // what session ids of this backend end in, after a dot
	Address string // host:port
}

// Running is a proxy at work.
type Running struct {
	Address string // where it listens
	Process *process
	// AccessLog is the file that its lines of access log end up in, one for each request.
	AccessLog string
}
