package session

import (
	"context"
	"encoding/base64"

	"rehydra/jvmroute"
	"rehydra/proxy/http1"
	"rehydra/proxy/upstream"
)

// place is a request target and the Host it goes with: where an operation of
// the same app is sent.
type place struct {
	host, target []byte
}

// Plan is what one request has to do with sessions. The zero value is a request
// without a tier; Tier.Plan fills it, and it can be filled again.
type Plan struct {
	t      *Tier
	at     place
	path   []byte
	method []byte
	ids    []jvmroute.Candidate // in the order in which a container tries them
	id     []byte               // what Rehydra-Id says; nil: the client sent no usable id
	app    string               // the app that the backend named, or that is known; "" not known
	known  familiar             // what the answer is likely to name again
	st     standing             // what Rehydra-Have and -State say
	stored Version              // of the session p.id: known to be stored when the request was aimed; zero: not known
	alive  bool                 // the session was known to live when the request came
	lock   heldLock             // of non-sticky mode, as stay
	stay   stay
	tried  []*upstream.Backend // at which the request has failed

	waiter Waiter // nil: the goroutine may be blocked

	rounds  int
	follows int               // how often the request followed its session
	from    *upstream.Backend // from where it did; nil: from nowhere
	unable  *upstream.Backend // it cannot read the session's state
	report  Report
	room    []byte // for the state in report, and in those of later requests; nil: none yet
	outcome Outcome
}

// mostRoom is the largest room for a state that a Plan keeps, in bytes: a head carries no more, most often.
const mostRoom = 8 << 10

// maxRounds bounds how often one backend may answer 428 to one request.
const maxRounds = 4

// Reset makes p a request without a tier. It keeps no more than room for the state of the next one.
func (p *Plan) Reset() { *p = Plan{room: p.room} }

// Plan begins a request: ids are its session ids in mod_jk's order, path is its
// path without parameters. It returns false, and leaves p empty, for a request
// that the tier ignores. Nothing of the arguments is copied.
func (t *Tier) Plan(p *Plan, ids []jvmroute.Candidate, method, host, target, path []byte) bool {
	p.Reset()
	if t == nil || t.cfg.Ignore != nil && t.cfg.Ignore.Match(path) {
		return false
	}
	p.t, p.at, p.method, p.path, p.ids = t, place{host: host, target: target}, method, path, jvmroute.TomcatOrder(ids)
	return true
}

// WaitBy has w wait for the store and backends. It is to be called after Tier.Plan.
func (p *Plan) WaitBy(w Waiter) {
	p.waiter = w
	if p.t.cfg.NonSticky {
		w.Block() // for locks, as a rule
	}
}

// block is called before the goroutine may be blocked.
func (p *Plan) block() {
	if p.waiter != nil {
		p.waiter.Block()
	}
}

// Active reports whether the tier has to do with the request at all.
func (p *Plan) Active() bool { return p.t != nil }

// MayNeed reports whether a backend may answer 428, so that the request's body
// must not be lost to the first attempt.
func (p *Plan) MayNeed() bool { return p.t != nil && len(p.ids) > 0 }

// Aim settles what backend b is told of the session, before the first byte goes
// to it; where it must, it looks first (section 1). tried are the backends at which
// the request has failed; it must stay as it is until the request is aimed anew. ErrNotNow:
// answer 503. *OwnerError: aim at that backend instead. Other errors are failures of
// b, at which nothing of the request was sent.
func (p *Plan) Aim(ctx context.Context, b *upstream.Backend, tried []*upstream.Backend) error {
	if !p.MayNeed() {
		return nil
	}
	p.tried = tried
	p.unsent() // an attempt elsewhere may have had an install on its way
	p.leave()
	p.id, p.app, p.rounds, p.st, p.stored = p.idFor(b), "", 0, standing{}, Version{}
	base, route := jvmroute.Split(p.id)
	now := p.t.cfg.Now()
	k, certain, ok := p.t.index.find(base, p.path, now)
	if !ok {
		p.st.have = HaveAsk
		return nil
	}
	p.known = k.familiar(base)
	if certain {
		p.alive, p.app, p.stored = k.alive(now), k.app, k.stored
	}
	sticky := !p.t.cfg.NonSticky && k.at(b) && string(route) == b.Route()
	if sticky && k.doubtUntil.IsZero() {
		return nil // a plain sticky request: no need to look
	}
	if !certain || !b.AdapterSeen() {
		p.st.have = HaveAsk // no operation goes to a backend of which nothing is known
		return nil
	}
	err := p.resolve(ctx, b, Need{ID: string(p.id), Base: string(base), App: k.app}, Version{})
	if err == nil && sticky && p.st.unanswered {
		p.st = standing{} // as far as is known it is plain: that no node answers must not change that
	}
	return err
}

// idFor chooses the id that the request's session is looked up by: the first
// that names b, else the first. In non-sticky mode routes name nothing.
func (p *Plan) idFor(b *upstream.Backend) []byte {
	for _, c := range p.ids {
		if string(c.Route()) == b.Route() && !p.t.cfg.NonSticky {
			return c.ID
		}
	}
	return p.ids[0].ID
}

