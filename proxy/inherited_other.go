//go:build !linux

package proxy

import (
	"net"
	"syscall"
)

// ListenConfig is how addresses are opened for clients.
func ListenConfig() net.ListenConfig { return net.ListenConfig{} }

// bequeath does nothing: event loops, who accept without Go, are not there.
func bequeath(syscall.RawConn) error { return nil }
