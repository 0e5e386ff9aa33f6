package eventloop

import (
	"errors"
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// mostParts is how many parts one call takes (IOV_MAX).
const mostParts = 1024

// Writev writes all of parts, which stay as they are, in as few calls as there is room for.
func (c *Conn) Writev(parts [][]byte) (written int64, err error) {
	if !c.hold() {
		return 0, net.ErrClosed
	}
	defer c.let()
	if err := c.fits(&c.out); err != nil {
		return 0, err
	}
	own := make([][]byte, 0, len(parts))
	for _, p := range parts {
		if len(p) > 0 {
			own = append(own, p)
		}
	}
	for len(own) > 0 {
		n, err := unix.Writev(c.fd, own[:min(len(own), mostParts)])
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case errors.Is(err, unix.EAGAIN):
			if err := c.awaitRoom(); err != nil {
				return written, err
			}
			continue
		case err != nil:
			return written, os.NewSyscallError("writev", err)
		}
		written += int64(n)
		for len(own) > 0 && n >= len(own[0]) {
			n -= len(own[0])
			own = own[1:]
		}
		if n > 0 {
			own[0] = own[0][n:]
		}
	}
	return written, nil
}
