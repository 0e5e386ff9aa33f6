package main

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
)

// AJP/1.3 as far as a GET needs it: Apache Tomcat Connectors, "AJPv13 protocol reference".
const (
	ajpForwardRequest = 2
	ajpPing           = 10
	ajpSendBody       = 3
	ajpSendHeaders    = 4
	ajpEndResponse    = 5
	ajpPong           = 9

	// ajpPacket is the size of packets that Tomcat and mod_jk agree on unless they are told otherwise.
	ajpPacket = 8192
	// ajpMagic begins each packet of the web server.
	ajpMagic = 0x1234
)

// renderAJP returns the packets that say what page, a whole HTTP answer of renderPage, says.
func renderAJP(route string, body []byte) []byte {
	text := func(b []byte, s string) []byte {
		b = binary.BigEndian.AppendUint16(b, uint16(len(s)))
		return append(append(b, s...), 0)
	}
	head := binary.BigEndian.AppendUint16([]byte{ajpSendHeaders}, 200)
	head = binary.BigEndian.AppendUint16(text(head, "200"), 3)
	head = text(text(head, "X-Node"), route)
	head = text(binary.BigEndian.AppendUint16(head, 0xA001), "text/html;charset=UTF-8") // Content-Type
	head = text(binary.BigEndian.AppendUint16(head, 0xA003), fmt.Sprint(len(body)))     // Content-Length
	out := appendAJP(nil, head)
	for len(body) > 0 {
		n := min(len(body), ajpPacket-8)
		piece := binary.BigEndian.AppendUint16([]byte{ajpSendBody}, uint16(n))
		out = appendAJP(out, append(append(piece, body[:n]...), 0))
		body = body[n:]
	}
	return appendAJP(out, []byte{ajpEndResponse, 1}) // 1: the connection may be used again
}

// appendAJP appends a packet of the container.
func appendAJP(b, payload []byte) []byte {
	b = binary.BigEndian.AppendUint16(append(b, 'A', 'B'), uint16(len(payload)))
	return append(b, payload...)
}

// answerAJP answers what comes over one connection of a web server.
func answerAJP(conn net.Conn, packets []byte) {
	pong := appendAJP(nil, []byte{ajpPong})
	reader := bufio.NewReaderSize(conn, ajpPacket)
	for {
		kind, err := skipAJP(reader)
		if err != nil {
			return // the other side has closed: nothing to tell anyone
		}
		out := packets
		if kind == ajpPing {
			out = pong
		}
		if _, err := conn.Write(out); err != nil {
			return
		}
	}
}

// skipAJP reads one packet and returns what kind it is of.
func skipAJP(reader *bufio.Reader) (kind byte, err error) {
	var head [5]byte
	if _, err := io.ReadFull(reader, head[:]); err != nil {
		return 0, err
	}
	length := int(binary.BigEndian.Uint16(head[2:]))
	if binary.BigEndian.Uint16(head[:]) != ajpMagic || length < 1 {
		return 0, errors.New("not a packet of a web server")
	}
	if kind = head[4]; kind != ajpForwardRequest && kind != ajpPing {
		return 0, fmt.Errorf("packet of kind %d: wanted a request or a ping", kind)
	}
	_, err = reader.Discard(length - 1)
	return kind, err
}
