package proxy

import (
	"errors"
	"time"

	"rehydra/proxy/upstream"
)

var errClientLeft = errors.New("the client has given the request up")

// leave ends what the current request waits for: its client has given it up. It may be called by another goroutine than the
// client's own, at any time.
func (c *client) leave() {
	c.gone.Store(true) // before: see exchange.connect
	c.cutBackend()
}

// cutBackend closes the backend connection of the current request, if there is one.
func (c *client) cutBackend() {
	if b := c.backend.Swap(nil); b != nil {
		_ = b.Close() // whoever reads it learns of that
	}
}

// release gives a connection back, whose answer was read to its end, unless it was closed for us meanwhile. From then on leave cannot
// touch it: it may be another client's.
func (x *exchange) release(b *upstream.Backend, c *upstream.Conn, now time.Time) {
	if x.c.backend.CompareAndSwap(c, nil) {
		b.Release(c, now)
	}
}

// abandoned reports whether the client is gone, so that nothing that fails now is a backend's fault and nobody waits for another try.
func (x *exchange) abandoned() bool {
	if x.c.gone.Load() {
		x.clientFailed = true
	}
	return x.clientFailed
}
