package httpcases

import (
	"fmt"
	"regexp"
	"strings"
	"time"
)

// atOnce is the least that within_ms means: a loaded machine may stand still for seconds. A proxy that waits where it must not does so for
// one of its time-outs, which are half a minute at least.
const atOnce = 10 * time.Second

// closeGrace is how long a proxy may take to close a connection that it means to close.
const closeGrace = 1500 * time.Millisecond

// evidence is everything that was observed of one exchange, for the checks.
type evidence struct {
	n        int // number of the repetition
	client   *answers
	client2  []*answers
	requests []*seen // of this exchange
	conns    []connState
	at       time.Time
}

// connState is a backend connection at one moment.
type connState struct {
	rest     string
	tunnel   bool
	answered bool
	ended    bool
}

// problems collects why an outcome does not hold.
type problems []string

func (p *problems) add(format string, args ...any) { *p = append(*p, fmt.Sprintf(format, args...)) }

// check returns why o does not hold; nothing if it does. first leaves out what client2 and its requests decide.
func (o *outcome) check(e *evidence, first bool) problems {
	var p problems
	o.checkAnswers(e, &p)
	o.checkHead(e, &p)
	o.checkEnd(e, &p)
	if !first {
		o.checkClient2(e, &p)
		if r := o.Requests; r != nil && (len(e.requests) < r[0] || len(e.requests) > r[1]) {
			p.add("requests: %d complete requests at the backends, want %d to %d", len(e.requests), r[0], r[1])
		}
	}
	o.checkBackends(e, &p)
	for i := range o.Seen {
		if i >= len(e.requests) {
			p.add("seen: request %d did not arrive", i+1)
			break
		}
		o.Seen[i].check(e.requests[i], e.n, func(format string, args ...any) {
			p.add("seen: request %d: %s", i+1, fmt.Sprintf(format, args...))
		})
	}
	return p
}

func (o *outcome) checkAnswers(e *evidence, p *problems) {
	if o.HTTP2 {
		if b := e.client.raw; len(b) < 9 || b[3] != 4 {
			p.add("http2: the answer %q is not a SETTINGS frame", clip(b))
		}
		return
	}
	if e.client.err != nil {
		p.add("%v", e.client.err)
	}
	finals := e.client.finals
	if part := e.client.partial; part != nil {
		if o.Cut && len(finals) == 0 && part.start != "" {
			finals = []*message{part}
		} else if !o.Cut {
			p.add("status: an incomplete response %q", clip(e.client.raw))
		}
	} else if o.Cut {
		p.add("cut: the client cannot tell that the response was cut")
	}
	checkStatuses("status", finals, o.Status, p)
	for i, want := range o.Body {
		if want != nil && i < len(finals) && finals[i].body != text(*want, e.n) {
			p.add("body: response %d has %q, want %q", i+1, clip(finals[i].body), clip(text(*want, e.n)))
		}
	}
	if o.BodyPrefixOf != nil && len(finals) > 0 && !strings.HasPrefix(text(*o.BodyPrefixOf, e.n), finals[0].body) {
		p.add("body_prefix_of: %q", clip(finals[0].body))
	}
	if o.Tunnel != nil && e.client.tunnel != text(*o.Tunnel, e.n) {
		p.add("tunnel: the client got %q, want %q", clip(e.client.tunnel), *o.Tunnel)
	}
	if within := max(atOnce, time.Duration(o.WithinMS)*time.Millisecond); o.WithinMS > 0 && (e.client.headAt == 0 || e.client.headAt > within) {
		p.add("within_ms: the head came after %v (0: never), want %v", e.client.headAt, within)
	}
	o.checkInterim(e, p)
}

func checkStatuses(key string, finals []*message, want [][]string, p *problems) {
	if len(finals) != len(want) {
		var got []int
		for _, m := range finals {
			got = append(got, m.status())
		}
		p.add("%s: %d final responses %v, want %d", key, len(finals), got, len(want))
		return
	}
	for i, m := range finals {
		if !statusIn(m.status(), want[i]) {
			p.add("%s: response %d has %d, want %v", key, i+1, m.status(), want[i])
		}
	}
}

