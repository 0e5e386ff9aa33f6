package checks

import "net/http"

// restoreChecks: a session that comes with the request (section 2, rule 4).
func restoreChecks() []Check {
	return []Check{
		{"restore/contents", "a session that came along has its contents and its creation time (2, rule 4)", func(p *probe) {
			s := p.startedAndDropped()
			pg, _ := p.page(p.restored(s, "2.0"))
			p.want(pg.values["color"] == "red", "color %q given, wanted red", pg.values["color"])
			p.want(pg.created == s.created, "created %s given, wanted %s", pg.created, s.created)
		}},
		{"restore/id", "its id is <base id>.<own route>, and the client learns it (2, Installing)", func(p *probe) {
			s := p.startedAndDropped()
			pg, r := p.page(p.restored(s, "2.0"))
			p.want(pg.session == s.id, "session %s given, wanted %s", pg.session, s.id)
			p.want(r.cookie(p.target.Cookie) == s.id, "cookie %q set, wanted %q", r.cookie(p.target.Cookie), s.id)
		}},
		{"restore/version", "it is the version that came, unchanged (2, rule 4)", func(p *probe) {
			s := p.startedAndDropped()
			_, r := p.page(p.restored(s, "2.0"))
			f := p.final(r)
			p.want(f.how == "same" && f.version == version{2, 0}, "%s %s given, wanted same 2.0", f.how, f.version)
			p.want(f.was == "", "was=%q given, wanted none: the base id is the same", f.was)
		}},
		{"restore/counts-on", "a change counts on in the generation that came (Terms)", func(p *probe) {
			s := p.startedAndDropped()
			c := p.restored(s, "7.0")
			c.query = do("set", "k", "color", "v", "blue")
			_, r := p.page(c)
			f := p.final(r)
			p.want(f.version == version{7, 1} && f.state != nil, "%s %s given, wanted a new state as 7.1", f.how, f.version)
			pg, _ := p.page(call{query: do("show"), cookies: []string{s.id}})
			p.want(pg.values["color"] == "blue", "color %q given, wanted blue", pg.values["color"])
		}},
		{"restore/replaces", "a newer state replaces the local copy (2, rule 4)", func(p *probe) {
			s := p.start()
			p.page(call{query: do("set", "k", "color", "v", "blue"), cookies: []string{s.id}})
			pg, _ := p.page(p.restored(s, "2.0"))
			p.want(pg.values["color"] == "red", "color %q given, wanted the newer state's red", pg.values["color"])
		}},
		{"restore/older", "a state that is not newer than the local copy is not installed (2, rule 4)", func(p *probe) {
			s := p.start()
			_, r := p.page(call{query: do("set", "k", "color", "v", "blue"), cookies: []string{s.id}})
			now := p.final(r).version
			for _, have := range []version{s.version, now} {
				pg, r := p.page(p.restored(s, have.String()))
				p.want(pg.values["color"] == "blue", "state %s over local %s: color %q given, wanted the local copy's blue",
					have, now, pg.values["color"])
				p.want(p.final(r).version == now, "version %s given, wanted %s", p.final(r).version, now)
			}
		}},
		{"restore/unreadable", "a state that cannot be read is not installed, and the application does not run without it (2)", func(p *probe) {
			s := p.startedAndDropped()
			for _, field := range []string{"!", encode([]byte("garbage")), encode(s.state[:len(s.state)/2])} {
				c := p.restored(s, "2.0")
				c.state = field
				r := p.send(c)
				p.want(r.status >= 400, "status %d given, wanted an error", r.status)
			}
			r := p.operate("read", s.id)
			p.want(r.status == http.StatusNotFound, "status %d given to a read, wanted 404", r.status)
		}},
		{"restore/twice", "the request after a restore runs without the tier's help (2, rule 5)", func(p *probe) {
			s := p.startedAndDropped()
			p.page(p.restored(s, "2.0"))
			pg, _ := p.page(call{query: do("show"), cookies: []string{s.id}})
			p.want(pg.values["color"] == "red", "color %q given, wanted red", pg.values["color"])
		}},
	}
}

// restored is a request that brings a session along, from another backend.
func (p *probe) restored(s session, have string) call {
	return call{query: do("show"), cookies: []string{s.away()}, have: have, state: encode(s.state)}
}

// severalChecks: several session cookies (section 2, rules 3 and 6).
func severalChecks() []Check {
	return []Check{
		{"several/first", "of several unknown sessions 428 names the first (2, rule 6)", func(p *probe) {
			id := p.refused(call{query: do("show"), cookies: []string{"FIRST1." + elsewhere, "SECOND2." + elsewhere}})
			p.want(id == "FIRST1."+elsewhere, "id %q needed, wanted the first", id)
		}},
		{"several/known", "of several sessions 428 names the first that is known locally (2, rule 6)", func(p *probe) {
			s := p.start()
			id := p.refused(call{query: do("show"), cookies: []string{"FIRST1." + elsewhere, s.away()}})
			p.want(id == s.away(), "id %q needed, wanted the known %q", id, s.away())
		}},
		{"several/used", "Have speaks only of Rehydra-Id: for another session, known locally, it counts as absent (2, rule 3)", func(p *probe) {
			s := p.start()
			pg, _ := p.page(call{query: do("show"), cookies: []string{"FIRST1." + elsewhere, s.id}, have: "none"})
			p.want(pg.values["color"] == "red", "session %s given, wanted %s", pg.session, s.id)
		}},
		{"several/absent", "the same under another backend's route: 428 names it (2, rules 3 and 5)", func(p *probe) {
			s := p.start()
			id := p.refused(call{query: do("show"), cookies: []string{"FIRST1." + elsewhere, s.away()}, have: "none"})
			p.want(id == s.away(), "id %q needed, wanted %q", id, s.away())
		}},
		{"several/restored", "a session that came along is used, though another cookie goes before it (2, rule 4)", func(p *probe) {
			s := p.startedAndDropped()
			pg, _ := p.page(call{query: do("show"), cookies: []string{"FIRST1." + elsewhere, s.away()}, id: s.away(),
				have: "2.0", state: encode(s.state)})
			p.want(pg.values["color"] == "red", "session %s given, wanted %s", pg.session, s.id)
		}},
	}
}
