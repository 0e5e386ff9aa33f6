package front

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"rehydra/e2e/harness"
)

// playBroken is a backend that plays a script, which the path names. It answers one request; every answer ends the connection, so that none is kept.
func playBroken(conn *net.TCPConn) {
	r := bufio.NewReader(conn)
	req, err := http.ReadRequest(r)
	if err != nil {
		return // a health check
	}
	how, when, _ := strings.Cut(strings.TrimPrefix(req.URL.Path, "/"), "-")
	if when == "upload" {
		_, _ = io.CopyN(io.Discard, req.Body, 1000) // an error: it comes to the same
	}
	for phase, bytes := range map[string]string{
		"head": "HTTP/1.1 200 OK\r\nConte", "body": "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\npart",
		"chunk": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\npart\r\n", "tunnel": "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: raw\r\n\r\n",
	} {
		if phase == when {
			_, _ = io.WriteString(conn, bytes) // as above
		}
	}
	switch how {
	case "reset":
		_ = conn.SetLinger(0)
		return
	case "end":
		_ = conn.CloseWrite() // as above
		_, _ = io.Copy(io.Discard, r)
	case "hang":
		_, _ = io.Copy(io.Discard, r) // until the proxy ends the connection
	default:
		_, _ = io.Copy(io.Discard, req.Body)
		fmt.Fprint(conn, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok")
	}
}

// startBroken runs a proxy before one such backend. Its time-outs are far longer than a test may take.
func startBroken(t *testing.T) *harness.Proxy {
	t.Helper()
	b := harness.Serve(t, playBroken)
	return harness.Start(t, harness.Config{
		NoToken: true,
		Server:  []string{`header_timeout = "10m"`, `body_timeout = "10m"`, `keep_alive_timeout = "10m"`},
		Pools: []harness.Pool{{
			Name: "raw", Timeout: []string{`first_byte = "10m"`, `idle = "10m"`}, Health: []string{`interval = "1h"`},
			Backends: []harness.Backend{{Route: "node1", Address: b.Address()}},
		}},
	})
}
