//go:build !linux

package upstream

// Unread reports whether what was written since c was acquired was provably taken by no application. Here there is no proof.
func (c *Conn) Unread() bool { return false }
