package rehydra

// haveKind is what Rehydra-Have says: what the proxy knows of the session that Rehydra-Id names.
type haveKind uint8

const (
	haveAbsent  haveKind = iota // the proxy did not look
	haveVersion                 // the newest version that it knows of
	haveNone                    // it looked, and there is no copy
	haveGone                    // the session ended
	haveAsk                     // it wants to look, but does not know the app yet
)

// situation is everything that section 2 of the protocol looks at.
type situation struct {
	ids     []string // the usable ids of the client's cookies, in the client's order
	id      string   // Rehydra-Id; "" when the client sent no usable id
	have    haveKind
	version version // with haveVersion
	state   bool    // a readable state came along, as that version
	route   string  // this backend's own
	// local tells of the session that this backend holds under a base id: its full id and version.
	local func(base string) (id string, v version, ok bool)
}

// decision is what to do before the application runs.
type decision struct {
	need    string // answer 428 for this id and do nothing else; "" = run
	run     string // the id whose local session the application gets; "" = none
	install bool   // put the state that came along in place first, as a session of Rehydra-Id's base
	drop    bool   // drop the local copy of Rehydra-Id's session first
}

// decide applies the rules of section 2 from the third on. It is pure, so that the table in its test can be read
// beside the protocol's text.
func decide(s situation) decision {
	if s.id == "" {
		return decision{run: s.exact(s.ids)}
	}
	_, held, isHeld := s.local(baseOf(s.id))
	if s.state && s.have == haveVersion {
		return decision{run: s.id, install: !isHeld || s.version.newer(held)}
	}
	d := decision{drop: s.have == haveGone && isHeld}

	ids := s.candidates()
	subject, known := s.firstKnown(ids)
	have := s.have
	switch {
	case !known:
		subject = s.id
	case baseOf(subject) != baseOf(s.id):
		have = haveAbsent // Rehydra-Have speaks only of Rehydra-Id
	}

	switch have {
	case haveNone:
		// As if there were no tier: what is held here counts only under exactly the id that was sent, for anything
		// else may be older than the copies that were lost.
		d.run = s.exact(ids)
		return d
	case haveGone:
		return d
	case haveVersion:
		if known && !s.version.newer(held) {
			d.run = subject
			return d
		}
	case haveAbsent:
		if known && routeOf(subject) == s.route {
			d.run = subject
			return d
		}
	}
	d.need = ids[0]
	if known {
		d.need = subject
	}
	return d
}

// candidates returns the client's ids, with Rehydra-Id among them even where it was not in a cookie.
func (s *situation) candidates() []string {
	for _, id := range s.ids {
		if id == s.id {
			return s.ids
		}
	}
	return append(s.ids[:len(s.ids):len(s.ids)], s.id)
}

// firstKnown returns the first id whose session is held here. One that the proxy declares ended is not.
func (s *situation) firstKnown(ids []string) (string, bool) {
	for _, id := range ids {
		if s.have == haveGone && baseOf(id) == baseOf(s.id) {
			continue
		}
		if _, _, ok := s.local(baseOf(id)); ok {
			return id, true
		}
	}
	return "", false
}

// exact returns the first id under which, route included, a session is held here.
func (s *situation) exact(ids []string) string {
	for _, id := range ids {
		if held, _, ok := s.local(baseOf(id)); ok && held == id {
			return id
		}
	}
	return ""
}
