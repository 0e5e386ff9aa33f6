package checks

import (
	"net/http"
)

// lateChecks: responses that begin before the session is final, and states that are too large for a head (section 3).
func lateChecks() []Check {
	return []Check{
		{"late/change", "a change after the response began reaches the tier: by trailer fields or a read (3)", func(p *probe) {
			s := p.start()
			r := p.send(call{query: do("late", "k", "color", "v", "blue"), cookies: []string{s.id}})
			f := p.final(r)
			p.want(f.how == "late" || f.how == "pull", "state=%s given, wanted late or pull: the response began before the change", f.how)
			p.moved(s, f, "color", "blue")
		}},
		{"late/unchanged", "a response that began early and changed nothing leaves the version as it is (3)", func(p *probe) {
			s := p.start()
			r := p.send(call{query: do("late"), cookies: []string{s.id}})
			f := p.final(r)
			p.want(f.version == s.version, "version %s given, wanted %s", f.version, s.version)
		}},
		{"late/fixed-length", "the same with a body of a declared length (3)", func(p *probe) {
			s := p.start()
			r := p.send(call{query: do("fixed", "k", "color", "v", "blue"), cookies: []string{s.id}})
			f := p.final(r)
			p.moved(s, f, "color", "blue")
		}},
		{"late/read-waits", "a read after pull waits for the end of the request that is to be asked for (3, 4)", func(p *probe) {
			s := p.start()
			r := p.send(call{query: do("fixed", "k", "color", "v", "blue", "ms", "400"), cookies: []string{s.id}})
			f := p.final(r)
			p.moved(s, f, "color", "blue")
		}},
		{"late/large", "a state over the inline limit is never in a head (3)", func(p *probe) {
			s := p.start()
			r := p.send(call{query: do("big", "k", "big", "n", "20000"), cookies: []string{s.id}})
			f := p.final(r)
			p.want(f.how == "late" || f.how == "pull", "state=%s given, wanted late or pull", f.how)
			p.movedBig(s, f, 20000)
		}},
		{"late/200KB", "a state of 200 KB reaches the tier whole (3)", func(p *probe) {
			s := p.start()
			r := p.send(call{query: do("big", "k", "big", "n", "200000"), cookies: []string{s.id}})
			p.movedBig(s, p.final(r), 200000)
		}},
		{"late/large-head", "a large state after a HEAD request (3)", func(p *probe) {
			s := p.start()
			r := p.send(call{method: http.MethodHead, query: do("big", "k", "big", "n", "20000"), cookies: []string{s.id}})
			p.movedBig(s, p.final(r), 20000)
		}},
		{"late/invalidate", "a session that ends after the response began is reported as ended, or a read says 410 (3, 4)", func(p *probe) {
			s := p.start()
			r := p.send(call{query: do("late-invalidate"), cookies: []string{s.id}})
			f := p.final(r)
			p.want(f.report.state == "gone", "state=%s given, wanted gone", f.report.state)
			read := p.operate("read", s.id)
			p.want(read.status == http.StatusGone, "status %d given to a read, wanted 410: it ended after its response began", read.status)
		}},
	}
}

// moved takes a final state to where a session was not known, and looks whether the value came along.
func (p *probe) moved(s session, f final, name, want string) {
	p.want(f.state != nil && f.version.newer(s.version), "%s %s given after %s, wanted a new state", f.how, f.version, s.version)
	s.state = f.state
	pg := p.takeElsewhere(s)
	p.want(pg.values[name] == want, "%s %q in the state that was given, wanted %q", name, pg.values[name], want)
}

func (p *probe) movedBig(s session, f final, size int) {
	p.want(f.state != nil && f.version.newer(s.version), "%s %s given after %s, wanted a new state", f.how, f.version, s.version)
	s.state = f.state
	pg := p.takeElsewhere(s)
	p.want(pg.sizes["big"] == size, "a value of %d bytes in the state that was given, wanted %d", pg.sizes["big"], size)
}

