package session

import (
	"github.com/rs/zerolog"

	"rehydra/jvmroute"
	"rehydra/proxy/upstream"
)

// A backend that has another token behaves, as the protocol has it, as one without an adapter: it goes on serving its sessions, and nobody keeps
// them. The operator must be told, once for each time that the backend is up.

// noAdapter looks at an answer without the adapter's mark, of a backend that has not shown any since it is up. Only one
// that surely comes from where sessions are says something: it sets the session's cookie, or serves a session of the backend's own.
func (p *Plan) noAdapter(b *upstream.Backend, newID []byte) {
	if newID == nil && !ownedBy(p.id, b) || !p.t.unkept.first(b) {
		return
	}
	p.adapterEvent(zerolog.WarnLevel, b, "it answers without Rehydra-Adapter: it has no adapter, or one with another token").
		Msg("backend without a session adapter: its sessions are not kept")
}

// adapterSeen is for an answer with the adapter's mark: the first one after others is said too.
func (p *Plan) adapterSeen(b *upstream.Backend, epoch uint64) {
	if b.AdapterSeen() {
		return
	}
	b.SetAdapterSeen(epoch, true)
	if p.t.unkept.has(b) {
		p.t.unkept.end(b)
		p.adapterEvent(zerolog.InfoLevel, b, "it answers with Rehydra-Adapter").Msg("backend with a session adapter")
	}
}

func (p *Plan) adapterEvent(level zerolog.Level, b *upstream.Backend, reason string) *zerolog.Event {
	return p.t.log.WithLevel(level).Str("pool", p.t.cfg.Pool).Str("backend", b.Route()).Str("address", b.Address()).Str("reason", reason)
}

// ownedBy reports whether the route of a session id is the backend's.
func ownedBy(id []byte, b *upstream.Backend) bool {
	_, route := jvmroute.Split(id)
	return len(route) > 0 && string(route) == b.Route()
}

// first is begin; it reports whether there was no doubt of this kind yet since the backend is up.
func (d *doubts) first(b *upstream.Backend) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.epochs[b.Route()] == b.Epoch() {
		return false
	}
	if d.epochs == nil {
		d.epochs = make(map[string]uint64)
	}
	d.epochs[b.Route()] = b.Epoch()
	return true
}
