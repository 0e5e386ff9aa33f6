package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"rehydra/e2e/tomcat"
)

// msmWorkload is a request that changes its session in a real Tomcat.
func msmWorkload() Workload {
	w := keepAlive1K()
	w.Name, w.Tomcat, w.Connections = "msm", true, 32
	// Java goes on compiling for some 80,000 requests, and compiles anew when new sessions take ways that none had taken while it watched: so loads of
	// their own, not one long one. Measured after 30,000 a request takes more than twice the time, most of it not the tier's.
	w.WarmUp, w.Rehearsals = 7000, 12
	w.About = "GET of a JSP that puts a new value of 1 KiB into its session; processor time of the whole system: proxy, two Tomcats 9, two memcacheds; 32 kept connections"
	w.Head = "GET /shop/session?op=set&k=basket&v=" + countMark + "-" + strings.Repeat("0123456789abcdef", 64) + " HTTP/1.1\r\n" + browserish + "\r\n"
	return w
}

// wholeRound is the least length of a round of whole systems: Java compiles and collects within it, and shorter ones stray more.
const wholeRound = 2 * time.Second

// msmStack is what a whole system is compared with.
func msmStack() *stack { return &stack{name: "haproxy+MSM", proxy: &haproxy{}, msm: true} }

// msmJob compares whole systems that keep sessions: two Tomcats 9, two memcacheds and a proxy each. Everything that they do for a request counts.
func (p *plan) msmJob() job {
	w := msmWorkload()
	j := job{name: w.Name, about: w.About, rounds: 7, time: max(p.round, wholeRound)}
	binary := p.binary
	for _, s := range []*stack{
		msmStack(),
		{name: "rehydra, 1 copy", proxy: &rehydra{binary: binary, save: "sync"}, copies: 1},
		{name: "rehydra, no copies", proxy: &rehydra{binary: binary}}, // what Tomcat and routing take alone
		{name: "rehydra, 2 copies", proxy: &rehydra{binary: binary, save: "sync"}, copies: 2},
	} {
		j.entries = append(j.entries, entry{name: s.name, peer: s, workload: w})
	}
	return j
}

// A stack is a proxy with Tomcats that are its own and a place for their sessions.
type stack struct {
	name   string
	proxy  Peer
	msm    bool // the Tomcats keep copies themselves, one of each session, saved before the answer goes out as Rehydra's are
	copies int  // the proxy does
}

func (*stack) bringsBackends() {}

// Name implements Peer.
func (s *stack) Name() string { return s.name }

// Version implements Peer.
func (s *stack) Version(ctx context.Context) (string, error) {
	version, err := s.proxy.Version(ctx)
	version += ", Tomcat " + tomcat.Tomcat9.Version
	if s.msm {
		version += " with memcached-session-manager 2.3.2, sticky, synchronous"
	} else {
		version += fmt.Sprintf(" with the valve, save sync, copies %d", s.copies)
	}
	return version, err
}

// Start implements Peer.
func (s *stack) Start(ctx context.Context, setting Setting) (_ *Running, err error) {
	others, nodes, err := startMemcacheds(ctx, setting.Dir, 2)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			stopAll(others)
		}
	}()
	config := tomcat.Config{Release: tomcat.Tomcat9, Token: benchToken}
	if s.msm {
		config.NoAdapter = true
		if config.Lib, err = tomcat.MSM(ctx); err != nil {
			return nil, err
		}
		list := strings.ReplaceAll(strings.ReplaceAll(strings.Join(nodes, ","), `"`, ""), "=", ":")
		config.ContextXML = fmt.Sprintf(`<Manager className="de.javakaffee.web.msm.MemcachedBackupSessionManager" memcachedNodes=%q sticky="true" sessionBackupAsync="false"/>`, list)
	}
	tomcats, backends, err := startTomcats(ctx, setting.Dir, []string{"node1", "node2"}, config)
	if err != nil {
		return nil, err
	}
	others = append(others, tomcats...)
	setting.Backends = backends
	proxy := s.proxy
	if r, ok := proxy.(*rehydra); ok {
		with := *r
		with.copies, with.nodes = s.copies, nodes
		proxy = &with
	}
	running, err := proxy.Start(ctx, setting)
	if err != nil {
		return nil, err
	}
	running.Others, running.Whole = append(running.Others, others...), true
	return running, nil
}
