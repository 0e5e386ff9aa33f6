package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// rehydra is the binary of this repository: a balancer with sticky routing, with a session tier where copies are wanted.
type rehydra struct {
	binary string
	build  string   // what the report calls this build of it; "": rehydra
	copies int      // of each session, each on a memcached of its own; 0: no session tier
	save   string   // "sync" or "async"
	nodes  []string // memcacheds, as store.nodes names them; nil: it starts its own
	checks string   // interval of the health checks; "": two seconds
}

// benchToken is the secret between tier and backends.
const benchToken = "bench"

// Name implements Peer.
func (r *rehydra) Name() string {
	name := cmp.Or(r.build, "rehydra")
	if r.copies == 0 {
		return name
	}
	return fmt.Sprintf("%s-%s-%d", name, r.save, r.copies)
}

// Version implements Peer.
func (r *rehydra) Version(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, r.binary, "version").Output()
	if err != nil {
		return "", fmt.Errorf("cannot ask %q for its version: %w", r.binary, err)
	}
	first, _, _ := strings.Cut(string(out), "\n")
	return first, nil
}

// Start implements Peer.
func (r *rehydra) Start(ctx context.Context, s Setting) (*Running, error) {
	config, log := filepath.Join(s.Dir, "rehydra.toml"), filepath.Join(s.Dir, "rehydra.log")
	running := &Running{AccessLog: log}
	secure, err := freeAddress(ctx)
	if err != nil {
		return nil, err
	}
	text := r.config(log, secure, s)
	if r.copies > 0 {
		nodes := r.nodes
		if nodes == nil {
			if running.Others, nodes, err = startMemcacheds(ctx, s.Dir, r.copies); err != nil {
				return nil, err
			}
		}
		text = fmt.Sprintf("[session]\ntoken = %q\nsave = %q\n\n[store]\nnodes = [%s]\ncopies = %d\n\n",
			benchToken, r.save, strings.Join(nodes, ", "), r.copies) + text
	}
	if err := r.launch(ctx, s, running, config, text); err != nil {
		stopAll(running.Others)
		return nil, err
	}
	if s.Certificate != nil {
		running.Address = secure
	}
	return running, nil
}

// launch starts the proxy itself.
func (r *rehydra) launch(ctx context.Context, s Setting, running *Running, config, text string) error {
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return fmt.Errorf("cannot write %q: %w", config, err)
	}
	p, err := startProcess(ctx, s.Dir, "rehydra", r.binary, "serve", "--config", config)
	if err != nil {
		return err
	}
	err = p.waitFor(ctx, "said that it is ready", func() bool {
		running.Address = readyAddress(running.AccessLog)
		return running.Address != ""
	})
	if err != nil {
		p.stop()
		return err
	}
	running.Process = p
	return nil
}

// config is a balancer for the setting's backends, with TLS at the address secure if the setting wants it.
func (r *rehydra) config(log, secure string, s Setting) string {
	var b strings.Builder
	interval := cmp.Or(r.checks, "2s")
	fmt.Fprintf(&b, `[server]
listen = ["127.0.0.1:0"]
max_connections = 11000

[admin]
listen = ""

[log]
output = %q
access = true

[[pool]]
name = "pool"

[pool.health]
interval = %q
`, log, interval)
	for _, node := range s.Backends {
		fmt.Fprintf(&b, "\n[[pool.backend]]\nroute = %q\nurl = %q\n", node.Route, "http://"+node.Address)
	}
	if s.Certificate == nil {
		return b.String()
	}
	fmt.Fprintf(&b, "\n[server.tls]\nlisten = [%q]\nmin_version = \"1.3\"\n\n[[server.tls.certificate]]\ncertificate = %q\nkey = %q\n",
		secure, s.Certificate.CertFile, s.Certificate.KeyFile)
	return b.String()
}

// startMemcacheds starts memcacheds and returns them also as store.nodes names them.
func startMemcacheds(ctx context.Context, dir string, n int) (started []*process, nodes []string, err error) {
	defer func() {
		if err != nil {
			stopAll(started)
		}
	}()
	for i := range n {
		address, err := freeAddress(ctx)
		if err != nil {
			return started, nil, err
		}
		_, port, _ := strings.Cut(address, ":")
		args := []string{"-l", "127.0.0.1", "-p", port, "-U", "0", "-m", "512", "-t", "1"}
		if asRoot() {
			args = append(args, "-u", "root")
		}
		p, err := startProcess(ctx, dir, fmt.Sprintf("%s%d", memcachedProcess, i), "memcached", args...)
		if err != nil {
			return started, nil, err
		}
		started = append(started, p)
		if err := p.waitFor(ctx, "listened", func() bool { return accepts(ctx, address) }); err != nil {
			return started, nil, err
		}
		nodes = append(nodes, fmt.Sprintf("\"n%d=%s\"", i+1, address))
	}
	return started, nodes, nil
}

func stopAll(processes []*process) {
	for _, p := range processes {
		p.stop()
	}
}

// readyAddress returns the first address of the event that says where the proxy listens, or "" as long as there is none.
func readyAddress(log string) string {
	text, err := os.ReadFile(log)
	if err != nil {
		return "" // not created yet
	}
	for line := range bytes.Lines(text) {
		var event struct {
			Message string
			Listen  []string
		}
		if json.Unmarshal(line, &event) == nil && event.Message == "ready" && len(event.Listen) > 0 {
			return event.Listen[0]
		}
	}
	return ""
}
