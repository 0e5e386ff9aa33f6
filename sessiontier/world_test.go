package sessiontier

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rs/zerolog"
)

// world is one session that three tiers, as of three proxies, keep on three nodes while things go wrong: one node at a time is, for each tier as it happens, well,
// not to be reached, or standing still, so that what it is sent is stored later or never; a tier stands still, so that answers which have come seem to be
// late; operations are given up in the middle; others run in the middle. The nodes are the tier's own embedded stores, which keep to what
// memcached keeps to, so that thousands of such stories take seconds.
//
// The session's state is the set of the changes that are in it. Whatever a user was told is in it from then on.
type world struct {
	t     *testing.T
	k     Key
	tiers []*Tier

	mu       sync.Mutex
	draw     *rand.Rand
	seed     uint64
	stores   []*embedded
	landing  []func()           // what nodes were sent and have not stored yet
	trouble  int                // the node that is in trouble
	modes    [3][3]mode         // by tier and node
	frozen   [3]int             // by tier: for how many exchanges answers seem to be late
	budget   [3]int             // by tier: after how many exchanges its operation is given up
	giveUp   [3]func()          // does that
	nested   bool               // an operation runs in the middle of another
	backends map[string]*backed // by route
	told     uint64             // changes that users have been told of
	last     uint
	story    []string
}

// mode is how a node is for a tier.
type mode int

const (
	well mode = iota
	away
	still
)

// backed is a session in a backend.
type backed struct {
	version Version
	state   uint64
}

// flaky is a node as one tier sees it.
type flaky struct {
	w    *world
	tier int
	node int
}

func newWorld(t *testing.T, seed uint64) *world {
	w := &world{t: t, seed: seed, k: key(fmt.Sprint("world", seed)), draw: rand.New(rand.NewPCG(seed, seed)), backends: map[string]*backed{}}
	for range 3 {
		w.stores = append(w.stores, w.newStore())
	}
	for i := range 3 {
		tier, err := Open(Config{Kind: KindEmbedded}, zerolog.Nop())
		if err != nil {
			panic(err) // there is nothing that could fail
		}
		tier.local, tier.copies, tier.nodes, tier.seeds, tier.failover = false, 2, nil, nil, nil
		for n := range 3 {
			tier.addNode(Config{Connections: 16, Timeout: time.Second}, Node{Name: fmt.Sprint("n", n)}, &flaky{w: w, tier: i, node: n})
			tier.nodes[n].holds = 1 // nothing that is thought of a node is old
		}
		w.tiers = append(w.tiers, tier)
	}
	return w
}

func (w *world) newStore() *embedded {
	start := time.Now()
	s := newEmbedded(1<<20, func() time.Duration { return time.Since(start) })
	s.lastID = w.draw.Uint64N(1 << 40) // no id of an earlier one comes again
	return s
}

func (w *world) tell(format string, args ...any) {
	w.story = append(w.story, fmt.Sprintf(format, args...))
}

// exchange carries out an exchange with a node, or lets it fail, and lets happen what may happen meanwhile.
func (s *flaky) exchange(what string, write bool, op func(store) error) error {
	w := s.w
	w.meanwhile(s.tier)
	w.mu.Lock()
	defer w.mu.Unlock()
	st, m := w.stores[s.node], w.modes[s.tier][s.node]
	late := os.ErrDeadlineExceeded
	switch {
	case m == away:
		return syscall.ECONNREFUSED
	case m == still && write:
		w.tell("    tier %d: n%d is sent a %s", s.tier, s.node, what)
		w.landing = append(w.landing, func() {
			if w.stores[s.node] == st {
				w.tell("    n%d stores a %s of tier %d: %v", s.node, what, s.tier, op(st))
			}
		})
		return late
	case m == still:
		return late
	}
	err := op(st)
	if write {
		w.tell("    tier %d: %s on n%d: %v", s.tier, what, s.node, err)
	}
	if w.frozen[s.tier] > 0 {
		w.frozen[s.tier]--
		return late
	}
	return err
}

func (s *flaky) get(key string) (value []byte, tok token, err error) {
	err = s.exchange("get", false, func(st store) error { value, tok, err = st.get(key); return err })
	if err != nil {
		return nil, token{}, err
	}
	return value, tok, nil
}

func (s *flaky) put(key string, value []byte, life time.Duration, old token) (token, error) {
	var tok token
	e, err := s.w.tiers[s.tier].codec.decode(value, s.w.k, key)
	if err != nil {
		return token{}, err
	}
	what := fmt.Sprintf("copy %s@%s of %s", e.version, e.content(), e.owner)
	if err := s.exchange(what, true, func(st store) (err error) { tok, err = st.put(key, value, life, old); return err }); err != nil {
		return token{}, err
	}
	return tok, nil
}

