package upstream

import (
	"bytes"
	"slices"
	"sync/atomic"
)

// maxCompared bounds how many backends a choice by sessions, traffic or busyness compares, so that its cost does not grow
// with the pool. They begin at the one whose turn it is, so every backend is compared in its turn.
const maxCompared = 16

// snapshot is what a pool's choices are made from: the members and which of them were up when it was made. It is never
// changed; a change of state makes another one.
type snapshot struct {
	members  []*Backend
	up       []bool
	redirect []int // of each member: the one that takes over first, or -1
	routes   map[string]int
	domains  map[string]group // every domain of the pool; empty where no member is usable
	all      group
}

// group is the usable members (up and active) among which may be balanced, nearest first.
type group []tier

// tier is the usable members of one distance.
type tier struct {
	members []int
	turns   []uint16 // indexes into members, see sequence
}

// Choose picks the backend for a request. The rules are mod_jk's:
//
//  1. routes are those of the request's session ids, in the order in which they count. The first that names a usable
//     backend decides (sticky is true), and so does one that names the domain of a usable backend (sticky is false). Up and
//     not stopped is usable here: a disabled backend keeps its sessions.
//  2. If routes name backends, but none that is usable: ErrForced with Force; otherwise the redirect of the first one
//     named, disabled ones included (mod_jk's hot standby), then its domain.
//  3. Otherwise balance among those that are up and active, at the lowest distance that has any.
//  4. If there is none: a backend that is the redirect of another, disabled or not.
//
// Backends in tried are passed over as if they were out: calling again with the ones that failed walks the pool.
// Where mod_jk asks for a session with several ids what follows a failed first route before it looks at the second, here a
// usable backend named by any of them comes first. And Force refuses only sessions of backends that the pool has: mod_jk refuses
// an unknown route too, for as long as the client keeps its cookie.
//
// Choose does not allocate and takes no lock. The error is ErrNoBackend or ErrForced.
func (p *Pool) Choose(routes [][]byte, tried []*Backend) (b *Backend, sticky bool, err error) {
	s := p.state.Load()
	i, sticky, err := s.choose(routes, tried, p.cfg.Balance, p.cfg.Force, &p.turn)
	if err != nil {
		return nil, false, err
	}
	b = s.members[i]
	if !sticky && p.cfg.Balance == BalanceSessions {
		b.shared.load.Add(1)
	}
	return b, sticky, nil
}

// choose returns the index of the member for these routes. Its result depends on nothing but its arguments, the turn (which it
// takes only where it balances), and for the methods other than requests the load counters.
func (s *snapshot) choose(routes [][]byte, tried []*Backend, by Balance, force bool, turn *atomic.Uint64) (i int, sticky bool, err error) {
	named := -1 // the first member that a route names
	known := false
	for _, route := range routes {
		if i, ok := s.routes[string(route)]; ok {
			if s.keeps(i, tried) {
				return i, true, nil
			}
			if named < 0 {
				named = i
			}
			known = true
			continue
		}
		// mod_jk takes the part up to the next dot as a domain: id.domain or id.domain.node.
		domain, _, _ := bytes.Cut(route, dot)
		if g, ok := s.domains[string(domain)]; ok {
			if i := s.balance(g, tried, by, turn); i >= 0 {
				return i, false, nil
			}
			known = true
		}
	}
	if known && force {
		return -1, false, ErrForced
	}
	if named >= 0 {
		if i := s.takeOver(named, tried, by, turn); i >= 0 {
			return i, false, nil
		}
	}
	if i := s.balance(s.all, tried, by, turn); i >= 0 {
		return i, false, nil
	}
	for _, r := range s.redirect {
		if r >= 0 && s.keeps(r, tried) {
			return r, false, nil
		}
	}
	return -1, false, ErrNoBackend
}

// keeps says whether member i may be given requests of a session that names it.
func (s *snapshot) keeps(i int, tried []*Backend) bool {
	m := s.members[i]
	return s.up[i] && m.cfg.Activation != Stopped && !slices.Contains(tried, m)
}

// takeOver returns the member that gets the sessions of member i, or -1 where neither redirect nor domain names one.
func (s *snapshot) takeOver(i int, tried []*Backend, by Balance, turn *atomic.Uint64) int {
	if r := s.redirect[i]; r >= 0 && s.keeps(r, tried) {
		return r
	}
	if domain := s.members[i].cfg.Domain; domain != "" {
		return s.balance(s.domains[domain], tried, by, turn)
	}
	return -1
}

// balance returns a member of the nearest tier that has one left, or -1.
func (s *snapshot) balance(g group, tried []*Backend, by Balance, turn *atomic.Uint64) int {
	if len(g) == 0 {
		return -1
	}
	n := turn.Add(1) - 1
	for i := range g {
		if m := s.pick(&g[i], n, tried, by); m >= 0 {
			return m
		}
	}
	return -1
}

// pick returns the member of t whose turn it is, or for the methods that compare, the one with the least load.
func (s *snapshot) pick(t *tier, n uint64, tried []*Backend, by Balance) int {
	at := s.inTurn(t, n, tried)
	if at < 0 || by == BalanceRequests {
		return memberAt(t, at)
	}
	best, least := at, s.members[t.members[at]].relativeLoad(by)
	for k := 1; k < min(len(t.members), maxCompared); k++ {
		i := at + k
		if i >= len(t.members) {
			i -= len(t.members)
		}
		m := s.members[t.members[i]]
		if load := m.relativeLoad(by); load < least && !slices.Contains(tried, m) {
			best, least = i, load
		}
	}
	return memberAt(t, best)
}

// inTurn returns the position in t of the member whose turn it is, past those that were tried; -1: all were tried.
func (s *snapshot) inTurn(t *tier, n uint64, tried []*Backend) int {
	size := uint64(len(t.turns))
	for k := range size {
		at := int(t.turns[(n+k)%size])
		if !slices.Contains(tried, s.members[t.members[at]]) {
			return at
		}
	}
	return -1
}

func memberAt(t *tier, at int) int {
	if at < 0 {
		return -1
	}
	return t.members[at]
}

var dot = []byte{'.'}
