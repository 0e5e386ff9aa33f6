package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

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
	Dir         string       // a folder of its own, for its configuration and its logs
	Backends    []Backend    // at least one
	Certificate *Certificate // nil: no TLS
}

// A Backend is one of the servers behind the proxy.
type Backend struct {
	Route   string // what session ids of this backend end in, after a dot
	Address string // host:port, HTTP
	AJP     string // host:port, AJP
}

// Running is a proxy at work.
type Running struct {
	Address string // where it listens
	Process *process
	// AccessLog is the file that its lines of access log end up in, one for each request.
	AccessLog string
	// Others are what was started with it: memcacheds, Tomcats.
	Others []*process
	// Whole says that the processor time of the others counts as well.
	Whole bool
}

// stop ends everything.
func (r *Running) stop() {
	for _, p := range append([]*process{r.Process}, r.Others...) {
		p.stop()
	}
}

// usage adds up what counts. Of a whole system it also says what each part of it has used.
func (r *Running) usage() (Usage, error) {
	all, err := listProcesses()
	if err != nil {
		return Usage{}, err
	}
	sum, err := all.tree(r.Process.pid())
	if err != nil || !r.Whole {
		return sum, err
	}
	sum.Parts = map[string]time.Duration{r.Process.part(): sum.CPU()}
	for _, p := range r.Others {
		other, err := all.tree(p.pid())
		if err != nil {
			return Usage{}, err
		}
		sum.User += other.User
		sum.System += other.System
		sum.Resident += other.Resident
		sum.Parts[p.part()] += other.CPU()
	}
	return sum, nil
}

// peerNames are the peers by name. The one before and the one after Rehydra in each round are the closest to it.
func peerNames() []string {
	return []string{"haproxy", "rehydra", "nginx", "mod_jk", "mod_proxy", "caddy", "nethttp", forwarderName}
}

// newPeer returns the peer with that name.
func newPeer(name, rehydraBinary string) (Peer, error) {
	switch name {
	case "haproxy":
		return &haproxy{}, nil
	case "nginx":
		return &nginx{}, nil
	case "mod_jk":
		return &apache{ajp: true}, nil
	case "mod_proxy":
		return &apache{}, nil
	case "caddy":
		return &caddy{}, nil
	case "nethttp":
		return &nethttp{}, nil
	case forwarderName:
		return &forwarder{}, nil
	case "rehydra":
		return &rehydra{binary: rehydraBinary}, nil
	}
	return nil, fmt.Errorf("unknown peer %q: wanted one of %s", name, strings.Join(peerNames(), ", "))
}

// findProgram finds a program, also where only root usually looks.
func findProgram(name string) (string, error) {
	if found, err := exec.LookPath(name); err == nil {
		return found, nil
	}
	debian := filepath.Join("/usr/sbin", name)
	if _, err := os.Stat(debian); err != nil {
		return "", fmt.Errorf("cannot find %s in PATH or /usr/sbin (make bench installs it): %w", name, err)
	}
	return debian, nil
}

// firstLine returns the first line that a program prints.
func firstLine(ctx context.Context, name string, args ...string) (string, error) {
	program, err := findProgram(name)
	if err != nil {
		return "", err
	}
	out, err := exec.CommandContext(ctx, program, args...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("cannot ask %q for its version: %w", program, err)
	}
	first, _, _ := strings.Cut(string(out), "\n")
	return strings.TrimSpace(first), nil
}

// startPeer writes a peer's configuration, starts it and waits until it accepts connections at address.
func startPeer(ctx context.Context, s Setting, name, address, config string, args ...string) (*Running, error) {
	program, err := findProgram(name)
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(s.config(name), []byte(config), 0o600); err != nil {
		return nil, fmt.Errorf("cannot write the configuration of %q: %w", name, err)
	}
	p, err := startProcess(ctx, s.Dir, name, program, args...)
	if err != nil {
		return nil, err
	}
	if err := p.waitFor(ctx, "accepted a connection", func() bool { return accepts(ctx, address) }); err != nil {
		p.stop()
		return nil, err
	}
	return &Running{Address: address, Process: p, AccessLog: p.logs}, nil
}

// config is the path of a peer's configuration.
func (s Setting) config(name string) string { return filepath.Join(s.Dir, name+".conf") }

// freeAddress returns a loopback address that nobody listens on at this moment.
func freeAddress(ctx context.Context) (string, error) {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("cannot find a free port: %w", err)
	}
	defer listener.Close()
	return listener.Addr().String(), nil
}

// accepts tells whether a connection to address can be made now.
func accepts(ctx context.Context, address string) bool {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return false
	}
	conn.Close()
	return true
}
