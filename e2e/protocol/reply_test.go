package protocol

import (
	"encoding/base64"
	"fmt"
	"strings"
)

// base64url is how states travel in fields: without padding.
var base64url = base64.RawURLEncoding

// reply is an adapter's answer in the making.
type reply struct {
	status   string   // "200 OK" if empty
	fields   []string // "Name: value"
	body     string
	chunked  bool
	trailers []string // "Name: value"; they make it chunked
	bare     bool     // without Rehydra-Adapter, as from a backend that has none or whose container reset the head
}

// report is Rehydra-Session as it stands on the wire. rest follows the version: "ttl=1800; state=same".
func report(id, version, rest string) string {
	return fmt.Sprintf(`Rehydra-Session: id="%s"; app="localhost/"; version=%s; %s`, id, version, rest)
}

// stateField is Rehydra-State as it stands on the wire.
func stateField(state string) string {
	return "Rehydra-State: " + base64url.EncodeToString([]byte(state))
}

// inline is an answer with a new state in its head.
func inline(id, version, state string) reply {
	return reply{fields: []string{report(id, version, "ttl=1800; state=inline"), stateField(state)}, body: "ok"}
}

// same is an answer that changed nothing.
func same(id, version string) reply {
	return reply{fields: []string{report(id, version, "ttl=1800; state=same")}, body: "ok"}
}

// pull is an answer that may have changed the session.
func pull(id, version string) reply {
	return reply{fields: []string{report(id, version, "ttl=1800; state=pull")}, body: "ok"}
}

// gone is an answer that ended the session.
func gone(id, version string) reply {
	return reply{fields: []string{report(id, version, "ttl=1800; state=gone")}, body: "ok"}
}

// late is a chunked answer whose last word comes as trailers.
func late(id, version string, trailers ...string) reply {
	return reply{fields: []string{report(id, version, "ttl=1800; state=late")}, body: "ok", chunked: true, trailers: trailers}
}

// need is the 428 of an adapter that lacks a session.
func need(id string) reply {
	return reply{status: "428 Precondition Required", fields: []string{fmt.Sprintf(`Rehydra-Need: id="%s"; app="localhost/"`, id)}}
}

// readAnswer is the answer to an operation read.
func readAnswer(id, version, state string) reply {
	return reply{fields: []string{report(id, version, "ttl=1800; state=same")}, body: state}
}

// plain is an adapter's answer that concerned no session.
func plain(body string) reply { return reply{body: body} }

// with returns r with more fields in its head.
func (r reply) with(fields ...string) reply {
	r.fields = append(append([]string(nil), r.fields...), fields...)
	return r
}

// as returns r with another status.
func (r reply) as(status string) reply {
	r.status = status
	return r
}

// head is everything up to the body.
func (r reply) head() string {
	var b strings.Builder
	status := r.status
	if status == "" {
		status = "200 OK"
	}
	b.WriteString("HTTP/1.1 " + status + "\r\n")
	if !r.bare {
		b.WriteString("Rehydra-Adapter: 1\r\n")
	}
	for _, f := range r.fields {
		b.WriteString(f + "\r\n")
	}
	switch {
	case r.chunked || r.trailers != nil:
		b.WriteString("Transfer-Encoding: chunked\r\n")
	case !strings.HasPrefix(status, "204") && !strings.HasPrefix(status, "304"):
		fmt.Fprintf(&b, "Content-Length: %d\r\n", len(r.body))
	}
	b.WriteString("\r\n")
	return b.String()
}

// tail is the body with its end.
func (r reply) tail() string {
	if !r.chunked && r.trailers == nil {
		return r.body
	}
	var b strings.Builder
	if r.body != "" {
		fmt.Fprintf(&b, "%x\r\n%s\r\n", len(r.body), r.body)
	}
	b.WriteString("0\r\n")
	for _, f := range r.trailers {
		b.WriteString(f + "\r\n")
	}
	b.WriteString("\r\n")
	return b.String()
}

// reply sends r, to HEAD without its body.
func (q *call) reply(r reply) {
	if q.method == "HEAD" || strings.HasPrefix(r.status, "204") || strings.HasPrefix(r.status, "304") {
		q.say(r.head())
		return
	}
	q.say(r.head(), r.tail())
}
