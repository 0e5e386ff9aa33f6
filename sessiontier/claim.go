package sessiontier

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"time"
)

// Claim makes owner (a route) the owner of a session: it raises the generation of the newest record, sets the counter to 0, and returns
// the record as claimed, with its state. From then on the store refuses what the former owner writes; so a backend may be given the
// state after the claim, never before.
//
// No two claims get the same generation, from however many proxies: the first node in rank that answers is the arbiter. It is
// written first, by compare-and-swap against what was read; whoever loses there reads anew and claims above the winner. Then the claim
// is written, by compare-and-swap too, to the other nodes that copies belong on or that hold one; meeting something newer there
// than what the claim was based on makes it begin anew, so two proxies that see different nodes as alive still meet on any node that
// both reach. Proxies that reach no node in common cannot know of each other; README.md says what happens then.
//
// ErrNotFound, ErrEnded, ErrUnavailable, ErrBadKey as Lookup; ErrUnavailable also when the race was lost too often.
func (t *Tier) Claim(ctx context.Context, k Key, owner string) (Record, error) {
	if err := k.check(); err != nil {
		return Record{}, err
	}
	c := &claim{write: write{t: t, key: k, storeKey: k.storeKey()}, owner: owner}
	c.rank = t.rank(c.storeKey)
	c.known, _ = t.handles.get(c.storeKey)
	env, err := c.run(ctx)
	if err != nil {
		return Record{}, fmt.Errorf("cannot claim session %q for %q: %w", k.short(), owner, err)
	}
	t.unknown.clear(c.storeKey)
	t.counters.claims.Add(1)
	return env.record(), nil
}

// maxClaimAttempts bounds a claim that loses each race; the caller's ctx mostly ends it before.
const maxClaimAttempts = 1000

// claimAttempt is what an attempt of a claim wrote, whether or not that has arrived.
type claimAttempt struct {
	generation uint64
	stored     int64
	content    Version // that a copy of it says it has
}

// claim is one claim on its way.
type claim struct {
	write
	owner string
	base  *envelope        // what all that anybody else wrote says together, over all attempts: what the claim hands over
	mine  [maxNodes]uint64 // by node: the id of what an attempt of this claim wrote there
	held  map[int]token    // by node: what the present attempt wrote
	sent  []claimAttempt   // all of them, with rising generations: a node that did not answer may store one yet, with what was the newest then
}

func (c *claim) run(ctx context.Context) (*envelope, error) {
	var last uint64
	asked := 0
	for attempt := range maxClaimAttempts {
		v := c.look(ctx)
		asked++
		again, err := c.t.askAgain(ctx, v, asked)
		if err != nil {
			return nil, err
		}
		if again {
			c.failed = 0 // they were only late
			continue
		}
		asked = 0
		generation, err := c.rebase(v)
		if err != nil {
			return nil, err
		}
		// Losing to another claim is a reason to step back. Losing to the owner's saves is not: they have one exchange to make where a claim
		// has two, so a pause would only let more of them through.
		if attempt > 0 && generation > last {
			if err := pause(ctx, attempt); err != nil {
				return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
			}
			last = generation
			continue
		}
		last = generation
		env := *c.base
		env.base, env.created = c.base.content(), max(env.created, 0)
		next := claimAttempt{generation: generation + 1, stored: c.t.now().UnixMilli()}
		if n := len(c.sent); n > 0 {
			next.generation = max(next.generation, c.sent[n-1].generation+1)
		}
		env.version, env.owner, env.stored = Version{Generation: next.generation}, c.owner, next.stored
		if next.content = env.base; !env.keepsBase() {
			next.content = env.version
		}
		c.sent = append(c.sent, next)
		won, err := c.install(ctx, v, &env)
		if won && env.joined {
			won, err = c.confirm(ctx, &env)
		}
		if err != nil {
			return nil, err
		}
		if won {
			return &env, nil
		}
		c.t.counters.conflicts.Add(1)
	}
	return nil, fmt.Errorf("%w: lost the race %d times", ErrUnavailable, maxClaimAttempts)
}

// rebase finds what to hand over, leaving out what earlier attempts of this claim wrote, and the highest generation of all.
func (c *claim) rebase(v *view) (generation uint64, err error) {
	newest, err := v.live(c.t.copies)
	if err != nil {
		return 0, err
	}
	if c.base == nil && c.t.isPutBack(c.key, c.known, newest) {
		return 0, fmt.Errorf("its newest version is not to be had: %w", ErrUnavailable)
	}
	for i := range v.entries {
		e := &v.entries[i]
		if !e.found || e.env.tombstone {
			continue
		}
		generation = max(generation, e.env.version.Generation)
		if e.tok.id != c.mine[i] && !c.wrote(&e.env) {
			c.base = join(c.base, &e.env)
		}
	}
	return generation, nil
}

// wrote reports whether a copy is one of this claim's own, of which no answer has told: not one that has been given a newer state
// since, nor one of another claim for the same owner at the same moment.
func (c *claim) wrote(e *envelope) bool {
	return e.owner == c.owner && e.version.Counter == 0 && slices.Contains(c.sent, claimAttempt{e.version.Generation, e.stored, e.content()})
}

