package sessiontier

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/cespare/xxhash/v2"
)

// healer is what a tier knows of healing: giving sessions back the copies that a node lost, or missed while it was out, without
// waiting for their users. It walks the keys of all nodes that are alive, and stores again what is missing where copies belong. Several
// proxies that do so at once only find that the others were faster.
type healer struct {
	rate  int // sessions a second; 0: off
	slice int // keys of a node that are kept at once
	wake  chan struct{}

	mu     sync.Mutex
	wanted nodeSet  // nodes that came back, or are new, and were not healed since
	walked []uint64 // by node: how often a walk for it was completed
	mute   nodeSet  // nodes of which it was logged that they do not list their keys
}

func newHealer(rate, slice, nodes int) *healer {
	return &healer{rate: rate, slice: slice, wake: make(chan struct{}, 1), walked: make([]uint64, nodes)}
}

// want asks for a walk, since node i may lack copies.
func (h *healer) want(i int) {
	if h.rate == 0 {
		return
	}
	h.mu.Lock()
	h.wanted.add(i)
	h.mu.Unlock()
	select {
	case h.wake <- struct{}{}:
	default: // it is awake
	}
}

// pending returns the nodes that a walk is wanted for.
func (h *healer) pending() nodeSet {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.wanted
}

// completed returns, by node, how often a walk for it was completed.
func (h *healer) completed() []uint64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.walked)
}

// healBackoff is how long a walk that could not be completed waits before it is tried again: at first, and at most.
const (
	healBackoff    = time.Second
	maxHealBackoff = time.Minute
)

// heal walks whenever a node came back, until ctx ends.
func (t *Tier) heal(ctx context.Context) {
	backoff := healBackoff
	again := time.NewTimer(0)
	defer again.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.healer.wake:
		case <-again.C:
		}
		nodes := t.healer.pending()
		if nodes == 0 {
			continue
		}
		if t.walk(ctx, nodes) {
			backoff = healBackoff
			continue
		}
		again.Reset(backoff/2 + rand.N(backoff)) // other proxies heal too, and a server lists its keys for one at a time
		backoff = min(backoff*2, maxHealBackoff)
	}
}

// walk is one walk over all nodes that are alive, for the nodes that came back. settled: there is nothing to try again.
func (t *Tier) walk(ctx context.Context, back nodeSet) (settled bool) {
	returns, seal := t.comings(), t.codec.sealing.Load()
	w := &walk{t: t, begun: time.Now(), next: time.Now()}
	absent := false
	t.log.Info().Strs("nodes", t.names(back)).Msg("store healing begins")
	for i, n := range t.nodes {
		if ctx.Err() != nil {
			return true
		}
		if !n.alive() {
			absent = true // when it returns there will be another walk
			continue
		}
		switch err := w.source(ctx, i); {
		case err == nil, ctx.Err() != nil:
		case errors.Is(err, errNoList):
			w.unlisted = true
			t.muteNode(i, err)
		default:
			w.failed.Store(true)
			t.log.Debug().Str("node", n.name).Err(err).Msg("store node not walked")
		}
	}
	if ctx.Err() != nil {
		return true
	}
	// What was sealed anew was written by somebody who had other keys, maybe a moment ago: only a walk that finds nothing of the kind is the last.
	settled = !w.failed.Load() && w.resealed.Load() == 0
	complete := settled && !w.unlisted && !absent
	t.log.Info().Strs("nodes", t.names(back)).Bool("complete", complete).Uint64("sessions", w.seen.Load()).
		Uint64("copied", w.copied.Load()).Uint64("resealed", w.resealed.Load()).Uint64("unreadable", w.unreadable.Load()).
		Uint64("too_large", w.tooLarge.Load()).Dur("took", time.Since(w.begun)).Msg("store healing ends")

	h := t.healer
	h.mu.Lock()
	defer h.mu.Unlock()
	now := t.comings()
	for i := range t.nodes {
		if !back.has(i) || !settled || absent || now[i] != returns[i] || t.codec.sealing.Load() != seal {
			continue // it lacks some yet, came back once more since the walk began, or holds what is to be sealed otherwise by now
		}
		h.wanted &^= 1 << i
		if complete {
			h.walked[i]++
		}
	}
	return settled
}

func (t *Tier) names(set nodeSet) (names []string) {
	for i, n := range t.nodes {
		if set.has(i) {
			names = append(names, n.name)
		}
	}
	return names
}

// comings is, by node, how often it came back, as far as the tier noticed.
func (t *Tier) comings() []uint64 {
	all := make([]uint64, len(t.nodes))
	for i, n := range t.nodes {
		all[i] = n.comings()
	}
	return all
}

// muteNode says once that a node does not list its keys.
func (t *Tier) muteNode(i int, reason error) {
	t.healer.mu.Lock()
	said := t.healer.mute.has(i)
	t.healer.mute.add(i)
	t.healer.mu.Unlock()
	if !said {
		t.log.Warn().Str("node", t.nodes[i].name).Str("reason", reason.Error()).
			Msg("store node cannot be walked: what other nodes lost of its sessions comes back as the sessions are used")
	}
}

// healWorkers is how many sessions are looked at at once.
const healWorkers = 8

// source mends all sessions of which node i holds the newest version. The keys are taken in slices, each with a listing of its own, so
// that they never all have to be kept.
func (w *walk) source(ctx context.Context, i int) error {
	size := w.t.healer.slice
	parts := uint64(1)
	for part := uint64(0); part < parts; part++ {
		l, err := openLister(ctx, w.t.nodes[i].address, w.t.nodes[i].timeout)
		if err != nil {
			return err
		}
		if part == 0 {
			parts = uint64(l.items/size) + 1
		}
		keys := make([]listed, 0, min(l.items, size))
		err = l.each(ctx, storeKeyPrefix, func(encoded []byte) bool {
			return xxhash.Sum64(encoded)%parts == part && len(keys) < 2*size
		}, func(item listed) { keys = append(keys, item) })
		l.close()
		if err != nil {
			return err
		}
		if len(keys) == 2*size {
			w.failed.Store(true) // more than a server that holds so many items can list: walk again
		}
		w.mendAll(ctx, i, keys)
	}
	return nil
}

// mendAll looks at each of the keys, at the healer's rate.
func (w *walk) mendAll(ctx context.Context, source int, keys []listed) {
	todo := make(chan *listed)
	var workers sync.WaitGroup
	for range min(healWorkers, len(keys)) {
		workers.Go(func() {
			for l := range todo {
				if err := w.mend(ctx, source, l); err != nil {
					w.failed.Store(true)
				}
			}
		})
	}
	for i := range keys {
		if w.pace(ctx) != nil || !w.t.nodes[source].alive() {
			w.failed.Store(true)
			break
		}
		w.seen.Add(1)
		todo <- &keys[i]
	}
	close(todo)
	workers.Wait()
}

// paceLag is how far the pace may fall behind and catch up, and how far it must be ahead before it is worth sleeping.
const paceLag = 20 * time.Millisecond

// pace waits until the next session may be looked at.
func (w *walk) pace(ctx context.Context) error {
	now := time.Now()
	if lag := now.Add(-paceLag); w.next.Before(lag) {
		w.next = lag
	}
	w.next = w.next.Add(time.Second / time.Duration(w.t.healer.rate))
	ahead := w.next.Sub(now)
	if ahead < paceLag {
		return ctx.Err()
	}
	return wait(ctx, ahead)
}
