package checks

// needChecks: 428, where the adapter lacks what it would need to run (section 2, rules 3, 5 and 6).
func needChecks() []Check {
	return []Check{
		{"need/unknown", "an unknown session, and the tier did not look: 428 names it (2, rule 6)", func(p *probe) {
			id := p.refused(call{query: do("show"), cookies: []string{"UNKNOWN123." + elsewhere}})
			p.want(id == "UNKNOWN123."+elsewhere, "id %q needed, wanted the client's", id)
		}},
		{"need/own-route", "an unknown session under the backend's own route: 428 (2, rule 6)", func(p *probe) {
			s := p.startedAndDropped()
			id := p.refused(call{query: do("show"), cookies: []string{s.id}})
			p.want(id == s.id, "id %q needed, wanted %q", id, s.id)
		}},
		{"need/ask", "ask: 428, and it names the app (2, rule 3)", func(p *probe) {
			p.refused(call{query: do("show"), cookies: []string{"UNKNOWN123." + elsewhere}, have: "ask"})
		}},
		{"need/ask-held", "ask, with a local copy: 428 (2, rule 3)", func(p *probe) {
			s := p.start()
			p.refused(call{query: do("show"), cookies: []string{s.id}, have: "ask"})
		}},
		{"need/newer", "the tier knows a newer version than the local copy's: 428 (2, rule 6)", func(p *probe) {
			s := p.start()
			id := p.refused(call{query: do("show"), cookies: []string{s.id}, have: "2.0"})
			p.want(id == s.id, "id %q needed, wanted %q", id, s.id)
		}},
		{"need/newer-counter", "the tier knows a newer version of the same generation: 428 (2, rule 6)", func(p *probe) {
			s := p.start()
			p.refused(call{query: do("show"), cookies: []string{s.id}, have: version{1, s.version.counter + 1}.String()})
		}},
		{"need/version-unheld", "the tier knows a version, there is no local copy and no state came: 428 (2, rule 6)", func(p *probe) {
			s := p.startedAndDropped()
			p.refused(call{query: do("show"), cookies: []string{s.id}, have: s.version.String()})
		}},
		{"need/foreign-route", "a local copy, another backend's route, and the tier did not look: 428 (2, rule 5)", func(p *probe) {
			s := p.start()
			id := p.refused(call{query: do("show"), cookies: []string{s.away()}})
			p.want(id == s.away(), "id %q needed, wanted the client's %q", id, s.away())
		}},
		{"need/app", "428 names the app that Rehydra-Session names (2, rule 6)", func(p *probe) {
			s := p.start()
			r := p.send(call{query: do("show"), cookies: []string{s.away()}})
			values, err := parseParameters(r.header.Get("Rehydra-Need"))
			p.want(err == nil && values["app"] == s.app, "app %q needed, %q in the report", values["app"], s.app)
		}},
	}
}

// haveChecks: what the tier says it has (section 2, rules 3 and 5).
func haveChecks() []Check {
	return []Check{
		{"have/none", "none, and no local copy: the application runs without a session, and does not adopt the id (2, rule 3)", func(p *probe) {
			s := p.startedAndDropped()
			pg, _ := p.page(call{query: do("show"), cookies: []string{s.id}, have: "none"})
			p.want(pg.session == "none", "session %s given, wanted none", pg.session)
			pg, _ = p.page(call{query: do("set", "k", "color", "v", "blue"), cookies: []string{s.id}, have: "none"})
			p.want(baseOf(pg.session) != s.base(), "a new session has the base id %s that the client chose", s.base())
		}},
		{"have/none-held", "none, and a local session under exactly the id: it is used (2, rule 3)", func(p *probe) {
			s := p.start()
			pg, _ := p.page(call{query: do("show"), cookies: []string{s.id}, have: "none"})
			p.want(pg.values["color"] == "red", "session %s without its contents given, wanted %s", pg.session, s.id)
		}},
		{"have/none-foreign", "none, and a local session under another route: it is not used (2, rule 3)", func(p *probe) {
			s := p.start()
			pg, _ := p.page(call{query: do("show"), cookies: []string{s.away()}, have: "none"})
			p.want(pg.session == "none", "session %s given, wanted none", pg.session)
		}},
		{"have/gone", "gone: the local copy is dropped, then the application runs (2, rule 3)", func(p *probe) {
			s := p.start()
			pg, _ := p.page(call{query: do("show"), cookies: []string{s.id}, have: "gone"})
			p.want(pg.session == "none", "session %s given, wanted none", pg.session)
			r := p.operate("read", s.id)
			p.want(r.status == 404 || r.status == 410, "status %d given to a read, wanted 404 or 410", r.status)
		}},
		{"have/as-new", "a local copy as new as what the tier knows: it is used (2, rule 5)", func(p *probe) {
			s := p.start()
			pg, r := p.page(call{query: do("show"), cookies: []string{s.id}, have: s.version.String()})
			f := p.final(r)
			p.want(pg.values["color"] == "red", "color %q given, wanted red", pg.values["color"])
			p.want(f.how == "same" && f.version == s.version, "%s %s given, wanted same %s", f.how, f.version, s.version)
		}},
		{"have/foreign-route", "the same under another backend's route: it is used, and the client learns its id (2, rule 5)", func(p *probe) {
			s := p.start()
			pg, r := p.page(call{query: do("show"), cookies: []string{s.away()}, have: s.version.String()})
			p.want(pg.values["color"] == "red" && pg.session == s.id, "session %s given, wanted %s with its contents", pg.session, s.id)
			p.want(r.cookie(p.target.Cookie) == s.id, "cookie %q set, wanted %q", r.cookie(p.target.Cookie), s.id)
		}},
	}
}
