package tomcat

import (
	"bytes"
	"encoding/base64"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// tier plays the tier's part against one Tomcat, with a browser's cookies.
type tier struct {
	t      *testing.T
	server *Server
	client *http.Client
	// cookie is the session id that the browser holds, "" for none. Every answer that sets one changes it.
	cookie string
}

func newTier(t *testing.T, s *Server) *tier {
	t.Helper()
	const headLimit = 2 << 20
	transport := &http.Transport{DisableCompression: true, ReadBufferSize: headLimit, MaxResponseHeaderBytes: headLimit}
	t.Cleanup(transport.CloseIdleConnections)
	client := &http.Client{Timeout: time.Minute, Transport: transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return &tier{t: t, server: s, client: client}
}

// request is one request of the tier. The zero value of all but path is a GET with the token.
type request struct {
	method string
	path   string // with the context: /shop/session?op=show
	have   string
	state  []byte
	op     string
	id     string // Rehydra-Id; "" = the cookie
	plain  bool   // not the tier's
	form   url.Values
	body   []byte
	header map[string]string
}

type answer struct {
	*http.Response
	text string
}

func (c *tier) send(r request) answer {
	c.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; {
		a := c.sendOnce(r)
		// A session is not dropped before the request that was just answered has ended at the Tomcat.
		if r.op != "drop" || a.StatusCode != http.StatusConflict || time.Now().After(deadline) {
			return a
		}
		time.Sleep(5 * time.Millisecond) // between two looks at a real process
	}
}

func (c *tier) sendOnce(r request) answer {
	c.t.Helper()
	method, body := r.method, r.body
	if method == "" {
		method = http.MethodGet
	}
	if r.form != nil {
		method, body = http.MethodPost, []byte(r.form.Encode())
	}
	if r.op != "" {
		method = "REPORT"
	}
	q, err := http.NewRequestWithContext(c.t.Context(), method, c.server.URL(r.path), bytes.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	if r.form != nil {
		q.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	set := func(name, value string) {
		if value != "" {
			q.Header.Set(name, value)
		}
	}
	id := r.id
	if id == "" {
		id = c.cookie
	}
	if c.cookie != "" {
		set("Cookie", "JSESSIONID="+c.cookie)
	}
	if !r.plain {
		set("Rehydra-Tier", Token)
		set("Rehydra-Id", id)
		set("Rehydra-Have", r.have)
		set("Rehydra-Op", r.op)
		set("Rehydra-State", base64.RawURLEncoding.EncodeToString(r.state))
	}
	for name, value := range r.header {
		set(name, value)
	}
	response, err := c.client.Do(q)
	if err != nil {
		c.t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		c.t.Fatalf("%s %s: %v", method, r.path, err)
	}
	for _, cookie := range response.Cookies() {
		if cookie.Name == "JSESSIONID" {
			c.cookie = cookie.Value
		}
	}
	return answer{response, string(text)}
}

func (c *tier) get(path string) answer { c.t.Helper(); return c.send(request{path: path}) }

// word is what an answer says of its session in the end: parameters of Rehydra-Session, and the state.
type word struct {
	id, was, version, ttl, state string
	head                         string // the parameter state of the head
	bytes                        []byte
}

// last returns the last word on the session, by a read if need be.
func (c *tier) last(a answer) word {
	c.t.Helper()
	if a.Header.Get("Rehydra-Adapter") != "1" {
		c.t.Fatalf("status %d without Rehydra-Adapter: %v", a.StatusCode, a.Header)
	}
	w := parseWord(a.Header.Get("Rehydra-Session"))
	w.head = w.state
	field := a.Header.Get("Rehydra-State")
	if w.state == "late" {
		head := w.head
		w = parseWord(a.Trailer.Get("Rehydra-Session"))
		w.head, field = head, a.Trailer.Get("Rehydra-State")
	}
	switch w.state {
	case "inline":
		state, err := base64.RawURLEncoding.DecodeString(field)
		if err != nil {
			c.t.Fatal(err)
		}
		w.bytes = state
	case "pull":
		read := c.send(request{op: "read", path: a.Request.URL.Path, id: w.id})
		head := w.head
		w = parseWord(read.Header.Get("Rehydra-Session"))
		w.head, w.bytes = head, []byte(read.text)
		if read.StatusCode != http.StatusOK {
			w.state = read.Status
		}
	}
	return w
}

func parseWord(field string) word {
	var w word
	for part := range strings.SplitSeq(field, "; ") {
		name, value, _ := strings.Cut(part, "=")
		value = strings.Trim(value, `"`)
		switch name {
		case "id":
			w.id = value
		case "was":
			w.was = value
		case "version":
			w.version = value
		case "ttl":
			w.ttl = value
		case "state":
			w.state = value
		}
	}
	return w
}

// line returns the value of one of the page's lines, "" if there is none.
func (a answer) line(name string) string {
	for line := range strings.Lines(a.text) {
		if value, ok := strings.CutPrefix(strings.TrimSpace(line), name+" "); ok {
			return value
		}
	}
	return ""
}

func baseID(id string) string { base, _, _ := strings.Cut(id, "."); return base }

func wantEqual[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}
