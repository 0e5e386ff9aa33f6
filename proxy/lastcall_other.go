//go:build !linux

package proxy

import (
	"net"
	"syscall"
)

// tryAccept finds nobody: this is for Linux alone, and elsewhere a client that waits to be accepted when the listener closes is lost.
func tryAccept(net.Listener) (net.Conn, error) { return nil, syscall.EAGAIN }
