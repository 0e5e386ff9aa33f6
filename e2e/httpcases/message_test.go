package httpcases

import (
	"bytes"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// This file reads messages the slow and plain way. It shares no code with the proxy, so that one mistake cannot hide in
// both.

type field struct{ name, value string }

// message is a request or response as read so far.
type message struct {
	start    string // first line
	fields   []field
	body     string
	trailers []field
	complete bool
	untilEnd bool // the body lasts until the connection ends
	size     int  // bytes read, when complete
}

func (m *message) status() int {
	n, _ := strconv.Atoi(m.start[9:12])
	return n
}

func (m *message) values(name string) (v []string) {
	for _, f := range m.fields {
		if strings.EqualFold(f.name, name) {
			v = append(v, f.value)
		}
	}
	return v
}

var (
	requestLine  = regexp.MustCompile("^[!#$%&'*+.^_`|~0-9A-Za-z-]+ [^\\x00-\\x20\\x7f]+ HTTP/1\\.[01]$")
	statusLine   = regexp.MustCompile(`^HTTP/1\.[01] [1-5][0-9][0-9] [^\x00-\x08\x0a-\x1f\x7f]*$`)
	fieldLine    = regexp.MustCompile("(?s)^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \\t]*(.*?)[ \\t]*$")
	onlyDigits   = regexp.MustCompile(`^[0-9]+$`)
	chunkLine    = regexp.MustCompile(`^([0-9A-Fa-f]{1,16})(;[^\x00-\x1f\x7f]*)?$`)
	badInValue   = regexp.MustCompile(`[\x00\r\n]`)
	headBoundary = []byte("\r\n\r\n")
)

// parseHead returns nil and no error while the head is not whole.
func parseHead(b []byte, first *regexp.Regexp) (*message, error) {
	end := bytes.Index(b, headBoundary)
	if end < 0 {
		return nil, nil
	}
	lines := strings.Split(string(b[:end]), "\r\n")
	m := &message{start: lines[0], size: end + 4}
	if !first.MatchString(m.start) {
		return nil, fmt.Errorf("first line %q is not valid", clip(m.start))
	}
	fields, err := parseFields(lines[1:])
	m.fields = fields
	return m, err
}

func parseFields(lines []string) (fields []field, err error) {
	for _, line := range lines {
		f := fieldLine.FindStringSubmatch(line)
		if f == nil || badInValue.MatchString(line) {
			return nil, fmt.Errorf("field line %q is not valid", clip(line))
		}
		fields = append(fields, field{f[1], f[2]})
	}
	return fields, nil
}

// framing reads Content-Length (-1 without) and Transfer-Encoding, and refuses what must not be.
func (m *message) framing(version10 bool) (length int, chunked bool, err error) {
	lengths, codings := m.values("Content-Length"), m.values("Transfer-Encoding")
	length = -1
	switch {
	case len(lengths) > 1:
		return 0, false, fmt.Errorf("%d Content-Length fields", len(lengths))
	case len(lengths) == 1 && !onlyDigits.MatchString(lengths[0]):
		return 0, false, fmt.Errorf("Content-Length is %q", clip(lengths[0]))
	case len(codings) > 0 && len(lengths) > 0:
		return 0, false, fmt.Errorf("Content-Length beside Transfer-Encoding")
	case len(codings) > 1 || len(codings) == 1 && !strings.EqualFold(codings[0], "chunked"):
		return 0, false, fmt.Errorf("Transfer-Encoding is %q", codings)
	case len(codings) == 1 && version10:
		return 0, false, fmt.Errorf("Transfer-Encoding in HTTP/1.0")
	}
	if len(lengths) == 1 {
		length, err = strconv.Atoi(lengths[0])
	}
	return length, len(codings) == 1, err
}

// parseRequest reads the request at the start of b, as far as it goes. nil: the head is not whole.
func parseRequest(b []byte) (*message, error) {
	m, err := parseHead(b, requestLine)
	if m == nil || err != nil {
		return nil, err
	}
	version10 := strings.HasSuffix(m.start, "0")
	if hosts := m.values("Host"); len(hosts) > 1 || len(hosts) == 0 && !version10 {
		return nil, fmt.Errorf("%d Host fields", len(hosts))
	}
	length, chunked, err := m.framing(version10)
	if err != nil {
		return nil, err
	}
	return m, m.readBody(b, max(length, 0), chunked)
}

// parseResponse reads the response at the start of b. toHead: it answers HEAD. to10: it answers an HTTP/1.0 client.
func parseResponse(b []byte, toHead, to10, ended bool) (*message, error) {
	m, err := parseHead(b, statusLine)
	if m == nil || err != nil {
		return nil, err
	}
	length, chunked, err := m.framing(strings.HasPrefix(m.start, "HTTP/1.0"))
	if err != nil {
		return nil, err
	}
	if chunked && to10 {
		return nil, fmt.Errorf("Transfer-Encoding for an HTTP/1.0 client")
	}
	status := m.status()
	noLength := status < 200 || status == 204
	if noLength && (length >= 0 || chunked) {
		return nil, fmt.Errorf("Content-Length or Transfer-Encoding with status %d", status)
	}
	if noLength || toHead || status == 304 {
		m.complete = true
		return m, nil
	}
	if length < 0 && !chunked {
		m.untilEnd = true
		m.body = string(b[m.size:])
		m.size = len(b)
		m.complete = ended
		return m, nil
	}
	return m, m.readBody(b, length, chunked)
}

func (m *message) readBody(b []byte, length int, chunked bool) error {
	rest := b[m.size:]
	if chunked {
		return m.readChunks(rest)
	}
	n := min(length, len(rest))
	m.body = string(rest[:n])
	m.size += n
	m.complete = n == length
	return nil
}

func (m *message) readChunks(b []byte) error {
	var body strings.Builder
	defer func() { m.body = body.String() }()
	for {
		i := bytes.Index(b, []byte("\r\n"))
		if j := bytes.IndexByte(b, '\n'); j >= 0 && j != i+1 {
			return fmt.Errorf("a bare LF in a chunk-size line")
		}
		if i < 0 {
			return nil
		}
		line := chunkLine.FindSubmatch(b[:i])
		if line == nil {
			return fmt.Errorf("chunk-size line %q", clip(string(b[:i])))
		}
		size, err := strconv.ParseInt(string(line[1]), 16, 63)
		if err != nil {
			return err
		}
		b = b[i+2:]
		m.size += i + 2
		if size == 0 {
			return m.readTrailers(b)
		}
		n := min(int(size), len(b))
		body.Write(b[:n])
		if n < int(size) || len(b) < n+2 {
			return nil
		}
		if string(b[n:n+2]) != "\r\n" {
			return fmt.Errorf("chunk data ends with %q", b[n:n+2])
		}
		b = b[n+2:]
		m.size += n + 2
	}
}

func (m *message) readTrailers(b []byte) (err error) {
	if bytes.HasPrefix(b, []byte("\r\n")) {
		m.size += 2
		m.complete = true
		return nil
	}
	end := bytes.Index(b, headBoundary)
	if end < 0 {
		return nil
	}
	m.size += end + 4
	m.complete = true
	m.trailers, err = parseFields(strings.Split(string(b[:end]), "\r\n"))
	return err
}

func clip(s string) string {
	if len(s) > 120 {
		return s[:60] + "…" + s[len(s)-60:]
	}
	return s
}
