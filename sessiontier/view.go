package sessiontier

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
)

// entry is what one node answered about one session.
type entry struct {
	err     error // nil: it answered. Otherwise why not
	found   bool  // env is a copy or a tombstone that passed its checks
	env     envelope
	tok     token // stands for what is there, unreadable or not; zero when there is nothing
	size    int   // bytes, as stored
	corrupt error // why what is there was not believed
}

// view is what the nodes answered about one session at one moment.
type view struct {
	key      Key
	storeKey string
	rank     rank
	entries  []entry   // by node
	newest   *envelope // what they say together
	highest  *envelope // what one of them says that has the newest version; its state may be older than that of newest
}

// look asks every node about the session: any of them may hold a copy, since copies go to the nodes that are alive when they are
// written. The tombstones that wait in this process for a node count too.
func (t *Tier) look(ctx context.Context, k Key, storeKey string, order rank) *view {
	return t.lookWithout(ctx, k, storeKey, order, 0)
}

// lookWithout is look, but for nodes that are not asked and so count as silent.
func (t *Tier) lookWithout(ctx context.Context, k Key, storeKey string, order rank, without nodeSet) *view {
	v := &view{key: k, storeKey: storeKey, rank: order}
	v.entries = make([]entry, len(t.nodes))
	var room [maxNodes]int
	asked := room[:0]
	for i, n := range t.nodes {
		v.entries[i].err = errNoAnswer
		if !without.has(i) && n.reachable() {
			asked = append(asked, i)
		}
	}
	for at, e := range fan(ctx, t, nil, asked, entry{err: errNoAnswer}, func(ctx context.Context, i int) entry {
		return t.ask(ctx, i, k, storeKey)
	}) {
		v.entries[asked[at]] = e
	}
	t.findNewest(v)
	return v
}

// lookBeside is look, but for one node whose answer is known.
func (t *Tier) lookBeside(ctx context.Context, k Key, storeKey string, known int, e entry) *view {
	var without nodeSet
	without.add(known)
	v := t.lookWithout(ctx, k, storeKey, t.rank(storeKey), without)
	v.entries[known] = e
	t.findNewest(v)
	return v
}

// findNewest finds the newest of what nodes hold and of the tombstones that wait in this process.
func (t *Tier) findNewest(v *view) {
	v.findNewest()
	for _, n := range t.nodes {
		if end, ok := n.pending.get(v.storeKey); ok && (v.newest == nil || v.newest.compare(&end.env) < 0) {
			v.newest, v.highest = &end.env, &end.env
		}
	}
}

// errNoAnswer stands for a node that was not asked, being down, or had not answered when the caller's time was over.
var errNoAnswer = fmt.Errorf("%w, or not in time", errDown)

// ask reads what one node holds of a session.
func (t *Tier) ask(ctx context.Context, i int, k Key, storeKey string) entry {
	n := t.nodes[i]
	value, tok, err := n.get(ctx, storeKey)
	switch {
	case errors.Is(err, errMiss):
		return entry{}
	case err != nil:
		return entry{err: err}
	}
	e := entry{tok: tok, size: len(value)}
	if e.env, e.corrupt = t.codec.decode(value, k, storeKey); e.corrupt != nil {
		t.counters.corrupt.Add(1)
		t.log.Warn().Str("node", n.name).Str("pool", k.Pool).Str("session", k.short()).Str("reason", e.corrupt.Error()).
			Msg("session copy not readable, taken for absent")
		return e
	}
	e.found = true
	return e
}

// findNewest looks at known incarnations first: against a version of an unknown one only the newest of them may be held.
func (v *view) findNewest() {
	v.newest, v.highest = nil, nil
	for _, known := range [...]bool{true, false} {
		for i := range v.entries {
			e := &v.entries[i]
			if !e.found || (e.env.incarnation != 0) != known {
				continue
			}
			v.newest = join(v.newest, &e.env)
			if v.highest == nil || v.highest.compare(&e.env) < 0 {
				v.highest = &e.env
			}
		}
	}
}

// silent is the number of nodes that did not answer.
func (v *view) silent() int {
	silent := 0
	for i := range v.entries {
		if v.entries[i].err != nil {
			silent++
		}
	}
	return silent
}

