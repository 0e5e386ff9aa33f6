package sessiontier

import (
	"context"
	"errors"
	"fmt"
)

// write is one session's write on its way to the nodes.
type write struct {
	t        *Tier
	key      Key
	storeKey string
	rank     rank
	known    *handle // what the tier remembered when the write began; nil: nothing
	failed   nodeSet // nodes that failed this write: not asked again
	stored   nodeSet // nodes that hold what is to be written
	cause    error   // why the first node failed
	waiter   Waiter  // waits for what is written; nil: the goroutine does
}

// nodeSet is a set of nodes, by their indexes.
type nodeSet uint64

func (s *nodeSet) add(i int)     { *s |= 1 << i }
func (s nodeSet) has(i int) bool { return s&(1<<i) != 0 }
func (s nodeSet) len() (n int) {
	for ; s != 0; s &= s - 1 {
		n++
	}
	return n
}

// putResult is what came of one put on one node.
type putResult struct {
	tok token
	err error
}

// look reads the session from all nodes but those that failed this write.
func (w *write) look(ctx context.Context) *view {
	return w.t.lookWithout(ctx, w.key, w.storeKey, w.rank, w.failed)
}

// put writes env to the nodes, at once, each in place of what tokens say it holds. It notes who failed and who stored.
func (w *write) put(ctx context.Context, env *envelope, nodes []int, old func(int) token) ([]putResult, error) {
	room := w.t.rooms.get()
	value, err := w.t.codec.encodeInto(*room, env, w.key, w.storeKey)
	if err != nil {
		return nil, err
	}
	life := lifeOf(env.ttl)
	results := fan(ctx, w.t, w.waiter, nodes, putResult{err: errNoAnswer}, func(ctx context.Context, i int) putResult {
		tok, err := w.t.nodes[i].put(ctx, w.storeKey, value, life, old(i))
		return putResult{tok, err}
	})
	over := true // and no node may still be sent the value
	for at, i := range nodes {
		switch err := results[at].err; {
		case err == nil:
			w.stored.add(i)
		case !errors.Is(err, errConflict):
			w.fail(i, err)
			over = false
		}
	}
	if over {
		*room = value
		w.t.rooms.put(room)
	}
	return results, nil
}

func (w *write) fail(i int, err error) {
	w.failed.add(i)
	if w.cause == nil {
		w.cause = err
	}
}

// overwrite is the short way: one exchange with each node, in place of what this tier itself wrote there last. It is taken only when
// every copy is known and older than rec; whoever wrote in between makes the compare-and-swap fail, and the long way finds out. done is
// false when the long way must be gone.
func (w *write) overwrite(ctx context.Context, rec Record) (done bool, err error) {
	h := w.known
	var room [maxNodes]int
	nodes := w.aliveTargets(room[:0])
	if len(h.copies) == 0 || len(nodes) == 0 {
		return false, nil
	}
	for _, i := range nodes {
		if c := &h.copies[i]; c.tok.isZero() || !follows(rec, c) {
			return false, nil
		}
	}
	env := envelope{
		incarnation: h.incarnation, created: h.created, stored: w.t.now().UnixMilli(),
		version: rec.Version, owner: rec.Owner, ttl: max(rec.TTL, 0), state: rec.State,
	}
	results, err := w.put(ctx, &env, nodes, func(i int) token { return h.copies[i].tok })
	if err != nil {
		return true, err
	}
	if err := tooLarge(results); err != nil {
		return true, err
	}
	if w.stored.len() < len(nodes) {
		return false, nil
	}
	w.remember(&env, nodes, results)
	if len(nodes) < w.t.copies {
		return true, w.incomplete(nil)
	}
	w.sweep(func(i int) token { return h.copies[i].tok })
	return true, nil
}

// follows says that rec may replace a copy without anybody being asked.
func follows(rec Record, c *heldCopy) bool {
	if rec.Version.Generation == c.version.Generation {
		return rec.Owner == c.owner && rec.Version.Counter > c.version.Counter
	}
	return rec.Version.Generation > c.version.Generation
}