// Needed answers a 428 of b on a connection of epoch: it finds the session and settles what the same
// request says when it is sent again. The errors are those of Aim, and one when
// b goes on asking.
func (p *Plan) Needed(ctx context.Context, b *upstream.Backend, epoch uint64, value []byte) error {
	p.adapterSeen(b, epoch)
	need, err := ParseNeed(value)
	if err != nil {
		return &AdapterError{Backend: b.Route(), Field: FieldNeed, Err: err}
	}
	p.t.index.addApp(need.App) // from now on its paths are certain
	if p.rounds++; p.rounds > maxRounds {
		return &AdapterError{Backend: b.Route(), Field: FieldNeed, Err: errStillAsking}
	}
	if p.st.state != nil && need.ID == string(p.id) {
		return p.cannotRead(b) // it was sent, and is asked for again
	}
	var lacks Version
	if base, _ := jvmroute.Split(p.id); string(base) == need.Base {
		// A backend that was told the newest version and lacks it must get it now,
		// whoever owns the session.
		lacks = p.st.version
	}
	p.unsent()
	return p.resolve(ctx, b, need, lacks)
}

// cannotRead is for a state that b cannot read: the request goes on without the
// session, whose copies stay. *OwnerError: it is to go back to the backend from which
// it followed its session.
func (p *Plan) cannotRead(b *upstream.Backend) error {
	p.t.unreadable(b, p.told(), len(p.st.state))
	p.unsent()
	p.st = standing{have: HaveNone, unanswered: true}
	return p.turnBack(b)
}

// maxOthers bounds how many further ids of one request are looked up: a client
// may send as many as a head holds.
const maxOthers = 8

// resolve tries the session that need names, then the request's other ids: the
// first that has a copy is the one to restore.
func (p *Plan) resolve(ctx context.Context, b *upstream.Backend, need Need, lacks Version) error {
	p.block()
	p.app = need.App
	first, err := p.look(ctx, b, need, lacks)
	if err != nil || first.have == HaveVersion {
		p.tell(need.ID, first)
		return err
	}
	for _, c := range p.ids[:min(len(p.ids), maxOthers)] {
		other := Need{ID: string(c.ID), Base: string(c.Base()), App: need.App}
		if other.Base == need.Base {
			continue
		}
		st, err := p.look(ctx, b, other, Version{})
		if err != nil || st.have == HaveVersion {
			p.tell(other.ID, st)
			return err
		}
		first.unanswered = first.unanswered || st.unanswered
	}
	p.tell(need.ID, first)
	return nil
}

func (p *Plan) look(ctx context.Context, b *upstream.Backend, need Need, lacks Version) (standing, error) {
	key := p.t.key(need.App, need.Base)
	var st standing
	var err error
	absent := false
	if p.t.cfg.NonSticky {
		st, absent, err = p.prepare(ctx, b, key)
	}
	if err == nil && !absent {
		st, err = p.t.handOver(ctx, errand{key: key, id: need.ID, b: b, lacks: lacks, at: p.at, plan: p})
	}
	if err == nil && st.owner != nil {
		p.follows++
		if p.from == nil {
			p.from = b
		}
		return standing{}, &OwnerError{Owner: st.owner}
	}
	if err == nil && st.unreadable {
		err = p.turnBack(b)
	}
	if err == nil && st.have == HaveNone && !st.unanswered {
		if k, ok := p.t.index.get(key); ok && k.alive(p.t.cfg.Now()) {
			p.alive = true
		}
	}
	return st, err
}

func (p *Plan) tell(id string, st standing) {
	if string(p.id) != id {
		p.id = []byte(id)
	}
	p.st = st
}

// TrailerBytes returns how large the trailer section of an answer may be for the
// session's sake: a state may come in it.
func (p *Plan) TrailerBytes() int {
	if p.t == nil {
		return 0
	}
	return base64.RawURLEncoding.EncodedLen(p.t.cfg.MaxState) + 8<<10
}

// AppendFields appends the lines of the session protocol that the request
// carries to the backend, each with its CRLF.
func (p *Plan) AppendFields(dst []byte) []byte {
	if p.t == nil {
		return dst
	}
	dst = append(dst, p.t.tierLine...)
	if p.id == nil {
		return dst
	}
	dst = http1.AppendField(dst, FieldID, p.id)
	if p.st.have == HaveAbsent {
		return dst
	}
	dst = append(dst, FieldHave+": "...)
	switch p.st.have {
	case HaveAsk:
		dst = append(dst, "ask"...)
	case HaveNone:
		dst = append(dst, "none"...)
	case HaveGone:
		dst = append(dst, "gone"...)
	default:
		dst = p.st.version.Append(dst)
	}
	dst = append(dst, "\r\n"...)
	if p.st.state != nil {
		dst = append(dst, FieldState+": "...)
		dst = AppendState(dst, p.st.state)
		dst = append(dst, "\r\n"...)
	}
	return dst
}

// Outcome is what happened to the session of a request, for its log event.
type Outcome uint8

// The outcomes.
const (
	OutcomeNone        Outcome = iota // the request had to do with no session
	OutcomeNew                        // the backend made one
	OutcomeSticky                     // it was where the id said
	OutcomeRestored                   // it was brought to this backend first
	OutcomeLost                       // it was not to be had any more
	OutcomeUnprotected                // the response went out though its change is not on every copy
	OutcomeEnded                      // it ended
	OutcomeFenced                     // a late write of a former owner, refused
)

var outcomeNames = [...]string{"none", "new", "sticky", "restored", "lost", "unprotected", "ended", "fenced"}

func (o Outcome) String() string { return outcomeNames[o] }

// Outcome returns what is known so far of the request's session.
func (p *Plan) Outcome() Outcome { return p.outcome }
