package session

import (
	"bytes"
	"context"
	"net/http"
	"time"

	"rehydra/proxy/upstream"
)

// In non-sticky mode a session is to be in the memory of one backend only: the
// others drop their copies. Not at once: the session may well come back, and another
// proxy may have sent a request there that has not touched its session yet.
const (
	dropAfter   = 2 * time.Second
	dropTimeout = 500 * time.Millisecond // the session's requests to that backend wait for it
	dropsAtOnce = 16
	dropsQueued = 8192
	dropTries   = 20 // of a copy that another proxy's requests use
)

// dropJob is a copy that is to be dropped.
type dropJob struct {
	t   *Tier
	key Key
	at  place
	b   *upstream.Backend
	due time.Time
	try int // how often the backend said that it is in use
}

// drop lets backends drop their copies, later. When too many do, the copies stay
// until the session moves again, or expires there.
func (t *Tier) drop(key Key, at place, from ...*upstream.Backend) {
	for _, b := range from {
		if t.residents.queue(key, b) {
			at := place{host: bytes.Clone(at.host), target: bytes.Clone(at.target)}
			dropJob{t: t, key: key, b: b, at: at}.later()
		}
	}
}

// later puts the job, which residents knows as queued, into the queue.
func (j dropJob) later() {
	j.due = time.Now().Add(dropAfter)
	select {
	case j.t.drops <- j:
	default:
		j.t.residents.mayDrop(j.key, j.b, 0) // off the queue
		j.t.log.Debug().Str("session", Shorten(j.key.BaseID)).Str("backend", j.b.Route()).Msg("session not dropped: too many wait")
	}
}

// sweep drops what is queued when it is due, until the tier is closed. All wait
// equally long, so the first in the queue is the first to be due.
func (s *shared) sweep() {
	for {
		select {
		case <-s.ctx.Done():
			return
		case j := <-s.drops:
			wait := time.NewTimer(time.Until(j.due))
			select {
			case <-s.ctx.Done():
				wait.Stop()
				return
			case <-wait.C:
			}
			select {
			case <-s.ctx.Done():
				return
			case s.dropSlots <- struct{}{}:
				s.background.Go(j.run)
			}
		}
	}
}

func (j dropJob) run() {
	t := j.t
	defer func() { <-t.dropSlots }()
	defer func() {
		if fault := recover(); fault != nil {
			t.log.Error().Interface("panic", fault).Msg("panic while a session was dropped")
		}
	}()
	ctx, cancel := context.WithTimeout(t.ctx, dropTimeout)
	defer cancel()
	if err := j.send(ctx); err != nil {
		t.log.Debug().Err(err).Str("session", Shorten(j.key.BaseID)).Str("backend", j.b.Route()).Msg("session not dropped")
	}
}

// send lets the backend drop its copy, unless a request has come to want it. It takes the
// place of a hand-over, so that none begins meanwhile.
func (j dropJob) send(ctx context.Context) error {
	t := j.t
	f, err := t.handoffs.joinAlone(ctx, j.key, j.b)
	if err != nil {
		t.residents.mayDrop(j.key, j.b, 0) // off the queue
		return err
	}
	f.err = ErrNotNow // it has nothing to share
	defer t.handoffs.land(j.key, f)
	now, later := t.residents.mayDrop(j.key, j.b, dropAfter)
	if later {
		t.drop(j.key, j.at, j.b)
	}
	if !now || !j.b.AdapterSeen() {
		return nil
	}
	id := j.key.BaseID
	if j.b.Route() != "" {
		id += "." + j.b.Route()
	}
	a, err := t.operate(ctx, j.b, operation{op: opDrop, id: id, place: j.at})
	if err != nil {
		return err
	}
	if a.status == http.StatusConflict { // requests of another proxy run with it
		t.log.Debug().Str("session", Shorten(j.key.BaseID)).Str("backend", j.b.Route()).Msg("session not dropped yet: it is in use")
		if j.try++; j.try < dropTries && t.residents.queue(j.key, j.b) {
			j.later()
		}
		return nil
	}
	t.residents.dropped(j.key, j.b)
	return nil
}

// joinAlone waits until no hand-over of key is under way and begins one.
func (h *handoffs) joinAlone(ctx context.Context, key Key, b *upstream.Backend) (*flight, error) {
	for {
		f, mine, _ := h.join(key, b, Version{})
		if mine {
			return f, nil
		}
		select {
		case <-f.done:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}