// aliveTargets appends the nodes that copies belong on, as far as the tier knows without asking.
func (w *write) aliveTargets(dst []int) []int {
	for _, i := range w.rank {
		if len(dst) == w.t.copies {
			break
		}
		if w.t.nodes[i].reachable() {
			dst = append(dst, int(i))
		}
	}
	return dst
}

// spread stores env on as many nodes as there are to be copies, in the order of rank, and goes on to the next node for each that
// fails. A node that holds this version or a newer one has its copy, unless fresh asks to write it again. again: somebody wrote
// in between, so all must be read anew.
func (w *write) spread(ctx context.Context, v *view, env *envelope, fresh bool) (again bool, err error) {
	w.stored = 0
	var tried nodeSet
	var held []int
	var written []putResult
	for {
		var nodes []int
		for _, r := range v.rank {
			i := int(r)
			if w.stored.len()+len(nodes) == w.t.copies {
				break
			}
			e := &v.entries[i]
			if tried.has(i) || e.err != nil {
				continue
			}
			tried.add(i)
			order := -1
			if e.found {
				order = e.env.compare(env)
			}
			if order > 0 || order == 0 && !fresh {
				w.stored.add(i)
				continue
			}
			nodes = append(nodes, i)
		}
		if len(nodes) == 0 {
			break
		}
		results, err := w.put(ctx, env, nodes, func(i int) token { return v.entries[i].tok })
		if err == nil {
			err = tooLarge(results)
		}
		if err != nil {
			return false, err
		}
		for _, r := range results {
			if errors.Is(r.err, errConflict) {
				return true, nil
			}
		}
		held, written = append(held, nodes...), append(written, results...)
	}
	w.remember(env, held, written)
	if w.stored.len() < w.t.copies {
		if w.cause == nil {
			w.cause = v.firstError()
		}
		return false, w.incomplete(ctx.Err())
	}
	w.sweep(func(i int) token {
		if e := &v.entries[i]; e.found && e.env.compare(env) >= 0 {
			return token{} // not ours to remove
		}
		return v.entries[i].tok
	})
	return false, nil
}

// remember keeps what the next version can be written over. Nodes whose copy was not written just now are left out.
func (w *write) remember(env *envelope, nodes []int, results []putResult) {
	h := &handle{incarnation: env.incarnation, created: env.created, copies: make([]heldCopy, len(w.t.nodes))}
	for at, i := range nodes {
		if results[at].err == nil {
			h.copies[i] = heldCopy{tok: results[at].tok, version: env.version, owner: env.owner}
		}
	}
	w.t.handles.set(w.storeKey, h)
}

// sweep removes older copies from nodes that are no longer theirs, once every copy is stored elsewhere: a node that stood in for
// another would otherwise bring the old state back when the others fail. It goes on in the background, and what it cannot remove
// stays until it expires.
func (w *write) sweep(old func(int) token) {
	for i, n := range w.t.nodes {
		tok := old(i)
		if w.stored.has(i) || tok.isZero() || !n.alive() || !w.t.enter() {
			continue
		}
		go func() {
			defer w.t.running.Done()
			if err := n.remove(context.Background(), w.storeKey, tok); err != nil {
				w.t.log.Debug().Err(err).Str("session", w.key.short()).Msg("outdated session copy not removed")
			}
		}()
	}
}

// incomplete is the error for a write that has fewer copies than it should.
func (w *write) incomplete(ended error) error {
	cause := w.cause
	if cause == nil {
		cause = ended
	}
	return &IncompleteError{Stored: w.stored.len(), Want: w.t.copies, Cause: cause}
}

// tooLarge is the error of a node that a value is too large for.
func tooLarge(results []putResult) error {
	for _, r := range results {
		if errors.Is(r.err, errTooLarge) {
			return fmt.Errorf("%w: %w", ErrTooLarge, r.err)
		}
	}
	return nil
}
