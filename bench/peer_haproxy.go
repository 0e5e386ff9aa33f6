package main

import (
	"context"
	"fmt"
	"strings"
)

// haproxy is Debian's HAProxy. It logs a line a request to its standard output, which is a file: measured here, that takes
// a tenth less of its processor time than the other usual way, datagrams to a syslog server.
type haproxy struct{}

// Name implements Peer.
func (*haproxy) Name() string { return "haproxy" }

// Version implements Peer.
func (*haproxy) Version(ctx context.Context) (string, error) { return firstLine(ctx, "haproxy", "-v") }

// Start implements Peer.
func (*haproxy) Start(ctx context.Context, s Setting) (*Running, error) {
	address, err := freeAddress(ctx)
	if err != nil {
		return nil, err
	}
	return startPeer(ctx, s, "haproxy", address, haproxyConfig(address, s), "-db", "-f", s.config("haproxy"))
}

// haproxyConfig is a balancer as one would write it for two Tomcats: own node by the id's suffix, round robin otherwise.
func haproxyConfig(address string, s Setting) string {
	var b strings.Builder
	tls, scheme := "", "http"
	if s.Certificate != nil {
		tls, scheme = fmt.Sprintf(" ssl crt %s ssl-min-ver TLSv1.3 ciphersuites %s", s.Certificate.BothFile, tlsCipher), "https"
	}
	fmt.Fprintf(&b, `global
    maxconn 11000
    no strict-limits
    log stdout format raw local0
defaults
    mode http
    log global
    option httplog
    option forwardfor
    http-reuse safe
    timeout connect 2s
    timeout client 75s
    timeout server 60s
    timeout http-keep-alive 75s
frontend front
    maxconn 11000
    bind %s%s
    http-request set-header X-Forwarded-Proto %s
    http-request set-header X-Forwarded-Host %%[req.hdr(host)]
    default_backend pool
backend pool
    balance roundrobin
`, address, tls, scheme)
	for _, node := range s.Backends {
		fmt.Fprintf(&b, "    use-server %s if { req.cook(JSESSIONID) -m end .%s }\n", node.Route, node.Route)
	}
	for _, node := range s.Backends {
		fmt.Fprintf(&b, "    server %s %s check inter 2s\n", node.Route, node.Address)
	}
	return b.String()
}

// tlsCipher is what Go's client would choose as well: every server encrypts the same way.
const tlsCipher = "TLS_AES_128_GCM_SHA256"
