package main

import (
	"net/netip"
	"strconv"
)

// networks checks a list of addresses and networks.
func (c checker) networks(path string, list []string) {
	for _, text := range list {
		if _, err := parseNetwork(text); err != nil {
			c.bad(path, strconv.Quote(text), `an IP address or a network, such as "10.0.0.0/8", "192.0.2.1" or "2001:db8::/32"`)
		}
	}
}

// parseNetwork reads a network, or an address as a network of one. Bits behind the prefix would say something other than they mean.
func parseNetwork(text string) (netip.Prefix, error) {
	if addr, err := netip.ParseAddr(text); err == nil && addr.Zone() == "" {
		addr = addr.Unmap()
		return netip.PrefixFrom(addr, addr.BitLen()), nil
	}
	prefix, err := netip.ParsePrefix(text)
	if err == nil && (prefix != prefix.Masked() || prefix.Addr().Is4In6()) {
		err = wantedError("a network without bits behind its prefix")
	}
	return prefix, err
}

// parsedNetworks returns the networks of a list that was checked.
func parsedNetworks(list []string) []netip.Prefix {
	networks := make([]netip.Prefix, 0, len(list))
	for _, text := range list {
		if network, err := parseNetwork(text); err == nil {
			networks = append(networks, network)
		}
	}
	return networks
}
