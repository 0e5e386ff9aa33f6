package proxy

import (
	"time"

	"github.com/rs/zerolog"

	"rehydra/proxy/session"
	"rehydra/proxy/upstream"
)

// AccessLog writes one event for each request. docs/logs.md names its fields.
type AccessLog struct {
	log zerolog.Logger
}

// NewAccessLog returns an access log that writes to log.
func NewAccessLog(log zerolog.Logger) *AccessLog { return &AccessLog{log: log} }

// event is what the log says of one request beside what the exchange holds.
type event struct {
	start      time.Time
	end        time.Time // when the answer was written
	sentAt     time.Time // of the last attempt; zero: none was made
	answeredAt time.Time // when the head of the final answer was there; zero: never
	status     int
	bytes      int64 // written to the client
	body       int64 // of the answer's body, as the backend sent it
	backend    *upstream.Backend
	sticky     bool
	id         []byte // the first session id of the request
	attempts   int
	failure    string
}

// write writes the event of the request in x. A path is written without its
// parameters and a session id is shortened: a whole one is a credential.
func (a *AccessLog) write(x *exchange) {
	e := &x.event
	ev := a.log.Info().Bytes("method", x.req.Method).Bytes("path", x.path).Int("status", e.status).
		Int64("bytes", e.bytes).Int64("duration_us", e.end.Sub(e.start).Microseconds())
	if x.pool != nil {
		ev.Str("pool", x.pool.Name())
	}
	if e.backend != nil {
		ev.Str("backend", e.backend.Address()).Str("route", e.backend.Route()).Int("attempts", e.attempts)
		if !e.answeredAt.IsZero() {
			ev.Int64("backend_us", e.answeredAt.Sub(e.sentAt).Microseconds())
		}
	}
	outcome := x.plan.Outcome()
	if len(x.routes) > 0 {
		ev.Bytes("route_asked", x.routes[0])
		if outcome == session.OutcomeNone && e.sticky && !x.plan.Active() {
			outcome = session.OutcomeSticky
		}
	}
	ev.Stringer("session", outcome)
	if len(e.id) > 0 {
		ev.Bytes("session_id", session.ShortenID(e.id))
	}
	if x.origin.client != nil {
		ev.Bytes("client", x.origin.client)
	} else {
		ev.Str("client", x.c.addr)
	}
	ev.Str("proto", protocols[x.spoken()])
	if e.failure != "" {
		ev.Str("failure", e.failure)
	}
	ev.Msg("request")
}
