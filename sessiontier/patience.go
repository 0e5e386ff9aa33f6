package sessiontier

import (
	"context"
	"errors"
	"fmt"
)

// How often nodes are asked again at most: for a caller without a time limit, and where enough of them have said that there is no copy.
const (
	maxAsks = 64
	fewAsks = 3
)

// mayAnswer says that what the nodes did not say may matter, and that one of the silent is thought to be alive: it was only late, as when thousands of
// sessions want it at once, or when this process stood still while the answers came. It matters where there is no copy, for the only one may be there (the others
// may have been restarted), and where as many nodes are silent as there are copies: what is found may be what a node kept that was out for a while.
// A node that stands still is soon known to be down; until then, and as long as the caller has time, waiting is better than telling a user that the
// service is not available, or than an old state.
func (t *Tier) mayAnswer(v *view) bool {
	if v.newest != nil && v.silent() < t.copies {
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

// askAgain waits before the nodes are asked once more, where mayAnswer says that it is worth it; asked is how often they were. It returns false where
// what they said must do, and an error when the caller's time is over first.
func (t *Tier) askAgain(ctx context.Context, v *view, asked int) (again bool, err error) {
	if asked >= maxAsks || !t.mayAnswer(v) {
		return false, nil
	}
	enough := v.newest == nil && v.silent() < t.copies
	if enough && asked >= fewAsks && ctx.Err() == nil {
		return false, nil
	}
	if ended := pause(ctx, asked); ended != nil {
		return false, fmt.Errorf("%w: %w: %w", ErrUnavailable, v.firstError(), ended)
	}
	return true, nil
}

// lookLive is look, again as long as a node has not answered that may have to, and live.
func (t *Tier) lookLive(ctx context.Context, k Key, storeKey string) (*envelope, error) {
	order := t.rank(storeKey)
	for asked := 1; ; asked++ {
		v := t.look(ctx, k, storeKey, order)
		again, err := t.askAgain(ctx, v, asked)
		if err != nil {
			return nil, err
		}
		if !again {
			return v.live(t.copies)
		}
	}
}
