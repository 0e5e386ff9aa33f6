package sessiontier

import (
	"context"
	"errors"
	"fmt"
)

// maxAsks bounds how often nodes are asked again for a caller without a time limit.
const maxAsks = 64

// mayAnswer says that the nodes did not tell whether there is a copy, but one of those that were silent is thought to be alive: it was only late, as when
// thousands of sessions want it at once. A node that stands still is soon known to be down; until then, and as long as the caller has time,
// waiting is better than telling a user that the service is not available.
func (t *Tier) mayAnswer(v *view) bool {
	if v.newest != nil {
		return false
	}
	for i := range v.entries {
		err := v.entries[i].err
		if late := isTimeout(err) || errors.Is(err, errBusy) || errors.Is(err, errNoAnswer); late && t.nodes[i].alive() {
			return true
		}
	}
	return false
}

// lookLive is look, again as long as no node has answered that is to, and live.
func (t *Tier) lookLive(ctx context.Context, k Key, storeKey string) (*envelope, error) {
	order := t.rank(storeKey)
	for ask := 1; ; ask++ {
		v := t.look(ctx, k, storeKey, order)
		e, err := v.live(t.copies)
		if !errors.Is(err, ErrUnavailable) || ask == maxAsks || !t.mayAnswer(v) {
			return e, err
		}
		if ended := pause(ctx, ask); ended != nil {
			return nil, fmt.Errorf("%w: %w", err, ended)
		}
	}
}