func (s *flaky) remove(key string, old token) error {
	return s.exchange("removal", true, func(st store) error { return st.remove(key, old) })
}

func (s *flaky) maxValue(string) int { return 1 << 16 }
func (s *flaky) close()              {}

func (s *flaky) ping() error {
	s.w.mu.Lock()
	defer s.w.mu.Unlock()
	switch s.w.modes[s.tier][s.node] {
	case away:
		return syscall.ECONNREFUSED
	case still:
		return os.ErrDeadlineExceeded
	}
	return nil
}

// meanwhile is what happens before an exchange of a tier.
func (w *world) meanwhile(tier int) {
	w.mu.Lock()
	if w.budget[tier]--; w.budget[tier] == 0 {
		w.tell("    tier %d gives up", tier)
		w.giveUp[tier]()
	}
	if len(w.landing) > 0 && w.draw.IntN(12) == 0 {
		w.land(w.draw.IntN(len(w.landing)))
	}
	nest := !w.nested && w.draw.IntN(12) == 0
	other := (tier + 1 + w.draw.IntN(2)) % 3
	w.nested = w.nested || nest
	w.mu.Unlock()
	if nest {
		w.operate(other)
		w.mu.Lock()
		w.nested = false
		w.mu.Unlock()
	}
}

// land lets one of the things be stored that nodes were sent; w.mu is held.
func (w *world) land(i int) {
	op := w.landing[i]
	w.landing = append(w.landing[:i], w.landing[i+1:]...)
	op()
}

// operate does one of the things that a proxy does.
func (w *world) operate(tier int) {
	ctx, cancel := context.WithCancel(w.t.Context())
	defer cancel()
	w.mu.Lock()
	w.budget[tier], w.giveUp[tier] = 1000, cancel
	if w.draw.IntN(3) == 0 {
		w.budget[tier] = 1 + w.draw.IntN(12)
	}
	if w.draw.IntN(10) == 0 {
		w.frozen[tier] = 1 + w.draw.IntN(6)
		w.tell("tier %d stands still for a moment", tier)
	}
	what := w.draw.IntN(10)
	w.mu.Unlock()
	switch t := w.tiers[tier]; {
	case what < 6:
		w.request(ctx, tier)
	case what < 8:
		w.change(ctx, tier, w.anyRoute(), false, 0)
	case what == 8:
		err := t.Touch(ctx, w.k)
		w.note("tier %d touches: %v", tier, err)
	default:
		for i := range t.nodes {
			err := (&walk{t: t}).mend(ctx, i, &listed{key: w.k.storeKey()})
			w.note("tier %d heals from n%d: %v", tier, i, err)
		}
	}
}

func (w *world) note(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.tell(format, args...)
}

func (w *world) anyRoute() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return fmt.Sprint("node", 1+w.draw.IntN(3))
}

// request looks the session up, takes it to another backend now and then, and changes it there, or reads it.
func (w *world) request(ctx context.Context, tier int) {
	t := w.tiers[tier]
	w.mu.Lock()
	told := w.told
	w.mu.Unlock()
	r, err := t.Lookup(ctx, w.k)
	w.note("tier %d looks: %s of %s, %v", tier, r.Version, r.Owner, err)
	if err != nil {
		w.mustNotBeGone(err)
		return
	}
	to := r.Owner
	w.mu.Lock()
	move := w.draw.IntN(4) == 0
	w.mu.Unlock()
	if move {
		to = w.anyRoute()
	}
	w.mu.Lock()
	b := w.backends[to]
	lacks := b == nil || b.version.Compare(r.Version) < 0
	w.mu.Unlock()
	if to != r.Owner || lacks {
		r, err = t.Claim(ctx, w.k, to)
		w.note("tier %d claims for %s: %s %q, %v", tier, to, r.Version, r.State, err)
		if err != nil {
			w.mustNotBeGone(err)
			return
		}
		w.install(to, r)
	}
	w.change(ctx, tier, to, true, told)
}

