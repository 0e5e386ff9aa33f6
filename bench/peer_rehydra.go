package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// rehydra is the binary of this repository: a balancer with sticky routing, with a session tier where copies are wanted.
type rehydra struct {
	binary string
	copies int    // of each session, each on a memcached of its own; 0: no session tier
	save   string // "sync" or "async"
}

// Name implements Peer.
func (r *rehydra) Name() string {
	if r.copies == 0 {
		return "rehydra"
	}
	return fmt.Sprintf("rehydra-%s-%d", r.save, r.copies)
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
	text := rehydraConfig(log, s)
	if r.copies > 0 {
		nodes, err := startMemcacheds(ctx, s.Dir, r.copies)
		if err != nil {
			return nil, err
		}
		text = fmt.Sprintf("[session]\ntoken = \"bench\"\nsave = %q\n\n[store]\nnodes = [%s]\ncopies = %d\n\n", r.save, strings.Join(nodes, ", "), r.copies) + text
	}
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return nil, fmt.Errorf("cannot write %q: %w", config, err)
	}
	p, err := startProcess(ctx, s.Dir, "rehydra", r.binary, "serve", "--config", config)
	if err != nil {
		return nil, err
	}
	var address string
	err = p.waitFor(ctx, "said that it is ready", func() bool {
		address = readyAddress(log)
		return address != ""
	})
	if err != nil {
		p.stop()
		return nil, err
	}
	return &Running{Address: address, Process: p, AccessLog: log}, nil
}

func rehydraConfig(log string, s Setting) string {
	var b strings.Builder
	fmt.Fprintf(&b, `[server]
listen = ["127.0.0.1:0"]

[admin]
listen = ""

[log]
output = %q
access = true

[[pool]]
name = "pool"

[pool.health]
interval = "2s"
`, log)
	for _, node := range s.Backends {
		fmt.Fprintf(&b, "\n[[pool.backend]]\nroute = %q\nurl = %q\n", node.Route, "http://"+node.Address)
	}
	return b.String()
}

// startMemcacheds starts memcacheds that end with ctx, and returns them as store.nodes names them.
func startMemcacheds(ctx context.Context, dir string, n int) (nodes []string, err error) {
	for i := range n {
		var config net.ListenConfig
		free, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
		if err != nil {
			return nil, fmt.Errorf("cannot find a free port: %w", err)
		}
		address := free.Addr().String()
		_, port, _ := strings.Cut(address, ":")
		if err := free.Close(); err != nil {
			return nil, fmt.Errorf("cannot free a port: %w", err)
		}
		args := []string{"-l", "127.0.0.1", "-p", port, "-U", "0", "-m", "256", "-t", "1"}
		if os.Getuid() == 0 {
			args = append(args, "-u", "root")
		}
		p, err := startProcess(ctx, dir, fmt.Sprintf("memcached%d", i), "memcached", args...)
		if err != nil {
			return nil, err
		}
		context.AfterFunc(ctx, p.stop)
		err = p.waitFor(ctx, "listened", func() bool {
			var dialer net.Dialer
			c, err := dialer.DialContext(ctx, "tcp", address)
			return err == nil && c.Close() == nil
		})
		if err != nil {
			return nil, err
		}
		nodes = append(nodes, fmt.Sprintf("\"n%d=%s\"", i+1, address))
	}
	return nodes, nil
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