// takeElsewhere drops a session and installs the state that s has, as the tier does at a fail-over.
func (p *probe) takeElsewhere(s session) page {
	p.drop(s.id)
	r := p.install(s.away(), "2.0", s.state)
	p.want(r.status == http.StatusNoContent, "status %d given to an install of what the adapter gave, wanted 204", r.status)
	pg, _ := p.page(call{query: do("show"), cookies: []string{s.away()}, have: "2.0"})
	return pg
}

// endChecks: ends and new ids (section 3).
func endChecks() []Check {
	return []Check{
		{"end/gone", "an invalidated session is reported as gone, without a state (3)", func(p *probe) {
			s := p.start()
			r := p.send(call{query: do("invalidate"), cookies: []string{s.id}})
			f := p.final(r)
			p.want(f.report.state == "gone" && baseOf(f.id) == s.base(), "%s %s given, wanted gone of %s", f.report.state, f.id, s.id)
			read := p.operate("read", s.id)
			p.want(read.status == 404 || read.status == 410, "status %d given to a read, wanted 404 or 410", read.status)
		}},
		{"end/unknown", "a session that ended is unknown: 428 (2, rule 6)", func(p *probe) {
			s := p.start()
			p.send(call{query: do("invalidate"), cookies: []string{s.id}})
			p.refused(call{query: do("show"), cookies: []string{s.id}})
		}},
		{"end/started-over", "a session that is ended and begun anew in one request: the new one is reported, 1.1, with the old as was (3)", func(p *probe) {
			s := p.start()
			r := p.send(call{query: do("start-over", "k", "color", "v", "blue"), cookies: []string{s.id}})
			f := p.final(r)
			p.want(baseOf(f.id) != s.base(), "id %s given, wanted a new one", f.id)
			p.want(f.state != nil && f.version == version{1, 1}, "%s %s given, wanted a new state as 1.1", f.how, f.version)
			p.want(baseOf(f.was) == s.base(), "was=%q given, wanted %s", f.was, s.id)
		}},
		{"end/renewed", "a renewed id is reported with the old as was, with the whole state, and set as a cookie (3)", func(p *probe) {
			s := p.start()
			pg, r := p.page(call{query: do("renew"), cookies: []string{s.id}})
			f := p.final(r)
			p.want(baseOf(f.id) != s.base() && pg.session == f.id, "id %s given, wanted a new one, the application's %s", f.id, pg.session)
			p.want(baseOf(f.was) == s.base(), "was=%q given, wanted %s", f.was, s.id)
			p.want(f.state != nil, "state=%s given, wanted the state: nothing is stored under the new id", f.report.state)
			p.want(r.cookie(p.target.Cookie) == f.id, "cookie %q set, wanted %q", r.cookie(p.target.Cookie), f.id)
			p.want(pg.values["color"] == "red", "color %q given, wanted red", pg.values["color"])
			read := p.operate("read", s.id)
			p.want(read.status == 404 || read.status == 410, "status %d given to a read of the old id, wanted 404 or 410", read.status)
		}},
		{"end/renewed-restored", "a session restored and renewed in one request (a login after a fail-over) (2, 3)", func(p *probe) {
			s := p.startedAndDropped()
			c := p.restored(s, "2.0")
			c.query = do("renew")
			_, r := p.page(c)
			f := p.final(r)
			p.want(baseOf(f.was) == s.base() && baseOf(f.id) != s.base(), "id %s was=%q given, wanted a new id that was %s", f.id, f.was, s.id)
			p.want(f.state != nil && r.cookie(p.target.Cookie) == f.id, "state=%s and cookie %q given, wanted the state and %q",
				f.report.state, r.cookie(p.target.Cookie), f.id)
		}},
		{"end/not-twice", "was is reported once: the next request has none (3)", func(p *probe) {
			s := p.start()
			pg, _ := p.page(call{query: do("renew"), cookies: []string{s.id}})
			_, r := p.page(call{query: do("show"), cookies: []string{pg.session}})
			f := p.final(r)
			p.want(f.was == "" && f.how == "same", "%s was=%q given, wanted same and no was", f.how, f.was)
		}},
	}
}
