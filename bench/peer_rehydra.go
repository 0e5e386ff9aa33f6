package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// rehydra is the binary of this repository, as a balancer with sticky routing and without a session tier.
type rehydra struct {
	binary string
}

// Name implements Peer.
func (*rehydra) Name() string { return "rehydra" }

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
	if err := os.WriteFile(config, []byte(rehydraConfig(log, s)), 0o600); err != nil {
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
