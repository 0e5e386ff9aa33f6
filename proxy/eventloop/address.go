package eventloop

import (
	"net"
	"net/netip"
	"strconv"
	"syscall"
)

// RemoteAddr is net.Conn's, a *net.TCPAddr.
func (c *Conn) RemoteAddr() net.Addr { return net.TCPAddrFromAddrPort(c.remote) }

// Remote is RemoteAddr without an allocation.
func (c *Conn) Remote() netip.AddrPort { return c.remote }

// LocalAddr is net.Conn's, a *net.TCPAddr; zero where the connection is closed.
func (c *Conn) LocalAddr() net.Addr {
	var local netip.AddrPort
	if c.hold() {
		defer c.let()
		if sa, err := syscall.Getsockname(c.fd); err == nil {
			local = addrPort(sa)
		}
	}
	return net.TCPAddrFromAddrPort(local)
}

// addrPort is a socket's address; the zero value where it is not one of IP.
func addrPort(sa syscall.Sockaddr) netip.AddrPort {
	switch sa := sa.(type) {
	case *syscall.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(sa.Addr), uint16(sa.Port))
	case *syscall.SockaddrInet6:
		return netip.AddrPortFrom(netip.AddrFrom16(sa.Addr).WithZone(zone(sa.ZoneId)), uint16(sa.Port))
	}
	return netip.AddrPort{}
}

// zone is the name of a link-local address's interface; "" for 0, which is none.
func zone(index uint32) string {
	if index == 0 {
		return ""
	}
	if at, err := net.InterfaceByIndex(int(index)); err == nil {
		return at.Name
	}
	return strconv.FormatUint(uint64(index), 10)
}

func tcpAddrPort(addr net.Addr) netip.AddrPort {
	if tcp, ok := addr.(*net.TCPAddr); ok {
		return tcp.AddrPort()
	}
	return netip.AddrPort{}
}
