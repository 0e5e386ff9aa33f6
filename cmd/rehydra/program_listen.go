package main

import (
	"context"
	"errors"
	"net"
	"slices"
	"strings"

	"rehydra/proxy"
)

// openFor returns what opens the listeners of a user, "server" or "admin".
func (p *program) openFor(user string) proxy.Opener {
	return func(address string) (net.Listener, error) { return p.sockets.Open(user, address) }
}

// relisten is a change of the addresses of a running program: what is new is open, and nothing else has happened until Apply or Discard.
type relisten struct {
	p      *program
	server *proxy.Relisten
	admin  *adminServer // nil: off, or as it was
	moved  bool         // the admin listener is not as it was
}

// relisten opens what cfg listens on and the program does not yet. After an error nothing has changed. p.mu is held.
func (p *program) relisten(cfg *Config) (*relisten, error) {
	r := &relisten{p: p, moved: cfg.Admin.Listen != p.cfg.Admin.Listen}
	var err error
	if r.server, err = p.server.Relisten(cfg.Server.Listen, cfg.Server.TLS.Listen); err != nil {
		return nil, err
	}
	if r.moved && cfg.Admin.Listen != "" {
		if r.admin, err = listenAdmin(cfg, p, p.log); err != nil {
			r.server.Discard()
			return nil, err
		}
	}
	return r, nil
}

// Apply takes the new addresses into use and closes those that are gone.
func (r *relisten) Apply() {
	r.server.Apply()
	if !r.moved {
		return
	}
	old := r.p.admin
	r.p.admin = r.admin
	if r.admin != nil {
		if old != nil {
			r.admin.started = old.started
		}
		r.admin.Start()
	}
	if old != nil {
		old.Finish()
	}
}

// Discard closes what was opened.
func (r *relisten) Discard() {
	r.server.Discard()
	if r.admin != nil {
		r.admin.Close()
	}
}

// useGiven says what becomes of sockets that came from the process before and whose addresses cfg does not name any more: who waits there is served, and they are
// closed. tls are the addresses that had TLS. It is to be called once the program serves.
func (p *program) useGiven(tls []string) {
	var gone [2][]net.Listener // by proxy.Kind
	for _, l := range p.sockets.Unclaimed() {
		address, ofClients := strings.CutPrefix(l.name, socketName("server", ""))
		kind := proxy.Plain
		if slices.Contains(tls, address) {
			kind = proxy.TLS
		}
		if !ofClients || l.kept || kind == proxy.TLS && len(p.cfg.Server.TLS.Listen) == 0 {
			_ = l.Close() // for those who ask for pages of operators again, wait for systemd's next, or cannot be served
			continue
		}
		gone[kind] = append(gone[kind], l)
	}
	for kind, listeners := range gone {
		p.server.Adopt(proxy.Kind(kind), listeners)
	}
}

// Finish gives the clients of this process to another one, which has its sockets already: whoever has a connection gets what is under way, and the answer to one
// more request. It returns when all of them have gone, and when ctx ends, and is followed by Shutdown.
func (p *program) Finish(ctx context.Context) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.admin != nil {
		p.admin.Finish()
	}
	p.server.Finish(ctx)
}

// Out returns the backends that do not answer, for the process that takes over.
func (p *program) Out() (out []outBackend) {
	for _, pool := range p.server.Routing().Table.Pools() {
		for _, b := range pool.Backends() {
			if b.Up() {
				continue
			}
			out = append(out, outBackend{Pool: pool.Name(), Route: b.Route(), Address: b.Address(), Reason: b.Stats().Reason})
		}
	}
	return out
}

// knowOut takes over what the process before knew of backends. A check looks at once whether it is still so.
func (p *program) knowOut(out []outBackend) {
	for _, o := range out {
		for _, pool := range p.routing.Table.Pools() {
			for _, b := range pool.Backends() {
				if pool.Name() == o.Pool && b.Route() == o.Route && b.Address() == o.Address {
					b.ReportKnown(o.Reason)
				}
			}
		}
	}
}

// unclaimedError names the sockets that systemd opened and that nobody asked for, nil when there are none. It is a fault: their clients would wait for ever.
func unclaimedError(given []*socket) error {
	var faults []error
	for _, l := range given {
		_ = l.Close() // systemd keeps its own
		faults = append(faults, errors.New("given the socket \""+l.name+"\" of "+l.Addr().String()+
			" by systemd, which no address of server.listen or admin.listen asks for: wanted \""+systemdPrefix+l.name+"\" or its address in one of them"))
	}
	return errors.Join(faults...)
}
