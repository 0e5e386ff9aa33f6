package checks

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// elsewhere is a route that the backend under test does not have.
const elsewhere = "elsewhere9"

// probe is what a check works with. Its methods end the check at the first surprise: they panic with a verdict, which
// Run takes up, so that a check reads as the conversation that it is.
type probe struct {
	ctx       context.Context
	target    Target
	transport http.RoundTripper
	// Operations go over connections of their own: one that waits behind the request it asks about, on the same
	// connection, would see its end without the adapter's doing.
	operations http.RoundTripper
}

// verdict ends a check.
type verdict struct {
	reason string
	na     bool // the application says that its container has no such thing
}

func (p *probe) fail(format string, args ...any) {
	panic(verdict{reason: fmt.Sprintf(format, args...)})
}

func (p *probe) want(ok bool, format string, args ...any) {
	if !ok {
		p.fail(format, args...)
	}
}

// send makes a request, and takes what belongs to every answer of an adapter as given: Rehydra-Adapter (section 3).
func (p *probe) send(c call) *reply {
	r := p.sendRaw(c)
	p.want(r.header.Get("Rehydra-Adapter") == "1", "Rehydra-Adapter %q given, wanted 1 in every answer (status %d)",
		r.header.Get("Rehydra-Adapter"), r.status)
	return r
}

func (p *probe) sendRaw(c call) *reply {
	transport := p.transport
	if c.op != "" {
		transport = p.operations
	}
	r, err := send(p.ctx, transport, p.target, c)
	if err != nil {
		p.fail("%v", err)
	}
	p.want(r.cut == nil, "the body was cut: %v", r.cut)
	if r.status == http.StatusNotImplemented && c.op == "" {
		panic(verdict{reason: "the application answers 501", na: true})
	}
	return r
}

// page makes a request that the application must answer with its page.
func (p *probe) page(c call) (page, *reply) {
	r := p.send(c)
	p.want(r.status == http.StatusOK, "status %d given, wanted the application's 200 (%s)", r.status, need(r))
	pg, err := parsePage(r.body)
	if err != nil {
		p.fail("%v", err)
	}
	return pg, r
}

func need(r *reply) string {
	if n := r.header.Get("Rehydra-Need"); n != "" {
		return "Rehydra-Need: " + n
	}
	return "no Rehydra-Need"
}

// refused makes a request that must be answered 428, and returns the id that is needed. The application must
// not have been called.
func (p *probe) refused(c call) (id string) {
	before := p.calls()
	r := p.send(c)
	p.want(r.status == http.StatusPreconditionRequired, "status %d given, wanted 428", r.status)
	p.want(len(r.body) == 0, "a body of %d bytes given with 428, wanted none", len(r.body))
	p.want(r.header.Get("Rehydra-Session") == "", "Rehydra-Session given with 428, wanted none")
	values, err := parseParameters(r.header.Get("Rehydra-Need"))
	if err != nil {
		p.fail("Rehydra-Need: %v", err)
	}
	p.want(values["id"] != "" && values["app"] != "", "Rehydra-Need %q given, wanted id and app", r.header.Get("Rehydra-Need"))
	after := p.calls()
	p.want(after == before+1, "the application was called for a 428")
	return values["id"]
}

// calls returns how often the application was called, this call included.
func (p *probe) calls() int {
	pg, _ := p.page(call{query: do("show")})
	return pg.calls
}

// final is how a response left its session, whichever way the adapter chose to say it.
type final struct {
	report
	state []byte // of inline, or of the read after pull
	how   string // inline, same, gone, late, pull
}

