package sessiontier

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"
)

// node is a store under the tier's care: it is left alone while it is down, the exchanges that run with it at once are bounded, and
// a change of its state is logged once.
type node struct {
	name     string
	address  string // "" for the embedded store
	failover bool   // used only when no other node is alive
	store    store
	log      zerolog.Logger
	slots    chan struct{} // one taken for each exchange that runs; each uses one connection
	timeout  time.Duration

	down     atomic.Bool
	failures atomic.Int32 // one after the other, since the last exchange that worked
	failedAt atomic.Int64 // when the last of them was counted, in ns since born
	born     time.Time
	errors   atomic.Uint64
	returned atomic.Uint64 // how often it went up again
	pending  pendingEnds

	// What is thought of a node that is down holds for as long as the prober may need to ask again. It is older than that when the process stood still
	// (SIGSTOP, a machine that was suspended), and then other proxies may long have used the node again.
	holds   time.Duration // 0: for ever
	askedAt atomic.Int64  // when that was last found out, in ns since born
	asking  sync.Mutex    // held while the node is probed

	// turn is held while the state changes, so that the events come in the order of the changes.
	turn   sync.Mutex
	outs   uint64 // how often it went down; guarded by turn, as reason
	reason string // why it is down; "" while it is alive
}

// failuresToDown is how many exchanges must time out, each begun after the one before had, until a node is suspected to be down; a probe
// then decides. Those that run at the same time count as one: a moment without processor time makes all of them fail, here. A node
// that refuses or breaks connections is down at once.
const failuresToDown = 3

// alive says that the node may be used. A tier starts with all its nodes alive, until they show otherwise.
func (n *node) alive() bool { return !n.down.Load() }

// reachable is alive, for whoever is about to use the node: where what is thought of it is too old, it is asked again first.
func (n *node) reachable() bool {
	if n.alive() {
		return true
	}
	if !n.isOverdue() {
		return false
	}
	n.asking.Lock()
	defer n.asking.Unlock()
	if !n.alive() && n.isOverdue() { // nobody else has asked meanwhile
		n.ask()
	}
	return n.alive()
}

func (n *node) isOverdue() bool {
	return n.holds > 0 && time.Since(n.born)-time.Duration(n.askedAt.Load()) > n.holds
}

// get is store.get with care. The error names the node and matches one of the store's errors or errBusy.
func (n *node) get(ctx context.Context, key string) (value []byte, tok token, err error) {
	err = n.use(ctx, func() error {
		value, tok, err = n.store.get(key)
		return err
	})
	return value, tok, err
}

// put is store.put with care.
func (n *node) put(ctx context.Context, key string, value []byte, life time.Duration, old token) (tok token, err error) {
	err = n.use(ctx, func() error {
		tok, err = n.store.put(key, value, life, old)
		return err
	})
	return tok, err
}

// remove is store.remove with care.
func (n *node) remove(ctx context.Context, key string, old token) error {
	return n.use(ctx, func() error { return n.store.remove(key, old) })
}

// use runs an exchange if the node is alive and a slot comes free in time.
func (n *node) use(ctx context.Context, exchange func() error) error {
	if !n.reachable() {
		return fmt.Errorf("node %q: %w", n.name, errDown)
	}
	if err := n.takeSlot(ctx); err != nil {
		return err
	}
	defer func() { <-n.slots }()
	if !n.alive() { // it went down while this waited
		return fmt.Errorf("node %q: %w", n.name, errDown)
	}
	begun := time.Since(n.born)
	err := exchange()
	n.judge(err, begun)
	if err != nil {
		return fmt.Errorf("node %q: %w", n.name, err)
	}
	return nil
}

// slotPatience is how long an exchange waits for a slot, in time-outs of the node, for a caller without a time limit; others wait as long as they
// have time. A herd of sessions must wait its turn rather than be told that the store does not answer; when the node goes down, those
// who wait find out one after the other as the slots come free.
const slotPatience = 20

func (n *node) takeSlot(ctx context.Context) error {
	select {
	case n.slots <- struct{}{}:
		return nil
	default:
	}
	if _, limited := ctx.Deadline(); !limited {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, slotPatience*n.timeout)
		defer cancel()
	}
	select {
	case n.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("node %q: %w: %w", n.name, errBusy, ctx.Err())
	}
}

// judge counts the outcome of an exchange that began at `begun`, since born, and takes the node out when it has to be.
func (n *node) judge(err error, begun time.Duration) {
	switch {
	case err == nil, errors.Is(err, errMiss), errors.Is(err, errConflict), errors.Is(err, errTooLarge):
		if n.failures.Load() != 0 {
			n.failures.Store(0)
		}
		return
	case errors.Is(err, errRefused):
		n.errors.Add(1) // it is there, and says no: another write may go through
		return
	}
	n.errors.Add(1)
	if isBroken(err) {
		n.setDown(err)
		return
	}
	if last := n.failedAt.Load(); int64(begun) < last || !n.failedAt.CompareAndSwap(last, int64(time.Since(n.born))) {
		return // ran beside one that was counted
	}
	if n.failures.Add(1) == failuresToDown {
		if n.store.ping() == nil {
			n.failures.Store(0)
			return
		}
		n.setDown(err)
	}
}

func (n *node) setDown(reason error) {
	n.turn.Lock()
	defer n.turn.Unlock()
	n.askedAt.Store(int64(time.Since(n.born)))
	if n.down.Swap(true) {
		return
	}
	n.outs++
	n.reason = reason.Error()
	n.log.Warn().Str("node", n.name).Str("address", n.address).Str("reason", reason.Error()).Msg("store node down")
}

func (n *node) setUp() {
	n.turn.Lock()
	defer n.turn.Unlock()
	n.failures.Store(0)
	if !n.down.Swap(false) {
		return
	}
	n.reason = ""
	n.returned.Add(1)
	n.log.Info().Str("node", n.name).Str("address", n.address).Str("reason", "answers again").Msg("store node up")
}

// probe asks the node whether it answers, whatever is thought of it, and changes its state accordingly. One asks at a time, so that a node that is
// down gets one connection.
func (n *node) probe() {
	n.asking.Lock()
	defer n.asking.Unlock()
	n.ask()
}

// ask is probe; n.asking is held.
func (n *node) ask() {
	defer func() { n.askedAt.Store(int64(time.Since(n.born))) }()
	begun := time.Since(n.born)
	err := n.store.ping()
	switch {
	case err == nil:
		n.setUp()
	case errors.Is(err, errRefused):
		n.errors.Add(1)
		n.setDown(err) // it cannot be used as it is
	default:
		n.judge(err, begun)
	}
}

// comings is how often the node came back, as far as was noticed: from being down, or from a restart that was over before anybody saw
// it down. It may lack copies then.
func (n *node) comings() uint64 {
	comings := n.returned.Load()
	if s, ok := n.store.(*memcachedStore); ok {
		comings += s.restarts.Load()
	}
	return comings
}

// watch probes node i every interval, until ctx ends, writes the tombstones that wait for it, and has it healed when it came back.
func (t *Tier) watch(ctx context.Context, i int, interval time.Duration) {
	n := t.nodes[i]
	tick := time.NewTicker(interval)
	defer tick.Stop()
	seen := n.comings()
	for {
		t.writePending(ctx, n)
		if now := n.comings(); now != seen && n.alive() {
			seen = now
			t.healer.want(i)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		n.probe()
	}
}
