package sessiontier

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// gates are where those of one process wait for the same lock, one after the other, so that only the first of them asks the node: many
// parallel requests of a session then cost the node no more than one, and none of them is passed over for long.
type gates struct {
	mu    sync.Mutex
	byKey map[string]*gate
}

type gate struct {
	turn  chan struct{} // holds one element while somebody has the turn; channels serve those who wait in their order
	users int           // who have the turn or wait for it; guarded by gates.mu
}

// gateTurn is one caller's turn.
type gateTurn struct {
	gates *gates
	key   string
	gate  *gate
	once  sync.Once
	end   *time.Timer
}

// enter waits for the turn until ctx ends: then the error matches ErrLocked. The turn ends with leave, or by itself after life, as the lock does.
func (g *gates) enter(ctx context.Context, key string, life time.Duration) (*gateTurn, error) {
	g.mu.Lock()
	if g.byKey == nil {
		g.byKey = make(map[string]*gate)
	}
	at := g.byKey[key]
	if at == nil {
		at = &gate{turn: make(chan struct{}, 1)}
		g.byKey[key] = at
	}
	at.users++
	g.mu.Unlock()
	select {
	case at.turn <- struct{}{}:
		t := &gateTurn{gates: g, key: key, gate: at}
		t.end = time.AfterFunc(life, t.give)
		return t, nil
	case <-ctx.Done():
		g.forget(key, at)
		return nil, fmt.Errorf("%w: %w", ErrLocked, ctx.Err())
	}
}

// leave ends the turn.
func (t *gateTurn) leave() {
	t.end.Stop()
	t.give()
}

func (t *gateTurn) give() {
	t.once.Do(func() {
		<-t.gate.turn
		t.gates.forget(t.key, t.gate)
	})
}

func (g *gates) forget(key string, at *gate) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if at.users--; at.users == 0 {
		delete(g.byKey, key)
	}
}
