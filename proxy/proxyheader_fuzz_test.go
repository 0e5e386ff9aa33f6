package proxy

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"io"
	"net/netip"
	"testing"

	"github.com/pires/go-proxyproto"
)

// FuzzProxyHeader: whatever a peer sends for a PROXY header names a client by its address, or leaves the one that connected, or is refused. What follows the header
// is left as it is, and a header takes no more than the protocol lets it.
func FuzzProxyHeader(f *testing.F) {
	const next = "GET / HTTP/1.1\r\n\r\n"
	for _, text := range []string{
		"PROXY TCP4 198.51.100.7 192.0.2.1 4711 80\r\n", "PROXY TCP6 2001:db8::7 2001:db8::1 4711 80\r\n", "PROXY UNKNOWN\r\n", "PROXY UNKNOWN a b c d\r\n",
		"PROXY TCP4 198.51.100.7\r\n", "PROXY TCP4 2001:db8::7 192.0.2.1 4711 80\r\n", "PROXY TCP4 198.51.100.7 192.0.2.1 4711 80\n", "GET / HTTP/1.1\r\n", "", "PROXY",
	} {
		f.Add([]byte(text + next))
	}
	const signature = "\r\n\r\n\x00\r\nQUIT\n"
	for _, text := range []string{
		"\x21\x11\x00\x0c\xc6\x33\x64\x07\xc0\x00\x02\x01\x12\x67\x00\x50", "\x20\x00\x00\x00", "\x21\x31\x00\xd8" + string(make([]byte, 216)),
		"\x21\x21\x00\x24" + string(make([]byte, 36)), "\x21\x11\xff\xff", "\x31\x11\x00\x0c",
	} {
		f.Add([]byte(signature + text + next))
	}
	connected := netip.MustParseAddr("192.0.2.99")
	f.Fuzz(func(t *testing.T, sent []byte) {
		c := &client{peer: connected, addr: connected.String(), r: bufio.NewReaderSize(bytes.NewReader(sent), clientBuffer)}
		err := c.readProxyHeader()
		if err != nil {
			if c.peer != connected || c.addr != connected.String() {
				t.Errorf("%q was refused (%v), and named %q", sent, err, c.addr)
			}
			return
		}
		if !c.peer.IsValid() || c.peer.Is4In6() || c.peer.Zone() != "" || c.addr != c.peer.String() {
			t.Errorf("%q named %v, %q", sent, c.peer, c.addr)
		}
		left, err := io.ReadAll(c.r)
		if err != nil || !bytes.HasSuffix(sent, left) {
			t.Fatalf("%q left %q, %v", sent, left, err)
		}
		most := 107 // of version 1
		if header := sent[:len(sent)-len(left)]; bytes.HasPrefix(header, proxyproto.SIGV2) {
			most = 16 + int(binary.BigEndian.Uint16(header[14:]))
		}
		if n := len(sent) - len(left); n > most {
			t.Errorf("a header of %d bytes was taken, of at most %d: %q", n, most, sent)
		}
	})
}
