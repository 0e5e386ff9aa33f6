package main

import (
	"context"
	"fmt"
	"os"
	"runtime"
)

// forwarder is no proxy that anybody could use: this program again, moving bytes between two sockets, see [runForwarder]. What it takes is what the
// kernel takes of every proxy on this machine, so that its ratios say which targets are within reach.
type forwarder struct{}

// forwarderName is what the report calls it.
const forwarderName = "forwarder"

// Name implements Peer.
func (*forwarder) Name() string { return forwarderName }

// Version implements Peer.
func (*forwarder) Version(context.Context) (string, error) {
	return "moves bytes and does nothing else: no HTTP, no log (forwarder.go), " + runtime.Version(), nil
}

// Start implements Peer.
func (*forwarder) Start(ctx context.Context, s Setting) (*Running, error) {
	address, err := freeAddress(ctx)
	if err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("cannot find this program: %w", err)
	}
	args := []string{"forwarder", "-listen", address}
	for _, node := range s.Backends {
		args = append(args, node.Route+"="+node.Address)
	}
	p, err := startProcess(ctx, s.Dir, forwarderName, self, args...)
	if err != nil {
		return nil, err
	}
	if err := p.waitFor(ctx, "accepted a connection", func() bool { return accepts(ctx, address) }); err != nil {
		p.stop()
		return nil, err
	}
	return &Running{Address: address, Process: p, AccessLog: p.logs}, nil
}

// forwards tells whether moving bytes is all that a workload takes of a proxy: over kept connections without TLS.
func forwards(w *Workload) bool {
	return !w.TLS && !w.Tomcat && !w.Fresh && len(w.Hold) == 0
}
