package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// apache is Debian's Apache with the event MPM, in front of its backends by mod_jk and AJP, or by mod_proxy_balancer and HTTP. Its access
// log is buffered, as Rehydra's is.
type apache struct{ ajp bool }

// Name implements Peer.
func (a *apache) Name() string {
	if a.ajp {
		return "mod_jk"
	}
	return "mod_proxy"
}

// Version implements Peer.
func (a *apache) Version(ctx context.Context) (string, error) {
	version, err := firstLine(ctx, "apache2", "-v")
	if err != nil || !a.ajp {
		return version, err
	}
	jk, err := firstLine(ctx, "dpkg-query", "-W", "-f", "${Version}", "libapache2-mod-jk")
	return version + ", mod_jk " + jk, err
}

// Start implements Peer.
func (a *apache) Start(ctx context.Context, s Setting) (*Running, error) {
	address, err := freeAddress(ctx)
	if err != nil {
		return nil, err
	}
	// Its children run as another user, who must reach this folder.
	if err := os.Chmod(s.Dir, 0o755); err != nil {
		return nil, fmt.Errorf("cannot open %q to Apache: %w", s.Dir, err)
	}
	if a.ajp {
		if err := os.WriteFile(filepath.Join(s.Dir, "workers.properties"), []byte(workersProperties(s)), 0o600); err != nil {
			return nil, fmt.Errorf("cannot write the workers of mod_jk: %w", err)
		}
	}
	running, err := startPeer(ctx, s, "apache2", address, a.config(address, s), "-D", "FOREGROUND", "-d", s.Dir, "-f", s.config("apache2"))
	if err != nil {
		return nil, err
	}
	running.AccessLog = s.accessLog()
	return running, nil
}

// config is Apache with the modules that are needed. With 256 workers each can look after as many waiting connections as the memory
// workload opens.
func (a *apache) config(address string, s Setting) string {
	var b strings.Builder
	modules := []string{"mpm_event", "authz_core", "setenvif", "headers"}
	if a.ajp {
		modules = append(modules, "jk")
	} else {
		modules = append(modules, "proxy", "proxy_http", "slotmem_shm", "proxy_balancer", "lbmethod_byrequests", "proxy_hcheck", "watchdog")
	}
	if s.Certificate != nil {
		modules = append(modules, "socache_shmcb", "ssl")
	}
	for _, m := range modules {
		// What is built in cannot be loaded, and is not there as a file.
		file := filepath.Join("/usr/lib/apache2/modules", "mod_"+m+".so")
		if _, err := os.Stat(file); err == nil {
			fmt.Fprintf(&b, "LoadModule %s_module %s\n", m, file)
		}
	}
	if asRoot() {
		b.WriteString("User www-data\nGroup www-data\n")
	}
	fmt.Fprintf(&b, `ServerName %s
Listen %s
PidFile %s/apache2.pid
Mutex sem
ErrorLog %s/error.log
LogLevel error
BufferedLogs On
LogFormat "%%h %%l %%u %%t \"%%r\" %%>s %%O \"%%{Referer}i\" \"%%{User-Agent}i\" %%D" combined
CustomLog %s combined
KeepAlive On
KeepAliveTimeout 75
MaxKeepAliveRequests 0
StartServers 4
ServerLimit 4
ThreadsPerChild 64
ThreadLimit 64
MaxRequestWorkers 256
MinSpareThreads 64
MaxSpareThreads 256
AsyncRequestWorkerFactor 64
ListenBacklog 4096
`, serverName, address, s.Dir, s.Dir, s.accessLog())
	if s.Certificate != nil {
		fmt.Fprintf(&b, "SSLEngine on\nSSLCertificateFile %s\nSSLCertificateKeyFile %s\nSSLProtocol TLSv1.3\nSSLCipherSuite TLSv1.3 %s\n",
			s.Certificate.CertFile, s.Certificate.KeyFile, tlsCipher)
	}
	if a.ajp {
		fmt.Fprintf(&b, "JkWorkersFile %[1]s/workers.properties\nJkShmFile %[1]s/jk.shm\nJkLogFile %[1]s/jk.log\nJkLogLevel error\nJkMount /* balancer\n", s.Dir)
		return b.String()
	}
	scheme := "http"
	if s.Certificate != nil {
		scheme = "https"
	}
	fmt.Fprintf(&b, "RequestHeader set X-Forwarded-Proto %s\n<Proxy balancer://pool>\n", scheme)
	for _, node := range s.Backends {
		fmt.Fprintf(&b, "    BalancerMember http://%s route=%s keepalive=On hcmethod=TCP hcinterval=2\n", node.Address, node.Route)
	}
	b.WriteString("    ProxySet stickysession=JSESSIONID|jsessionid scolonpathdelim=On\n</Proxy>\nProxyPreserveHost On\nProxyPass / balancer://pool/\n")
	return b.String()
}

func workersProperties(s Setting) string {
	var b strings.Builder
	var names []string
	for _, node := range s.Backends {
		host, port, _ := strings.Cut(node.AJP, ":")
		fmt.Fprintf(&b, "worker.%[1]s.type=ajp13\nworker.%[1]s.host=%[2]s\nworker.%[1]s.port=%[3]s\nworker.%[1]s.socket_keepalive=1\n", node.Route, host, port)
		names = append(names, node.Route)
	}
	return "worker.list=balancer\nworker.balancer.type=lb\nworker.balancer.sticky_session=1\nworker.balancer.balance_workers=" +
		strings.Join(names, ",") + "\n" + b.String()
}