// final takes the last word on a session: of the head, the trailer section or a read.
func (p *probe) final(r *reply) final {
	rep := p.head(r)
	f := final{report: rep, how: rep.state}
	field := r.header.Get("Rehydra-State")
	p.want((field != "") == (rep.state == "inline"), "Rehydra-State of %d bytes given with state=%s", len(field), rep.state)
	if rep.state == "late" {
		p.want(r.header.Get("Content-Length") == "", "state=late given with a Content-Length, where no trailer can follow")
		text := r.trailer.Get("Rehydra-Session")
		if text == "" {
			rep.state = "pull"
		} else {
			var err error
			if rep, err = parseReport(text); err != nil {
				p.fail("Rehydra-Session in the trailer section: %v", err)
			}
			field = r.trailer.Get("Rehydra-State")
		}
		f.report = rep
	} else if field != "" {
		limit := base64.RawURLEncoding.EncodedLen(p.target.InlineLimit)
		p.want(len(field) <= limit, "Rehydra-State of %d bytes given in the head, wanted at most %d", len(field), limit)
	}
	switch rep.state {
	case "inline":
		f.state = p.decode(field)
	case "pull":
		f.report, f.state = p.pull(rep.id)
	}
	return f
}

// head reads Rehydra-Session of the head.
func (p *probe) head(r *reply) report {
	fields := r.header.Values("Rehydra-Session")
	p.want(len(fields) == 1, "%d fields Rehydra-Session given, wanted one (status %d)", len(fields), r.status)
	rep, err := parseReport(fields[0])
	if err != nil {
		p.fail("Rehydra-Session: %v", err)
	}
	return rep
}

// pull asks for what became of a session.
func (p *probe) pull(id string) (report, []byte) {
	r := p.operate("read", id)
	if r.status == http.StatusGone {
		return report{id: id, state: "gone"}, nil
	}
	p.want(r.status == http.StatusOK, "status %d given to a read after pull, wanted 200 or 410", r.status)
	rep := p.head(r)
	rep.state = "inline"
	return rep, r.body
}

func (p *probe) decode(field string) []byte {
	state, err := base64.RawURLEncoding.Strict().DecodeString(field)
	if err != nil {
		p.fail("Rehydra-State is not base64url without padding: %v", err)
	}
	return state
}

func encode(state []byte) string { return base64.RawURLEncoding.EncodeToString(state) }

// operate makes an operation of section 4 on a session.
func (p *probe) operate(op, id string) *reply { return p.send(call{op: op, id: id}) }

// dropPatience is how long the end of a request may take, at the backend, after the client has had the whole answer.
const dropPatience = 10 * time.Second

// drop makes the backend forget a session: again while it says that requests of it still run.
func (p *probe) drop(id string) *reply {
	for end := time.Now().Add(dropPatience); ; {
		r := p.operate("drop", id)
		if r.status != http.StatusConflict || time.Now().After(end) {
			return r
		}
		select {
		case <-time.After(10 * time.Millisecond):
		case <-p.ctx.Done():
			return r
		}
	}
}

// install puts a state in place.
func (p *probe) install(id, have string, state []byte) *reply {
	return p.send(call{op: "install", id: id, have: have, body: state})
}

// session is one that a check made.
type session struct {
	id      string
	version version
	state   []byte
	created string
	app     string
}

func (s session) base() string { return baseOf(s.id) }

// away returns the id as it would be if the session had lived at another backend.
func (s session) away() string { return s.base() + "." + elsewhere }

func baseOf(id string) string {
	base, _, _ := strings.Cut(id, ".")
	return base
}

// start makes a session that holds color=red.
func (p *probe) start() session {
	pg, r := p.page(call{query: do("set", "k", "color", "v", "red")})
	f := p.final(r)
	p.want(f.state != nil, "state=%s given for a new session, wanted its state", f.report.state)
	return session{id: f.id, version: f.version, state: f.state, created: pg.created, app: f.app}
}

// started is a session that was moved away: the backend holds no copy of it.
func (p *probe) startedAndDropped() session {
	s := p.start()
	r := p.drop(s.id)
	p.want(r.status == http.StatusNoContent, "status %d given to a drop, wanted 204", r.status)
	return s
}