// install writes the claim to the arbiter and then to the others. won is false when somebody else got ahead, or the arbiter failed.
func (c *claim) install(ctx context.Context, v *view, env *envelope) (won bool, err error) {
	nodes := c.places(v)
	c.held = map[int]token{}
	old := func(i int) token { return v.entries[i].tok }
	if _, err := c.putClaim(ctx, env, nodes[:1], old); err != nil || len(c.held) == 0 {
		return false, err
	}
	conflicts, err := c.putClaim(ctx, env, nodes[1:], old)
	for try := 0; err == nil && len(conflicts) != 0; try++ {
		if try == maxAttempts {
			return false, nil
		}
		var ahead bool
		if conflicts, ahead, err = c.settle(ctx, env, conflicts); ahead {
			return false, err
		}
	}
	if err != nil {
		return false, err
	}
	if len(c.held) < c.t.copies && c.mayMiss(v) {
		return false, nil // what failed may hold a save that was made since, and so may the others
	}
	c.remember(env)
	return true, nil
}

// remember keeps what the new owner's first version can be written over.
func (c *claim) remember(env *envelope) {
	h := &handle{incarnation: env.incarnation, created: env.created, copies: make([]heldCopy, len(c.t.nodes))}
	for i, tok := range c.held {
		h.copies[i] = heldCopy{tok: tok, version: env.version, owner: env.owner}
	}
	c.t.handles.set(c.storeKey, h)
}

// confirm stores a claim once more that hands over another state than earlier claims did, without a base: whoever got theirs may have stored what they
// made of it, somewhere, and is not to win over what users see from now on. ok is false when the claim must begin anew.
func (c *claim) confirm(ctx context.Context, env *envelope) (ok bool, err error) {
	env.base, env.joined = Version{}, false
	nodes := slices.Sorted(maps.Keys(c.held))
	before := maps.Clone(c.held)
	clear(c.held)
	if _, err := c.putClaim(ctx, env, nodes, func(i int) token { return before[i] }); err != nil || len(c.held) < len(nodes) {
		return false, err
	}
	c.remember(env)
	return true, nil
}

// mayMiss reports whether there may be a save that the claim, on fewer nodes than there are to be copies, has not met: a node answered the look that it was not
// written to and that has not failed it, or as many have failed it as there are copies and are thought to be alive.
func (c *claim) mayMiss(v *view) bool {
	late := 0
	for i := range v.entries {
		_, held := c.held[i]
		switch {
		case held:
		case c.failed.has(i):
			late += boolToInt(c.t.nodes[i].alive())
		case v.entries[i].err == nil:
			return true
		}
	}
	return late >= c.t.copies
}

// places is where a claim is written: where copies belong and where any are, in the order of rank. It is never empty after a look that
// found a copy.
func (c *claim) places(v *view) []int {
	var room [maxNodes]int
	var wanted nodeSet
	for _, i := range v.targets(room[:0], c.t.copies) {
		wanted.add(i)
	}
	var places []int
	for _, r := range v.rank {
		if i := int(r); wanted.has(i) || !v.entries[i].tok.isZero() {
			places = append(places, i)
		}
	}
	return places
}

// putClaim writes the claim to nodes and returns those where somebody else had written since.
func (c *claim) putClaim(ctx context.Context, env *envelope, nodes []int, old func(int) token) (conflicts []int, err error) {
	if len(nodes) == 0 {
		return nil, nil
	}
	results, err := c.put(ctx, env, nodes, old)
	if err == nil {
		err = tooLarge(results)
	}
	if err != nil {
		return nil, err
	}
	for at, i := range nodes {
		switch r := results[at]; {
		case r.err == nil:
			c.mine[i] = r.tok.id
			c.held[i] = r.tok
		case errors.Is(r.err, errConflict):
			conflicts = append(conflicts, i)
		}
	}
	return conflicts, nil
}

// settle looks again at nodes where the claim met a conflict, and writes it there if what they hold is not newer than what the claim is
// based on (a copy that was only refreshed, or expired). ahead: one holds something newer, so the claim must begin anew.
func (c *claim) settle(ctx context.Context, env *envelope, nodes []int) (conflicts []int, ahead bool, err error) {
	var tokens [maxNodes]token
	entries := fan(ctx, c.t, nil, nodes, entry{err: errNoAnswer}, func(ctx context.Context, i int) entry {
		return c.t.ask(ctx, i, c.key, c.storeKey)
	})
	var open []int
	for at, i := range nodes {
		e := &entries[at]
		switch {
		case e.err != nil:
			c.fail(i, e.err)
		case e.found && (e.env.compare(c.base) > 0 || e.env.hasNewerState(c.base)):
			return nil, true, nil
		default:
			tokens[i] = e.tok
			open = append(open, i)
		}
	}
	conflicts, err = c.putClaim(ctx, env, open, func(i int) token { return tokens[i] })
	return conflicts, false, err
}

// pause waits a little before another attempt, longer each time, and at random, so that those who race fall out of step.
func pause(ctx context.Context, attempt int) error {
	longest := min(time.Millisecond<<min(attempt, 5), 20*time.Millisecond)
	return wait(ctx, rand.N(longest))
}

// wait waits for d, or returns the error of ctx if that ends before.
func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
