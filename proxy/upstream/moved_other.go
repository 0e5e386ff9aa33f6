//go:build !linux

package upstream

import "net"

// Moved tells nothing here: see its Linux version.
func Moved(net.Conn) (bytes uint64, ok bool) { return 0, false }
