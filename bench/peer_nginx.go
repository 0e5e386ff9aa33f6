package main

import (
	"context"
	"fmt"
	"strings"
)

// nginx is Debian's nginx. Its access log is buffered, as Rehydra's is; it has no health checks of its own.
type nginx struct{}

// Name implements Peer.
func (*nginx) Name() string { return "nginx" }

// Version implements Peer.
func (*nginx) Version(ctx context.Context) (string, error) { return firstLine(ctx, "nginx", "-v") }

// Start implements Peer.
func (*nginx) Start(ctx context.Context, s Setting) (*Running, error) {
	address, err := freeAddress(ctx)
	if err != nil {
		return nil, err
	}
	running, err := startPeer(ctx, s, "nginx", address, nginxConfig(address, s), "-p", s.Dir, "-c", s.config("nginx"))
	if err != nil {
		return nil, err
	}
	running.AccessLog = s.accessLog()
	return running, nil
}

// nginxConfig routes by a map of the cookie's end; the limits on requests a connection, which a load over kept connections would meet, are out
// of the way.
func nginxConfig(address string, s Setting) string {
	var b strings.Builder
	user := ""
	if asRoot() {
		user = "user root;\n"
	}
	fmt.Fprintf(&b, `%sworker_processes auto;
daemon off;
pid %[2]s/nginx.pid;
error_log stderr error;
events { worker_connections 12000; }
http {
    client_body_temp_path %[2]s/body;
    proxy_temp_path %[2]s/proxy;
    fastcgi_temp_path %[2]s/fastcgi;
    uwsgi_temp_path %[2]s/uwsgi;
    scgi_temp_path %[2]s/scgi;
    log_format main '$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" "$http_user_agent" $upstream_addr $request_time';
    access_log %[3]s main buffer=64k flush=1s;
    keepalive_timeout 75s;
    keepalive_requests 1000000000;
    tcp_nodelay on;
    map $cookie_JSESSIONID $pool {
        default all;
`, user, s.Dir, s.accessLog())
	for _, node := range s.Backends {
		fmt.Fprintf(&b, "        ~\\.%s$ %s;\n", node.Route, node.Route)
	}
	b.WriteString("    }\n")
	group := func(name string, nodes []Backend) {
		fmt.Fprintf(&b, "    upstream %s {\n", name)
		for _, node := range nodes {
			fmt.Fprintf(&b, "        server %s;\n", node.Address)
		}
		b.WriteString("        keepalive 128;\n        keepalive_requests 1000000000;\n    }\n")
	}
	group("all", s.Backends)
	for i, node := range s.Backends {
		group(node.Route, s.Backends[i:i+1])
	}
	tls, certificate := "", ""
	if s.Certificate != nil {
		tls, certificate = " ssl", fmt.Sprintf("        ssl_certificate %s;\n        ssl_certificate_key %s;\n        ssl_protocols TLSv1.3;\n"+
			"        ssl_conf_command Ciphersuites %s;\n", s.Certificate.CertFile, s.Certificate.KeyFile, tlsCipher)
	}
	fmt.Fprintf(&b, `    server {
        listen %s%s backlog=4096;
%s        location / {
            proxy_pass http://$pool;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Host $http_host;
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            proxy_set_header X-Forwarded-Proto $scheme;
            proxy_set_header X-Forwarded-Host $http_host;
        }
    }
}
`, address, tls, certificate)
	return b.String()
}
