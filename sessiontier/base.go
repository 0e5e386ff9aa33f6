package sessiontier

import "cmp"

// A claim's copy has a version of its own and the state of an older one, its base: the version that a backend last stored, through any number of claims. So it can
// be told from its copies which of two things is true when a version between the two is found elsewhere: the claim does not hold the newest state. The
// argument is in README.md, under "What a claim hands over".

// The base lies in the eight bytes that tell, in other copies, when the session was first stored: nothing depends on those, and a reader that knows of no base takes
// it for such a time and goes on. The generation of the copy itself is in it, as far as there is room, so that a base that such a reader has passed
// on with another version is not believed.
const (
	baseMark       = 1 << 63 // it is a base: no time before 1970 is ever written
	baseJoined     = 1 << 62
	baseOwnShift   = 51 // the generation of the copy, its last 11 bits
	baseOwnMask    = 1<<11 - 1
	baseBackShift  = 27 // by how many generations the base is older, 24 bits
	baseBackMask   = 1<<24 - 1
	baseCountsMask = 1<<27 - 1 // counter of the base
)

func (v Version) isZero() bool { return v == Version{} }

// origin is what the head of a copy says at byte 40: its base, if it has one that there is room for, else when the session was first stored.
func (e *envelope) origin() uint64 {
	if !e.keepsBase() {
		return uint64(e.created)
	}
	back := e.version.Generation - e.base.Generation
	joined := uint64(boolToInt(e.joined)) * baseJoined
	return baseMark | joined | (e.version.Generation&baseOwnMask)<<baseOwnShift | back<<baseBackShift | e.base.Counter
}

// keepsBase reports whether e has a base that a copy has room for.
func (e *envelope) keepsBase() bool {
	return !e.base.isZero() && e.base.Generation <= e.version.Generation &&
		e.version.Generation-e.base.Generation <= baseBackMask && e.base.Counter <= baseCountsMask
}

// setOrigin takes in what origin has written.
func (e *envelope) setOrigin(b uint64) {
	back := b >> baseBackShift & baseBackMask
	if e.tombstone || e.version.Counter != 0 || b&baseMark == 0 || back >= e.version.Generation ||
		b>>baseOwnShift&baseOwnMask != e.version.Generation&baseOwnMask {
		e.created = int64(b)
		return
	}
	e.base = Version{Generation: e.version.Generation - back, Counter: b & baseCountsMask}
	e.joined = b&baseJoined != 0
	e.created = int64(e.incarnation) // as near as can be told
}

// content is the version that the state is of: that of the copy itself, or the base of a claim.
func (e *envelope) content() Version {
	if e.base.isZero() {
		return e.version
	}
	return e.base
}

// compareContent orders two versions of one session by their states. That of a claim does not tell whose it was, so only two that are not claims are
// ordered by their owners before their counters, as by compare.
func (e *envelope) compareContent(o *envelope) int {
	a, b := e.content(), o.content()
	if c := cmp.Compare(a.Generation, b.Generation); c != 0 {
		return c
	}
	if e.base.isZero() && o.base.isZero() {
		if c := cmp.Compare(e.owner, o.owner); c != 0 {
			return c
		}
	}
	return cmp.Compare(a.Counter, b.Counter)
}

// hasNewerState reports whether e, of the same session and known to be, holds a newer state than o, whatever their versions.
func (e *envelope) hasNewerState(o *envelope) bool {
	return !e.tombstone && !o.tombstone && e.incarnation == o.incarnation && e.compareContent(o) > 0
}

// join is what two envelopes of one key say together: the newer one. Where that is a claim and the other holds a newer state it is the claim with that
// state. a may be nil.
func join(a, b *envelope) *envelope {
	switch {
	case a == nil:
		return b
	case a.compare(b) < 0:
		a, b = b, a
	}
	if !b.hasNewerState(a) {
		return a
	}
	joined := *a
	joined.base, joined.joined = b.content(), true
	joined.state, joined.ttl = b.state, b.ttl
	return &joined
}