func statusIn(status int, allowed []string) bool {
	for _, a := range allowed {
		if a == fmt.Sprint(status) || a == fmt.Sprintf("%dxx", status/100) {
			return true
		}
	}
	return false
}

func (o *outcome) checkInterim(e *evidence, p *problems) {
	if o.InterimNone && len(e.client.interim) > 0 {
		p.add("interim_none: got %q", e.client.interim[0].start)
	}
	for _, want := range o.Interim {
		found := false
		for _, m := range e.client.interim {
			found = found || fmt.Sprint(m.status()) == want
		}
		if !found {
			p.add("interim: no %s", want)
		}
	}
	for _, want := range o.InterimHas {
		found := false
		for _, m := range e.client.interim {
			found = found || hasField(m.fields, want, e.n)
		}
		if !found {
			p.add("interim_has: no %q", want)
		}
	}
}

// checkHead looks at the first final response.
func (o *outcome) checkHead(e *evidence, p *problems) {
	m := e.client.partial
	if len(e.client.finals) > 0 {
		m = e.client.finals[0]
	}
	if m == nil || m.start == "" {
		m = &message{start: "HTTP/0.0 000 "}
	}
	checkFields(m.fields, "head_", o.HeadHas, o.HeadHasAny, o.HeadLacks, e.n, p.add)
	for name, want := range o.HeadFields {
		checkLines(m, name, want, e.n, p.add)
	}
	if o.AnswerVersion != "" && !strings.HasPrefix(m.start, o.AnswerVersion+" ") {
		p.add("answer_version: %q, want %s", clip(m.start), o.AnswerVersion)
	}
}

func (o *outcome) checkEnd(e *evidence, p *problems) {
	if (o.Close || o.Cut) && !e.client.end {
		p.add("close: the proxy did not close the connection")
	}
	if o.CloseIs != nil && *o.CloseIs != e.client.end {
		p.add("close_is: closed %v, want %v", e.client.end, *o.CloseIs)
	}
}

func (o *outcome) checkClient2(e *evidence, p *problems) {
	for i, a := range e.client2 {
		who := fmt.Sprintf("client2 number %d", i+1)
		if a.err != nil || a.partial != nil {
			p.add("%s: %v, got %q", who, a.err, clip(a.raw))
			continue
		}
		if o.Status2 != nil {
			checkStatuses(who+": status2", a.finals, o.Status2, p)
		}
		if o.Body2 != nil && (len(a.finals) == 0 || a.finals[0].body != text(*o.Body2, e.n)) {
			p.add("%s: body2: got %q", who, clip(a.raw))
		}
	}
}

func (o *outcome) checkBackends(e *evidence, p *problems) {
	tunnel := ""
	for _, c := range e.conns {
		if c.tunnel {
			tunnel += c.rest
		} else if c.rest != "" {
			if o.Partial == "no" || o.Partial == "closed" && !c.ended {
				p.add("partial: %s, but a backend has the incomplete request %q (closed: %v)", o.Partial, clip(c.rest), c.ended)
			}
		}
		if o.BackendClosed && c.answered && !c.ended {
			p.add("backend_closed: the connection that carried the answer is open")
		}
	}
	if o.BackendTunnel != nil && tunnel != text(*o.BackendTunnel, e.n) {
		p.add("backend_tunnel: %q, want %q", clip(tunnel), *o.BackendTunnel)
	}
	for _, r := range e.requests {
		if o.Node != "" && r.node != o.Node {
			p.add("node: a request went to %s, want %s", r.node, o.Node)
		}
	}
}

