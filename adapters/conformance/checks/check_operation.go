package checks

import (
	"fmt"
	"net/http"
	"regexp"
	"strings"
)

// operationChecks: REPORT (section 4).
func operationChecks() []Check {
	return []Check{
		{"read/state", "read: 200 with the state, as the response gave it, and Rehydra-Session (4)", func(p *probe) {
			s := p.start()
			r := p.operate("read", s.id)
			p.want(r.status == http.StatusOK, "status %d given, wanted 200", r.status)
			p.want(string(r.body) == string(s.state), "%d bytes given, wanted the %d of the last response", len(r.body), len(s.state))
			rep := p.head(r)
			p.want(rep.version == s.version && rep.id == s.id && rep.app == s.app, "%s %s %s given, wanted %s %s %s",
				rep.id, rep.app, rep.version, s.id, s.app, s.version)
		}},
		{"read/any-route", "a session is named by its base id, never by its route (Terms)", func(p *probe) {
			s := p.start()
			r := p.operate("read", s.away())
			p.want(r.status == http.StatusOK, "status %d given to a read of %s, wanted 200", r.status, s.away())
		}},
		{"read/unchanged", "read with If-None-Match of the current version: 304 (4)", func(p *probe) {
			s := p.start()
			r := p.send(call{op: "read", id: s.id, match: `"` + s.version.String() + `"`})
			p.want(r.status == http.StatusNotModified && len(r.body) == 0, "status %d and %d bytes given, wanted 304", r.status, len(r.body))
			r = p.send(call{op: "read", id: s.id, match: `"1.0"`})
			p.want(r.status == http.StatusOK, "status %d given for another version, wanted 200", r.status)
		}},
		{"read/unknown", "read of an unknown session: 404 (4)", func(p *probe) {
			s := p.startedAndDropped()
			for _, id := range []string{s.id, "UNKNOWN123." + elsewhere} {
				r := p.operate("read", id)
				p.want(r.status == http.StatusNotFound, "status %d given, wanted 404", r.status)
			}
		}},
		{"install/new", "install: 204, and the session is there under the backend's own route (4)", func(p *probe) {
			s := p.startedAndDropped()
			r := p.install(s.away(), "3.0", s.state)
			p.want(r.status == http.StatusNoContent, "status %d given, wanted 204", r.status)
			rep := p.head(p.operate("read", s.id))
			p.want(rep.version == version{3, 0} && rep.id == s.id, "%s %s given, wanted %s 3.0", rep.id, rep.version, s.id)
			pg, r := p.page(call{query: do("show"), cookies: []string{s.away()}, have: "3.0"})
			p.want(pg.values["color"] == "red" && pg.created == s.created, "color %q, created %s given, wanted red, %s",
				pg.values["color"], pg.created, s.created)
			p.want(r.cookie(p.target.Cookie) == s.id, "cookie %q set, wanted %q", r.cookie(p.target.Cookie), s.id)
		}},
		{"install/not-newer", "install over a version as new or newer: 409, nothing changed (4)", func(p *probe) {
			s := p.start()
			_, r := p.page(call{query: do("set", "k", "color", "v", "blue"), cookies: []string{s.id}})
			now := p.final(r).version
			for _, have := range []version{s.version, now} {
				r := p.install(s.id, have.String(), s.state)
				p.want(r.status == http.StatusConflict, "status %d given to %s over %s, wanted 409", r.status, have, now)
			}
			pg, _ := p.page(call{query: do("show"), cookies: []string{s.id}})
			p.want(pg.values["color"] == "blue", "color %q given, wanted blue", pg.values["color"])
		}},
		{"install/newer", "install over an older version: 204, it is replaced (4)", func(p *probe) {
			s := p.start()
			p.page(call{query: do("set", "k", "color", "v", "blue"), cookies: []string{s.id}})
			r := p.install(s.away(), "2.0", s.state)
			p.want(r.status == http.StatusNoContent, "status %d given, wanted 204", r.status)
			pg, _ := p.page(call{query: do("show"), cookies: []string{s.id}})
			p.want(pg.values["color"] == "red", "color %q given, wanted red", pg.values["color"])
		}},
		{"install/unreadable", "install of what cannot be read: 400, nothing changed (4)", func(p *probe) {
			s := p.start()
			for _, state := range [][]byte{nil, []byte("garbage"), s.state[:len(s.state)/2]} {
				r := p.install(s.id, "5.0", state)
				p.want(r.status == http.StatusBadRequest, "status %d given, wanted 400", r.status)
			}
			rep := p.head(p.operate("read", s.id))
			p.want(rep.version == s.version, "version %s given, wanted %s", rep.version, s.version)
		}},
		{"drop/dropped", "drop: 204, and the session is unknown; again: 204 (4)", func(p *probe) {
			s := p.start()
			for range 2 {
				r := p.drop(s.away())
				p.want(r.status == http.StatusNoContent, "status %d given, wanted 204", r.status)
			}
			r := p.operate("read", s.id)
			p.want(r.status == http.StatusNotFound, "status %d given to a read, wanted 404", r.status)
		}},
		{"drop/in-use", "a drop that is answered 409, since a request of the session runs, changes nothing: what that request does is told (4)", func(p *probe) {
			s := p.start()
			r := p.send(call{query: do("fixed", "k", "color", "v", "blue", "ms", "400"), cookies: []string{s.id}})
			dropped := p.operate("drop", s.id)
			p.want(dropped.status == http.StatusConflict || dropped.status == http.StatusNoContent, "status %d given, wanted 204 or 409", dropped.status)
			if dropped.status == http.StatusConflict {
				p.moved(s, p.final(r), "color", "blue")
			}
		}},
		{"list/lines", "list: a line of id, version, ttl and seconds idle for each session (4)", list},
		{"operation/not-called", "an operation never calls the application (4)", func(p *probe) {
			s := p.start()
			before := p.calls()
			for _, op := range []string{"read", "drop", "list", "unheard-of"} {
				p.operate(op, s.id)
			}
			p.install(s.id, "2.0", s.state)
			p.want(p.calls() == before+1, "the application was called")
		}},
	}
}

func list(p *probe) {
	a, b := p.start(), p.start()
	r := p.send(call{op: "list"})
	p.want(r.status == http.StatusOK, "status %d given, wanted 200", r.status)
	p.want(strings.HasPrefix(r.header.Get("Content-Type"), "text/plain"), "Content-Type %q given, wanted text/plain", r.header.Get("Content-Type"))
	line := regexp.MustCompile(`^\S+ [0-9]+\.[0-9]+ -?[0-9]+ [0-9]+$`)
	for text := range strings.Lines(string(r.body)) {
		p.want(line.MatchString(strings.TrimRight(text, "\r\n")), "line %q given, wanted id, version, ttl and seconds idle", text)
	}
	for _, s := range []session{a, b} {
		want := fmt.Sprintf("%s %s ", s.id, s.version)
		p.want(strings.HasPrefix(string(r.body), want) || strings.Contains(string(r.body), "\n"+want), "no line begins with %q", want)
	}
}
