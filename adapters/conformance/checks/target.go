package checks

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Target is the backend under test.
type Target struct {
	URL         string        // of the test application, such as http://127.0.0.1:8081/conformance
	Token       string        // that the adapter holds
	Cookie      string        // the session cookie's name; "" = JSESSIONID
	InlineLimit int           // the adapter's, in bytes; 0 = 4096
	Timeout     time.Duration // for one request; 0 = 10 s
}

func (t Target) withDefaults() Target {
	if t.Cookie == "" {
		t.Cookie = "JSESSIONID"
	}
	if t.InlineLimit == 0 {
		t.InlineLimit = 4096
	}
	if t.Timeout == 0 {
		t.Timeout = 10 * time.Second
	}
	return t
}

// maxTrailer is what the client accepts of a trailer section: a state of a megabyte in base64, and more.
const maxTrailer = 2 << 20

func newTransport() *http.Transport {
	return &http.Transport{DisableCompression: true, ReadBufferSize: maxTrailer, MaxResponseHeaderBytes: maxTrailer}
}

// call is one request as the tier sends it. The zero value is a GET with the token and no session.
type call struct {
	method  string     // "" = GET
	query   url.Values // of the application
	cookies []string   // session ids, one cookie each
	id      string     // Rehydra-Id; "" = the first cookie's
	noID    bool       // no Rehydra-Id, whatever the cookies hold
	have    string
	state   string // as the field holds it
	op      string // Rehydra-Op; the method is then REPORT
	match   string // If-None-Match
	tokens  []string
	noToken bool
	body    []byte
}

// do returns a query for an operation of the application: do("set", "k", "color", "v", "red").
func do(op string, pairs ...string) url.Values {
	q := url.Values{"op": {op}}
	for i := 0; i+1 < len(pairs); i += 2 {
		q.Set(pairs[i], pairs[i+1])
	}
	return q
}

// header returns the request's fields.
func (c call) header(t Target) http.Header {
	h := http.Header{}
	if !c.noToken {
		h["Rehydra-Tier"] = []string{t.Token}
	}
	if c.tokens != nil {
		h["Rehydra-Tier"] = c.tokens
	}
	set := func(name, value string) {
		if value != "" {
			h.Set(name, value)
		}
	}
	id := c.id
	if id == "" && len(c.cookies) > 0 {
		id = c.cookies[0]
	}
	if !c.noID {
		set("Rehydra-Id", id)
	}
	set("Rehydra-Have", c.have)
	set("Rehydra-State", c.state)
	set("Rehydra-Op", c.op)
	set("If-None-Match", c.match)
	var cookies []string
	for _, id := range c.cookies {
		cookies = append(cookies, t.Cookie+"="+id)
	}
	set("Cookie", strings.Join(cookies, "; "))
	return h
}

func (c call) verb() string {
	switch {
	case c.method != "":
		return c.method
	case c.op != "":
		return "REPORT"
	}
	return http.MethodGet
}

// address returns the URL with the call's query.
func (c call) address(t Target) string {
	if len(c.query) == 0 {
		return t.URL
	}
	separator := "?"
	if strings.Contains(t.URL, "?") {
		separator = "&"
	}
	return t.URL + separator + c.query.Encode()
}

// reply is a whole response.
type reply struct {
	status  int
	header  http.Header
	trailer http.Header
	body    []byte
	cut     error // how reading the body failed
}

// send makes one request and reads the whole response.
func send(ctx context.Context, transport http.RoundTripper, t Target, c call) (*reply, error) {
	ctx, cancel := context.WithTimeout(ctx, t.Timeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, c.verb(), c.address(t), bytes.NewReader(c.body))
	if err != nil {
		return nil, fmt.Errorf("cannot make a request for %q: %w", t.URL, err)
	}
	r.Header = c.header(t)
	response, err := transport.RoundTrip(r)
	if err != nil {
		return nil, fmt.Errorf("cannot get an answer to %s: %w", c.verb(), err)
	}
	defer response.Body.Close()
	body, cut := io.ReadAll(response.Body)
	return &reply{status: response.StatusCode, header: response.Header, trailer: response.Trailer, body: body, cut: cut}, nil
}

// fields returns the names of the protocol's fields in the head and the trailer section.
func (r *reply) fields() []string {
	var names []string
	for _, h := range []http.Header{r.header, r.trailer} {
		for name := range h {
			if strings.HasPrefix(strings.ToLower(name), "rehydra-") {
				names = append(names, name)
			}
		}
	}
	return names
}

// cookie returns the session id that the response sets, or "".
func (r *reply) cookie(name string) string {
	for _, c := range (&http.Response{Header: r.header}).Cookies() {
		if c.Name == name && c.MaxAge >= 0 {
			return c.Value
		}
	}
	return ""
}