// install gives a backend the session, unless it has a newer version.
func (w *world) install(to string, r Record) {
	state, err := strconv.ParseUint(string(r.State), 2, 64)
	if err != nil {
		w.t.Error(err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if b := w.backends[to]; b == nil || b.version.Compare(r.Version) < 0 {
		w.backends[to] = &backed{r.Version, state}
	}
}

// change lets a backend that has the session change it, or only read it, and stores that. looked: the store was asked before, and knew of all that users were told by
// then; otherwise a former owner may answer, whose changes are to be refused.
func (w *world) change(ctx context.Context, tier int, route string, looked bool, told uint64) {
	w.mu.Lock()
	if !looked {
		told = w.told
	}
	b := w.backends[route]
	if b == nil {
		w.mu.Unlock()
		return
	}
	if !looked || w.draw.IntN(2) == 0 {
		if w.last == 63 {
			w.mu.Unlock()
			return
		}
		w.last++
		b.version.Counter++
		b.state |= 1 << w.last
	}
	is := *b
	w.tell("%s has %s %b", route, is.version, is.state)
	w.mu.Unlock()
	err := w.tiers[tier].Save(ctx, w.k, Record{Version: is.version, Owner: route, State: strconv.AppendUint(nil, is.state, 2), Continued: true})
	w.note("tier %d stores %s of %s: %v", tier, is.version, route, err)
	w.mustNotBeGone(err)
	if err != nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if told&^is.state != 0 {
		w.fail("version %s of %s is acknowledged, and lacks %b", is.version, route, told&^is.state)
	}
	w.told |= is.state
}

func (w *world) mustNotBeGone(err error) {
	if errors.Is(err, ErrNotFound) || errors.Is(err, ErrEnded) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.fail("the session is gone: %v", err)
	}
}

// fail tells the story; w.mu is held.
func (w *world) fail(format string, args ...any) {
	w.t.Helper()
	w.t.Errorf("world %d: "+format+"\n%s", append(append([]any{w.seed}, args...), strings.Join(w.story, "\n"))...)
}

// another takes another node, when all is well again and what the one before may lack was stored there; it is restarted, without what it had, now and then.
func (w *world) another() {
	w.mu.Lock()
	restarted := w.draw.IntN(3) == 0
	if restarted {
		w.tell("n%d is restarted", w.trouble)
		w.stores[w.trouble] = w.newStore()
	}
	w.calm()
	w.nested = true // nothing else goes wrong until the node is healed
	w.mu.Unlock()
	w.settle(func() error { return w.tiers[0].Touch(w.t.Context(), w.k) })
	for i := range 3 {
		w.settle(func() error { return (&walk{t: w.tiers[0]}).mend(w.t.Context(), i, &listed{key: w.k.storeKey()}) })
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.calm()
	w.nested = false
	w.trouble = w.draw.IntN(3)
	w.tell("n%d is in trouble", w.trouble)
}

func (w *world) settle(op func() error) {
	for range 20 {
		if op() == nil {
			return
		}
	}
	w.t.Error("what should work never does")
}

// calm ends all trouble; w.mu is held.
func (w *world) calm() {
	w.modes, w.frozen, w.budget = [3][3]mode{}, [3]int{}, [3]int{}
	for len(w.landing) > 0 {
		w.land(w.draw.IntN(len(w.landing)))
	}
}

// live runs the world for some operations and then looks at what is left.
func (w *world) live(operations int) {
	w.backends["node1"], w.nested = &backed{version: firstVersion}, true
	if err := w.tiers[0].Save(w.t.Context(), w.k, Record{Version: firstVersion, Owner: "node1", State: []byte("0")}); err != nil {
		w.t.Error(err)
	}
	w.nested = false
	for i := range operations {
		if i%20 == 0 {
			w.another()
		}
		w.mu.Lock()
		for tier := range w.modes {
			if w.draw.IntN(4) == 0 {
				w.modes[tier][w.trouble] = mode(w.draw.IntN(3))
			}
		}
		if w.draw.IntN(12) == 0 {
			delete(w.backends, fmt.Sprint("node", 1+w.draw.IntN(3)))
		}
		tier := w.draw.IntN(3)
		w.mu.Unlock()
		w.operate(tier)
		if w.t.Failed() {
			return
		}
	}
	w.another()
	w.mu.Lock()
	w.calm()
	w.nested = true
	told := w.told
	w.mu.Unlock()
	r, err := w.tiers[1].Claim(w.t.Context(), w.k, "node9")
	state, bad := strconv.ParseUint(string(r.State), 2, 64)
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := errors.Join(err, bad); err != nil || told&^state != 0 {
		w.fail("in the end the session has version %s, error %v, and lacks %b", r.Version, err, told&^state)
	}
}

// TestWorlds: what users were told stays, in many worlds. They mostly wait, so many are lived at once.
func TestWorlds(t *testing.T) {
	t.Parallel()
	const atOnce = 16
	worlds := uint64(96)
	if more := os.Getenv("REHYDRA_WORLDS"); more != "" { // how many to try, for as long as there is time
		var err error
		if worlds, err = strconv.ParseUint(more, 10, 64); err != nil {
			t.Fatalf("REHYDRA_WORLDS is %q, wanted a number: %v", more, err)
		}
	}
	var all sync.WaitGroup
	for first := range uint64(atOnce) {
		all.Go(func() {
			for seed := first; seed < worlds && !t.Failed(); seed += atOnce {
				w := newWorld(t, seed)
				w.live(60)
				for _, tier := range w.tiers {
					tier.Close()
				}
			}
		})
	}
	all.Wait()
}