func (s *seenRequest) check(r *seen, n int, fail func(string, ...any)) {
	start := strings.Split(r.start, " ")
	if s.Method != "" && start[0] != s.Method {
		fail("method %q, want %q", start[0], s.Method)
	}
	if s.Target != nil && !oneOf(start[1], s.Target, n) {
		fail("target %q, want one of %q", clip(start[1]), clip(fmt.Sprint(s.Target)))
	}
	if s.Version != "" && start[2] != s.Version {
		fail("version %q, want %q", start[2], s.Version)
	}
	if s.Host != nil && !oneOf(strings.Join(r.values("Host"), ","), s.Host, n) {
		fail("host %q, want one of %q", r.values("Host"), s.Host)
	}
	if s.Body != nil && r.body != text(*s.Body, n) {
		fail("body %q, want %q", clip(r.body), clip(text(*s.Body, n)))
	}
	checkFields(r.fields, "", s.Has, s.HasAny, s.Lacks, n, fail)
	checkFields(r.trailers, "trailer_", nil, nil, s.TrailerLacks, n, fail)
	for name, want := range s.Fields {
		checkLines(r.message, name, want, n, fail)
	}
	for name, want := range s.Elements {
		if got := elements(r.message, name); fmt.Sprintf("%q", got) != fmt.Sprintf("%q", want) {
			fail("elements of %s are %q, want %q", name, got, want)
		}
	}
	for name, want := range s.Count {
		if got := len(elements(r.message, name)); got != want {
			fail("count of %s is %d, want %d", name, got, want)
		}
	}
	cookies := "; " + strings.Join(r.values("Cookie"), "; ") + ";"
	for _, want := range s.Cookies {
		if !strings.Contains(cookies, "; "+text(want, n)+";") {
			fail("cookies: %q is not in %q", want, cookies)
		}
	}
}

func elements(m *message, name string) (list []string) {
	for _, v := range m.values(name) {
		for e := range strings.SplitSeq(v, ",") {
			list = append(list, strings.TrimSpace(e))
		}
	}
	return list
}

func oneOf(s string, allowed []string, n int) bool {
	for _, a := range allowed {
		if s == text(a, n) {
			return true
		}
	}
	return false
}

func checkFields(fields []field, prefix string, has, hasAny, lacks []string, n int, fail func(string, ...any)) {
	for _, want := range has {
		if !hasField(fields, want, n) {
			fail("%shas: no %q", prefix, clip(want))
		}
	}
	one := len(hasAny) == 0
	for _, want := range hasAny {
		one = one || hasField(fields, want, n)
	}
	if !one {
		fail("%shas_any: none of %q", prefix, hasAny)
	}
	for _, bad := range lacks {
		if hasField(fields, bad, n) {
			fail("%slacks: %q is there", prefix, clip(bad))
		}
	}
}

func checkLines(m *message, name string, want []string, n int, fail func(string, ...any)) {
	got := m.values(name)
	same := len(got) == len(want)
	for i := 0; same && i < len(want); i++ {
		same = got[i] == text(want[i], n)
	}
	if !same {
		fail("fields: the lines of %s are %q, want %q", name, got, want)
	}
}

// hasField looks for "Name", or "Name: value" where "*" stands for any bytes and runs of blanks count as one.
func hasField(fields []field, want string, n int) bool {
	name, pattern, hasValue := strings.Cut(text(want, n), ":")
	for _, f := range fields {
		if strings.EqualFold(f.name, name) && (!hasValue || matches(f.value, pattern)) {
			return true
		}
	}
	return false
}

var blanks = regexp.MustCompile(`[ \t]+`)

func matches(value, pattern string) bool {
	value = blanks.ReplaceAllString(strings.Trim(value, " \t"), " ")
	parts := strings.Split(blanks.ReplaceAllString(strings.Trim(pattern, " \t"), " "), "*")
	if len(parts) == 1 {
		return value == parts[0]
	}
	rest, ok := strings.CutPrefix(value, parts[0])
	if !ok {
		return false
	}
	for _, part := range parts[1 : len(parts)-1] {
		i := strings.Index(rest, part)
		if i < 0 {
			return false
		}
		rest = rest[i+len(part):]
	}
	return strings.HasSuffix(rest, parts[len(parts)-1])
}