// firstError is why a node did not answer; nil if all did.
func (v *view) firstError() error {
	for i := range v.entries {
		if v.entries[i].err != nil {
			return v.entries[i].err
		}
	}
	return nil
}

// targets appends the nodes that copies belong on now: the first `copies` in rank that answered.
func (v *view) targets(dst []int, copies int) []int {
	for _, i := range v.rank {
		if len(dst) == copies {
			break
		}
		if v.entries[i].err == nil {
			dst = append(dst, int(i))
		}
	}
	return dst
}

// live returns the newest version if the session lives. Otherwise the error matches ErrEnded, ErrNotFound or ErrUnavailable. "No copy" is
// only said when fewer nodes are silent than there are copies: more could hide all of them.
func (v *view) live(copies int) (*envelope, error) {
	switch {
	case v.newest == nil && v.silent() >= copies:
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, v.firstError())
	case v.newest == nil:
		return nil, ErrNotFound
	case v.newest.tombstone:
		return nil, ErrEnded
	}
	return v.newest, nil
}

// fan runs op for each of the nodes at once and returns the results in their order; missing stands for those that had none when ctx
// ended. Those go on in the background, bounded by the nodes' time-outs, and the tier waits for them when it closes. by waits for the results, if it is not nil.
func fan[R any](ctx context.Context, t *Tier, by Waiter, nodes []int, missing R, op func(context.Context, int) R) []R {
	g := &gathering[R]{}
	g.results = g.room[:0]
	for range nodes {
		g.results = append(g.results, missing)
	}
	if t.local {
		if len(nodes) == 1 && t.enter() {
			g.results[0] = op(ctx, nodes[0])
			t.running.Done()
		}
		return g.results
	}
	if g.by = by; by == nil {
		g.done = make(chan struct{}, 1)
	}
	started := 0
	for at, i := range nodes {
		if !t.enter() {
			break
		}
		started++
		go func() {
			if gather(t, g, at, func() R { return op(ctx, i) }) {
				g.wake() // with nothing left to do: a Waiter goes on here
			}
		}()
	}
	return g.wait(ctx, started)
}

// gather puts one result in its place, and reports whether it was the last that somebody waits for.
func gather[R any](t *Tier, g *gathering[R], at int, op func() R) (last bool) {
	defer t.running.Done()
	return g.put(at, op())
}

// gathering is where the results of a fan come together. Whoever waits is woken once: by the last of them, or when there is no more time.
type gathering[R any] struct {
	mu      sync.Mutex
	results []R
	room    [2]R          // for results, most often
	come    int           // results; those awaited, with a minus, as soon as it is known how many they are
	over    bool          // nobody waits any more
	by      Waiter        // who waits; nil: a goroutine
	done    chan struct{} // what it waits for
}

// put reports whether r is the last result that somebody waits for.
func (g *gathering[R]) put(at int, r R) (last bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.results[at] = r
	g.come++
	return g.come == 0 && !g.over
}

// wake wakes who waits.
func (g *gathering[R]) wake() {
	if g.by != nil {
		g.by.Wake()
	} else {
		g.done <- struct{}{}
	}
}

// await waits for wake.
func (g *gathering[R]) await() {
	if g.by != nil {
		g.by.Wait()
	} else {
		<-g.done
	}
}

// giveUp wakes who waits although there are results to come.
func (g *gathering[R]) giveUp() {
	g.mu.Lock()
	waits := g.come < 0
	g.over = g.over || waits
	g.mu.Unlock()
	if waits {
		g.wake()
	}
}

// wait returns the results when all that were started have come or ctx ends. What comes later is not seen.
func (g *gathering[R]) wait(ctx context.Context, started int) []R {
	g.mu.Lock()
	g.come -= started
	all := g.come == 0
	g.mu.Unlock()
	limit, limited := ctx.(*timeLimit)
	switch {
	case all:
		return g.results
	case limited && limit.onEnd(g.giveUp):
		g.await()
		limit.stop()
	case g.by != nil:
		stop := context.AfterFunc(ctx, g.giveUp)
		g.by.Wait()
		stop()
	default:
		select {
		case <-g.done:
			return g.results
		case <-ctx.Done():
		}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.come == 0 {
		return g.results
	}
	return slices.Clone(g.results)
}
