//go:build !linux

package proxy

import "net"

// ListenConfig is how addresses are opened for clients.
func ListenConfig() net.ListenConfig { return net.ListenConfig{} }
