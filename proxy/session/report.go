package session

import (
	"errors"

	"rehydra/jvmroute"
	"rehydra/proxy/upstream"
)

// Fields are the fields of the session protocol in one head or one trailer
// section of a response. The bytes are views; a count over 1 means that the
// field came more than once, which makes it unusable.
type Fields struct {
	Adapter          bool // Rehydra-Adapter: 1 was there
	Session, State   []byte
	Sessions, States int
}

// When says when a response's session must be settled.
type When uint8

// The times.
const (
	Never When = iota // nothing to settle
	Now               // before the head goes to the client
	AtEnd             // after the body, before its end goes to the client
)

var (
	errTwice   = errors.New("the field is there more than once")
	errNoState = errors.New("state=inline without a state")
)

// Judge reads what the head of b's answer says of the session. epoch is that of
// the connection it came on: an answer from before b was last out says nothing of
// what b is now. newID is the session id that the answer's Set-Cookie sets, nil if
// none: with the protocol's own fields lost, it is all that names a new session.
func (p *Plan) Judge(b *upstream.Backend, epoch uint64, f Fields, newID []byte) When {
	if p.t == nil {
		return Never
	}
	p.report = Report{origin: origin{epoch: epoch, adapter: f.Adapter}}
	if !f.Adapter {
		when := p.headersLost(b, newID)
		if when == Never {
			p.unlock()
		}
		return when
	}
	p.adapterSeen(b, epoch)
	p.arrived()
	if f.Sessions == 0 {
		p.noSession()
		return Never
	}
	if err := p.report.read(f, p.known, p.room); err != nil {
		p.warn(b, err)
		return p.ask(newID)
	}
	p.keepRoom()
	switch p.report.Kind {
	case StateLate, StatePull:
		return AtEnd
	default:
		return Now
	}
}

// headersLost is for an answer without the adapter's mark: from a backend whose
// adapter is known it lost its headers and the session is asked for; any other
// backend has nothing to say. Until a read has shown whether the adapter is still
// there, other answers of that kind are asked for too: each may hide a change.
func (p *Plan) headersLost(b *upstream.Backend, newID []byte) When {
	switch {
	case b.AdapterSeen():
		p.t.doubts.begin(b)
		b.SetAdapterSeen(p.report.epoch, false)
	case !p.t.doubts.has(b):
		p.noAdapter(b, newID)
		return Never
	}
	return p.ask(newID)
}

// ask makes the report one that is to be asked for with a read, of the session
// that the answer's cookie names or else the request's.
func (p *Plan) ask(newID []byte) When {
	id := newID
	if !jvmroute.Valid(id) {
		id = p.id
	}
	if id == nil {
		return Never
	}
	p.report = Report{Kind: StatePull, App: p.app, origin: p.report.origin}
	p.report.ID, p.report.Base = idAndBase(id)
	return AtEnd
}

// Trailers reads the fields of the trailer section, which have the last word
// over a head that said late. Without them the state is asked for.
func (p *Plan) Trailers(b *upstream.Backend, f Fields) {
	if p.t == nil || p.report.Kind != StateLate || f.Sessions == 0 {
		return
	}
	head := p.report
	if err := p.report.read(f, p.known, p.room); err != nil {
		p.warn(b, err)
		p.report = head
		return
	}
	p.keepRoom()
	if p.report.WasBase == "" {
		p.report.WasBase = head.WasBase
	}
}

// keepRoom has the next report's state take the place of this one's, which whoever stores it copies.
func (p *Plan) keepRoom() {
	if state := p.report.State; cap(state) > cap(p.room) && cap(state) <= mostRoom {
		p.room = state[:0]
	}
}

func (p *Plan) warn(b *upstream.Backend, err error) {
	p.t.log.Warn().Str("backend", b.Route()).Err(err).
		Msg("session report unusable: the state is asked for instead")
}

// read takes a report and the state beside it out of f. The state may be in room.
func (r *Report) read(f Fields, known familiar, room []byte) error {
	if f.Sessions > 1 || f.States > 1 {
		return errTwice
	}
	next, err := parseReport(f.Session, known)
	if err != nil {
		return err
	}
	if next.Kind == StateInline {
		if f.States == 0 {
			return errNoState
		}
		if next.State, err = decodeState(f.State, room); err != nil {
			return err
		}
	}
	next.origin = r.origin
	*r = next
	return nil
}

// noSession is for an answer that concerned no session.
func (p *Plan) noSession() {
	p.learn(lessonRead)
	p.unlock()
	if p.missed() {
		p.lost()
	}
}

// missed reports whether the request came with a session that was alive, or may
// have been, and that was not to be had.
func (p *Plan) missed() bool {
	return p.st.have == HaveNone && (p.alive || p.st.unanswered)
}

func (p *Plan) lost() {
	p.outcome = OutcomeLost
	p.t.counters.Lost.Add(1)
}
