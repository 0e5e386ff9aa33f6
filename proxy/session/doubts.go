package session

import (
	"sync"

	"rehydra/proxy/upstream"
)

// doubts are the backends whose adapter was known until an answer came without
// its mark. The zero value is ready.
type doubts struct {
	mu     sync.Mutex
	epochs map[string]uint64 // of the doubt, by route: one that is over counts for nothing
}

func (d *doubts) begin(b *upstream.Backend) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.epochs == nil {
		d.epochs = make(map[string]uint64)
	}
	d.epochs[b.Route()] = b.Epoch()
}

func (d *doubts) has(b *upstream.Backend) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.epochs[b.Route()] == b.Epoch()
}

// end is for a read that was not answered by an adapter: none is there any more.
func (d *doubts) end(b *upstream.Backend) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.epochs, b.Route())
}
