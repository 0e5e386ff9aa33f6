package main

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"
)

// What a backend says of a session in each answer to a proxy with a session tier. The first answer of a connection's session always
// brings its state, so that there is one to be kept.
const (
	sessionSame    = "same"
	sessionChanged = "changed"
	sessionPull    = "pull"
)

// The sizes of the states.
const (
	inlineState = 1 << 10
	pulledState = 20 << 10
)

// sessionBackend answers as a backend with an adapter does: enough of the session protocol to be measured, no more.
type sessionBackend struct {
	mode   string
	page   []byte // a whole answer; its head is extended
	inline string // a state as it stands in a header
	pulled []byte

	mu       sync.Mutex
	versions map[string]uint64 // the counter of each session; a proxy uses any connection for any session
}

func newSessionBackend(mode string, page []byte) (*sessionBackend, error) {
	switch mode {
	case sessionSame, sessionChanged, sessionPull:
	default:
		return nil, fmt.Errorf("unknown kind of session %q: wanted %s, %s or %s", mode, sessionSame, sessionChanged, sessionPull)
	}
	return &sessionBackend{
		mode: mode, page: page, inline: base64.RawURLEncoding.EncodeToString(bytes.Repeat([]byte("s"), inlineState)),
		pulled: bytes.Repeat([]byte("p"), pulledState), versions: make(map[string]uint64),
	}, nil
}

// next returns the session's version after a request, and what the request did to it: the first one makes it.
func (b *sessionBackend) next(id string) (version uint64, kind string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	version, kind = b.versions[id], b.mode
	switch {
	case version == 0:
		kind = sessionChanged
		fallthrough
	case kind != sessionSame:
		version++
	}
	b.versions[id] = version
	return version, kind
}

func (b *sessionBackend) current(id string) uint64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.versions[id]
}

// answerRequests answers what comes over one connection.
func (b *sessionBackend) answerRequests(conn net.Conn) {
	reader := bufio.NewReaderSize(conn, 8192)
	var out []byte
	for {
		request, err := readSessionHead(reader)
		if err != nil {
			return // the other side has closed: nothing to tell anyone
		}
		out = out[:0]
		switch {
		case !request.tier || request.id == "":
			out = append(out, b.page...)
		case request.op == "read":
			out = fmt.Appendf(out, "HTTP/1.1 200 \r\n%s\r\nContent-Length: %d\r\n\r\n", b.report(request.id, b.current(request.id), "same"), len(b.pulled))
			out = append(out, b.pulled...)
		default:
			version, kind := b.next(request.id)
			head, body, _ := bytes.Cut(b.page, []byte("\r\n\r\n"))
			out = append(append(out, head...), "\r\n"...)
			if kind == sessionChanged {
				out = append(append(out, b.report(request.id, version, "inline")...), "\r\nRehydra-State: "...)
				out = append(out, b.inline...)
			} else {
				out = append(out, b.report(request.id, version, kind)...)
			}
			out = append(append(out, "\r\n\r\n"...), body...)
		}
		if _, err := conn.Write(out); err != nil || request.last {
			return
		}
	}
}

func (b *sessionBackend) report(id string, version uint64, state string) string {
	return "Rehydra-Adapter: 1\r\nRehydra-Session: id=\"" + id + "\"; app=\"bench/\"; version=1." + strconv.FormatUint(version, 10) +
		"; ttl=1800; state=" + state
}

// sessionHead is what a backend must know of a request.
type sessionHead struct {
	tier, last bool
	id, op     string
}

func readSessionHead(reader *bufio.Reader) (h sessionHead, err error) {
	for first := true; ; first = false {
		line, err := reader.ReadSlice('\n')
		if err != nil {
			return h, err
		}
		line = bytes.TrimRight(line, "\r\n")
		if len(line) == 0 && !first {
			return h, nil
		}
		name, value, ok := bytes.Cut(line, []byte(": "))
		if first || !ok {
			continue
		}
		switch strings.ToLower(string(name)) {
		case "rehydra-tier":
			h.tier = true
		case "rehydra-id":
			h.id = string(value)
		case "rehydra-op":
			h.op = string(value)
		case "connection":
			h.last = bytes.Contains(bytes.ToLower(value), []byte("close"))
		}
	}
}
