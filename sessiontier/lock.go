package sessiontier

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"time"
)

// Lock is a session that is locked over all proxies that share the nodes. Whoever has it must call Unlock.
type Lock struct {
	t     *Tier
	key   string // under which the node keeps it
	value []byte
	node  int // where it lives
	tok   token
	gate  *gateTurn
}

// lockMagic begins the value of a lock, before the holder's own token.
const lockMagic = "RHLK"

// A lock is asked for again after a wait that doubles from the first to the last of these, less up to half of it at random.
const (
	firstLockWait = 5 * time.Millisecond
	lastLockWait  = 100 * time.Millisecond
)

// Lock locks the session with a base id in a pool, whatever its application, and waits for it until ctx ends. It lives on the first node in rank
// that is alive, and expires `life` after it was taken, at most two seconds later: a holder that died is no obstacle for longer. A holder that
// takes longer has lost it without being told; what it then writes is for the versions of sessions to judge. The same holds when
// the node is lost, or when two proxies see different nodes alive.
//
// Callers of one tier get it in the order in which they asked; between tiers it is chance.
//
// ErrLocked: somebody else had it until ctx ended. ErrUnavailable: no node answers, which is said at once. ErrBadKey.
func (t *Tier) Lock(ctx context.Context, pool, baseID string, life time.Duration) (*Lock, error) {
	k := Key{Pool: pool, BaseID: baseID}
	if err := k.check(); err != nil {
		return nil, err
	}
	l := &Lock{t: t, key: k.lockKey(), value: append([]byte(lockMagic), rand.Text()...)}
	turn, err := t.gates.enter(ctx, l.key, life)
	if err == nil {
		if err = l.take(ctx, life); err == nil {
			l.gate = turn
			return l, nil
		}
		turn.leave()
	}
	return nil, fmt.Errorf("cannot lock session %q: %w", k.short(), err)
}

// take asks the nodes until one says yes.
func (l *Lock) take(ctx context.Context, life time.Duration) error {
	order := l.t.rank(l.key)
	for longest := firstLockWait; ; longest = min(2*longest, lastLockWait) {
		taken, err := l.try(ctx, order, life)
		if taken || err != nil {
			return err
		}
		if err := wait(ctx, longest-mathrand.N(longest/2)); err != nil {
			return fmt.Errorf("%w: %w", ErrLocked, err)
		}
	}
}

// try asks the first node in rank that answers. taken is false when somebody else holds the lock there.
func (l *Lock) try(ctx context.Context, order rank, life time.Duration) (taken bool, err error) {
	cause := errNoAnswer
	for _, r := range order {
		i := int(r)
		if !l.t.nodes[i].reachable() {
			continue
		}
		if !l.t.enter() {
			break
		}
		taken, err = l.ask(ctx, i, life)
		l.t.running.Done()
		if err == nil {
			return taken, nil
		}
		cause = err
		if ctx.Err() != nil {
			return false, fmt.Errorf("%w: %w", ErrLocked, cause)
		}
	}
	return false, fmt.Errorf("%w: %w", ErrUnavailable, cause)
}

// ask makes one attempt on one node. An error means that the node did not answer, or would not.
func (l *Lock) ask(ctx context.Context, i int, life time.Duration) (taken bool, err error) {
	n := l.t.nodes[i]
	tok, err := n.put(ctx, l.key, l.value, lifeOf(life), token{})
	if errors.Is(err, errConflict) {
		// An exchange whose answer was lost is repeated, and meets what it wrote itself.
		var held []byte
		held, tok, err = n.get(ctx, l.key)
		if errors.Is(err, errMiss) || err == nil && !bytes.Equal(held, l.value) {
			return false, nil
		}
	}
	if err != nil {
		return false, err
	}
	l.node, l.tok = i, tok
	return true, nil
}

// Unlock gives the lock back. It removes only what this holder itself wrote: a lock that expired and is somebody else's by now stays.
// The error says that the node did not answer; the lock is then freed by its expiry.
func (l *Lock) Unlock(ctx context.Context) error {
	defer l.gate.leave()
	if !l.t.enter() {
		return fmt.Errorf("cannot unlock a session: %w", ErrUnavailable)
	}
	defer l.t.running.Done()
	n := l.t.nodes[l.node]
	err := n.remove(ctx, l.key, l.tok)
	if errors.Is(err, errConflict) {
		// Expired, or the connection was made anew since, which makes tokens void: look whose it is.
		held, tok, gerr := n.get(ctx, l.key)
		switch {
		case errors.Is(gerr, errMiss), gerr == nil && !bytes.Equal(held, l.value):
			return nil
		case gerr != nil:
			err = gerr
		default:
			if err = n.remove(ctx, l.key, tok); errors.Is(err, errConflict) {
				return nil
			}
		}
	}
	if err != nil {
		return fmt.Errorf("cannot unlock a session: %w", err)
	}
	return nil
}
