package sessiontier

import (
	"context"
	"errors"
	"sync"
	"time"
)

// pendingEnds are the tombstones that wait for a node that was down when sessions ended. Until they are written there they count in this
// process as if they were. They are kept in memory: another proxy, or this one after a restart, has only those on the other nodes. The zero
// value is empty and ready.
type pendingEnds struct {
	mu   sync.Mutex
	ends map[string]pendingEnd // by store key
}

type pendingEnd struct {
	key   Key
	env   envelope
	until time.Time // when the tombstone is over
}

// add keeps an end, in place of an older one. False: there is no room.
func (p *pendingEnds) add(storeKey string, e pendingEnd) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ends == nil {
		p.ends = map[string]pendingEnd{}
	}
	old, ok := p.ends[storeKey]
	if !ok && len(p.ends) >= rememberedEnds {
		return false
	}
	if !ok || old.env.compare(&e.env) < 0 {
		p.ends[storeKey] = e
	}
	return true
}

// get returns the end that waits under a store key, unless its time is over.
func (p *pendingEnds) get(storeKey string) (pendingEnd, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	e, ok := p.ends[storeKey]
	return e, ok && time.Now().Before(e.until)
}

// written forgets an end, unless a newer one took its place.
func (p *pendingEnds) written(storeKey string, e pendingEnd) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if now, ok := p.ends[storeKey]; ok && now.env.compare(&e.env) <= 0 {
		delete(p.ends, storeKey)
	}
}

// all returns what waits, and forgets what is over.
func (p *pendingEnds) all() map[string]pendingEnd {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.ends) == 0 {
		return nil
	}
	all := make(map[string]pendingEnd, len(p.ends))
	for k, e := range p.ends {
		if !time.Now().Before(e.until) {
			delete(p.ends, k)
			continue
		}
		all[k] = e
	}
	return all
}

func (p *pendingEnds) len() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.ends)
}

// writePending writes the tombstones that wait for a node, if it is alive; it stops when the node fails again.
func (t *Tier) writePending(ctx context.Context, n *node) {
	for storeKey, e := range n.pending.all() {
		if !n.alive() || ctx.Err() != nil {
			return
		}
		if err := t.bury(ctx, n, e.key, storeKey, &e.env, time.Until(e.until)); err == nil || errors.Is(err, ErrTooLarge) {
			n.pending.written(storeKey, e)
		}
	}
}
