package main

import (
	"context"
	"fmt"
	"strings"
)

// caddy is Debian's Caddy.
type caddy struct{}

// Name implements Peer.
func (*caddy) Name() string { return "caddy" }

// Version implements Peer.
func (*caddy) Version(ctx context.Context) (string, error) {
	version, err := firstLine(ctx, "caddy", "version")
	return "Caddy " + version, err
}

// Start implements Peer.
func (*caddy) Start(ctx context.Context, s Setting) (*Running, error) {
	address, err := freeAddress(ctx)
	if err != nil {
		return nil, err
	}
	return startPeer(ctx, s, "caddy", address, caddyConfig(address, s), "run", "--adapter", "caddyfile", "--config", s.config("caddy"))
}

// caddyConfig routes by a match of the cookie's end: Caddy's own stickiness knows only cookies that it made itself.
func caddyConfig(address string, s Setting) string {
	var b strings.Builder
	host, port, _ := strings.Cut(address, ":")
	site, tls := "http://"+serverName+":"+port, ""
	if s.Certificate != nil {
		site, tls = "https://"+serverName+":"+port, fmt.Sprintf("\ttls %s %s {\n\t\tprotocols tls1.3\n\t}\n", s.Certificate.CertFile, s.Certificate.KeyFile)
	}
	fmt.Fprintf(&b, "{\n\tadmin off\n\tauto_https off\n}\n%s {\n\tbind %s\n%s\tlog {\n\t\toutput stdout\n\t}\n", site, host, tls)
	handle := func(matcher string, first int) {
		fmt.Fprintf(&b, "\thandle%s {\n\t\treverse_proxy", matcher)
		for i := range s.Backends {
			fmt.Fprintf(&b, " %s", s.Backends[(first+i)%len(s.Backends)].Address)
		}
		policy := "first"
		if matcher == "" {
			policy = "round_robin"
		}
		fmt.Fprintf(&b, " {\n\t\t\tlb_policy %s\n\t\t\thealth_uri /\n\t\t\thealth_interval 2s\n\t\t\ttransport http {\n"+
			"\t\t\t\tkeepalive_idle_conns_per_host 128\n\t\t\t}\n\t\t}\n\t}\n", policy)
	}
	for i, node := range s.Backends {
		fmt.Fprintf(&b, "\t@%s header_regexp Cookie JSESSIONID=[^;]*\\.%s(;|$)\n", node.Route, node.Route)
		handle(" @"+node.Route, i)
	}
	handle("", 0)
	b.WriteString("}\n")
	return b.String()
}
